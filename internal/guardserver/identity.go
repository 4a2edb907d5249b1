package guardserver

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// An identity says who calls, in headers for the upstream.
type identity interface {
	// nobody returns all headers that there may be, none of which says anything.
	nobody() []told
	// caller returns the same headers as they are for the caller of an allowed request that
	// carries this token; nil if they cannot be made.
	caller(caller guard.Caller, raw string) []told
}

// A told is a header by which an upstream is told who calls. Many requests share its value, so it
// is never written to.
type told struct {
	name  string   // in the canonical form of net/http
	lower string   // as HTTP/2 has it
	lines []string // the one value, which is empty where nothing is said
	said  bool
}

// saysNothing returns headers without a value.
func saysNothing(names ...string) []told {
	all := make([]told, len(names))
	for i, name := range names {
		all[i] = told{name: name, lower: strings.ToLower(name), lines: []string{""}}
	}
	return all
}

// saying returns headers with these values, by their places; an empty one says nothing.
func saying(headers []told, values ...string) []told {
	all := slices.Clone(headers)
	for i, value := range values {
		if value != "" {
			all[i].lines, all[i].said = []string{value}, true
		}
	}
	return all
}

func newIdentity(f *guardfile.File, api guardfile.API, keys *assertionKeys) identity {
	switch f.Identity {
	case guardfile.IdentityNone:
		return silence{}
	case guardfile.IdentitySigned:
		return &assertions{keys: keys, audience: api.Audience[0], headers: saysNothing(headerAssertion), made: newRemembered[assertion](assertionBytes)}
	default:
		return newEasyAuth(f.ForwardToken)
	}
}

// silence is the identity for an upstream that asks for none.
type silence struct{}

func (silence) nobody() []told                     { return nil }
func (silence) caller(guard.Caller, string) []told { return nil }

// identify returns the headers that tell an upstream who calls. They say nothing where nobody is
// proven.
func (j *judged) identify() []told {
	if caller, ok := j.Caller(); ok && j.Allowed() {
		if raw := tokenIn(j.request.Header); raw != "" {
			if headers := j.api.identity.caller(caller, raw); headers != nil {
				return headers
			}
		}
	}
	return j.api.identity.nobody()
}

// tokenIn returns the access token of a request that was let in. The guard has checked its form.
func tokenIn(header map[string][]string) string {
	lines := header["Authorization"]
	if len(lines) != 1 {
		return ""
	}
	scheme, raw, _ := strings.Cut(lines[0], " ")
	raw = strings.TrimLeft(raw, " ")
	if !strings.EqualFold(scheme, "PoP") {
		return raw
	}
	signed, err := token.Parse(raw, tokenLimits)
	if err != nil {
		return ""
	}
	inner, _ := signed.Claims.Get("at")
	raw, _ = inner.String()
	return raw
}

// tokenLimits are the widest that a guard may have.
var tokenLimits = token.Limits{Token: maxHeaders}

// setIdentity puts the headers of the caller into a header that has none of a client's.
func setIdentity(header http.Header, headers []told) {
	for _, t := range headers {
		if t.said {
			header[t.name] = t.lines
		}
	}
}

// remembered is a bounded memory of what was made of a token. When its younger half is full,
// the older one is forgotten. The key is the whole token.
type remembered[T any] struct {
	limit int // in bytes of keys and what is noted as their weight

	mu         sync.Mutex
	young, old map[string]T // guarded by mu
	weight     int          // of young; likewise
}

func newRemembered[T any](limit int) *remembered[T] {
	return &remembered[T]{limit: limit, young: map[string]T{}}
}

func (m *remembered[T]) get(key string) (T, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.young[key]; ok {
		return v, true
	}
	v, ok := m.old[key]
	return v, ok
}

func (m *remembered[T]) put(key string, v T, weight int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	const overhead = 200
	if weight += len(key) + overhead; m.weight+weight > m.limit/2 {
		m.old, m.young, m.weight = m.young, map[string]T{}, 0
	}
	m.young[strings.Clone(key)] = v // it may be a piece of a larger text that should not live on
	m.weight += weight
}
