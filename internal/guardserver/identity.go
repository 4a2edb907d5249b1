package guardserver

import (
	"net/http"
	"strings"
	"sync"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// An identity says who calls, in headers for the upstream.
type identity interface {
	// names are those of all headers that there may be, in the canonical form of net/http.
	names() []string
	// headers returns those of the caller of an allowed request that carries this token.
	headers(caller guard.Caller, raw string) map[string]string
}

func newIdentity(f *guardfile.File, api guardfile.API, keys *assertionKeys) identity {
	switch f.Identity {
	case guardfile.IdentityNone:
		return nobody{}
	case guardfile.IdentitySigned:
		return &assertions{keys: keys, audience: api.Audience[0], made: newRemembered[assertion](assertionBytes)}
	default:
		return &easyAuth{token: f.ForwardToken, made: newRemembered[map[string]string](easyAuthBytes)}
	}
}

// nobody is what an upstream is told that asks for nothing.
type nobody struct{}

func (nobody) names() []string                                { return nil }
func (nobody) headers(guard.Caller, string) map[string]string { return nil }

// identify returns the headers that tell an upstream who calls; none where nobody is proven.
func (j *judged) identify() map[string]string {
	caller, ok := j.Caller()
	if !ok || !j.Allowed() {
		return nil
	}
	raw := tokenIn(j.request.Header)
	if raw == "" {
		return nil
	}
	return j.api.identity.headers(caller, raw)
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
func setIdentity(header http.Header, values map[string]string) {
	for name, value := range values {
		header[name] = []string{value}
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
	m.young[key] = v
	m.weight += weight
}
