package guard

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// refuse answers a request that may not go on. It says what kind of thing is
// wrong; what the token holds and what would be accepted it keeps to itself.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, d Decision, rule *Rule) {
	text := d.Reason.about()
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	if text.challenge {
		header.Set("WWW-Authenticate", g.challenge(d.Reason, text, rule))
	}
	if d.Outcome == Unavailable {
		header.Set("Retry-After", strconv.Itoa(retrySeconds(d.RetryAfter)))
	}
	w.WriteHeader(d.Outcome.Status())
	if r.Method == http.MethodHead {
		return
	}
	body, _ := json.Marshal(refusalBody{text.code, text.description, d.Reason, d.TraceID}) // four strings: cannot fail
	_, _ = w.Write(append(body, '\n'))                                                     // a client that has gone needs no answer
}

type refusalBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Reason      Reason `json:"reason"`
	TraceID     string `json:"trace_id"`
}

// challenge returns the value of WWW-Authenticate (RFC 6750 section 3). A
// request without credentials learns no error, only where to get some.
func (g *Guard) challenge(reason Reason, text refusalText, rule *Rule) string {
	var b strings.Builder
	b.WriteString(`Bearer realm="` + g.cfg.Realm + `"`)
	attribute := func(name, value string) {
		if value != "" {
			b.WriteString(`, ` + name + `="` + value + `"`)
		}
	}
	if reason == TokenMissing {
		attribute("authorization_uri", g.authorizationURI)
		attribute("resource_id", g.resourceID())
	} else {
		attribute("error", text.code)
		attribute("error_description", text.description)
	}
	if text.code == insufficientScope && rule != nil {
		attribute("scope", g.neededScope(reason, rule))
	}
	attribute("resource_metadata", g.cfg.ResourceMetadata)
	return b.String()
}

// resourceID returns what a client that knows nothing of the API asks a token
// for: the application id, or an identifier URI where that is all there is.
func (g *Guard) resourceID() string {
	for _, audience := range g.cfg.Audience {
		if !strings.Contains(audience, "://") {
			return audience
		}
	}
	return g.cfg.Audience[0]
}

// neededScope returns what a client should ask its authority for.
func (g *Guard) neededScope(reason Reason, rule *Rule) string {
	resource := g.cfg.Audience[0]
	for _, audience := range g.cfg.Audience {
		if strings.Contains(audience, "://") {
			resource = audience
			break
		}
	}
	if reason != ScopeMissing {
		return resource + "/.default"
	}
	scopes := make([]string, len(rule.Scopes))
	for i, scope := range rule.Scopes {
		scopes[i] = resource + "/" + quotable(scope)
	}
	return strings.Join(scopes, " ")
}

// quotable returns value without what may not stand between the quotes of a
// challenge.
func quotable(value string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return -1
		}
		return c
	}, value)
}

func retrySeconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}

// traceID returns the trace the request belongs to (W3C Trace Context), or a
// new one.
func traceID(r *http.Request) string {
	const version, id = len("00-"), 32
	parent := r.Header.Get("Traceparent")
	if len(parent) == 55 && strings.HasPrefix(parent, "00-") && parent[version+id] == '-' {
		trace := parent[version : version+id]
		if _, err := hex.DecodeString(trace); err == nil && trace == strings.ToLower(trace) {
			return trace
		}
	}
	var fresh [id / 2]byte
	_, _ = rand.Read(fresh[:]) // never fails
	return hex.EncodeToString(fresh[:])
}
