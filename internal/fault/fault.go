package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An Injector carries out rules. Its zero value has none; it is safe for concurrent use.
type Injector struct {
	// Log gets a line for each answer that goes wrong. Nil means that nobody is told.
	Log *slog.Logger

	mu    sync.Mutex
	rules []*Rule // guarded by mu; Times counts down, and a rule that is used up is gone
}

// New returns an injector with those rules.
func New(rules ...Rule) (*Injector, error) {
	i := new(Injector)
	return i, i.Set(rules...)
}

// Set replaces the rules. Without any, everything goes right again.
func (i *Injector) Set(rules ...Rule) error {
	next := make([]*Rule, len(rules))
	for n, rule := range rules {
		if err := rule.check(); err != nil {
			return err
		}
		next[n] = &rule
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rules = next
	return nil
}

// Add adds a rule after those there are.
func (i *Injector) Add(rule Rule) error {
	if err := rule.check(); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rules = append(i.rules, &rule)
	return nil
}

// next returns the fault of a request: that of the first rule for the surface that is not
// used up.
func (i *Injector) next(surface Surface) (Rule, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for n, rule := range i.rules {
		if rule.Surface != surface {
			continue
		}
		found := *rule
		if rule.Times == 1 {
			i.rules = append(i.rules[:n:n], i.rules[n+1:]...)
		} else if rule.Times > 1 {
			rule.Times--
		}
		return found, true
	}
	return Rule{}, false
}

// Authority goes around the handler of an authority.
func (i *Injector) Authority(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := strings.ToLower(strings.TrimRight(r.URL.Path, "/")); {
		case strings.HasSuffix(path, "/oauth2/token"), strings.HasSuffix(path, "/oauth2/v2.0/token"):
			i.around(Token, next, w, r)
		case strings.HasSuffix(path, "/keys"):
			i.around(Keys, next, w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// Identity goes around the handler of managed identities.
func (i *Injector) Identity(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { i.around(Identity, next, w, r) })
}

func (i *Injector) around(surface Surface, next http.Handler, w http.ResponseWriter, r *http.Request) {
	rule, ok := i.next(surface)
	if !ok {
		next.ServeHTTP(w, r)
		return
	}
	i.log(r.Context(), rule)
	if rule.Delay > 0 && !wait(r.Context(), rule.Delay) {
		return
	}
	switch {
	case rule.Drop:
		panic(http.ErrAbortHandler) // closes the connection, or with HTTP/2 the stream
	case rule.Status != 0:
		refuse(w, rule)
	case rule.Expired:
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), ageKey{}, expiredAge)))
	case rule.DropKey:
		dropKey(w, r, next)
	default:
		next.ServeHTTP(w, r)
	}
}

// log writes down what goes wrong, and where: hosts of managed identities have a listener
// each, so the address of the listener tells which of them answered. Nothing of the request
// is logged.
func (i *Injector) log(ctx context.Context, rule Rule) {
	if i.Log == nil {
		return
	}
	listener, _ := ctx.Value(http.LocalAddrContextKey).(net.Addr) // servers set it
	i.Log.LogAttrs(ctx, slog.LevelInfo, "answer goes wrong on purpose", slog.String("fault", rule.String()), slog.Any("listener", listener))
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ageKey is the context key of how old a token shall be.
type ageKey struct{}

// expiredAge is more than any token lives.
const expiredAge = 25 * time.Hour

// Age tells how long ago the tokens of a request shall have been issued: zero, but for a
// request whose fault is an expired token.
func Age(ctx context.Context) time.Duration {
	age, _ := ctx.Value(ageKey{}).(time.Duration)
	return age
}

// refuse answers with the status, in the members that clients of all surfaces read.
func refuse(w http.ResponseWriter, rule Rule) {
	const message = "This answer is a fault made on purpose."
	code := "invalid_request"
	if rule.passes() {
		code = "temporarily_unavailable"
	}
	body, err := json.Marshal(map[string]any{
		"error": code, "error_description": message, "error_codes": []int{},
		"statusCode": rule.Status, "message": message,
	})
	if err != nil {
		body = []byte("{}")
	}
	if rule.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(rule.RetryAfter))
	}
	write(w, rule.Status, body)
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) // the caller may be gone
}

// dropKey answers with the keys document without its first key, the one that signs.
func dropKey(w http.ResponseWriter, r *http.Request, next http.Handler) {
	whole := &recorder{header: http.Header{}, status: http.StatusOK}
	next.ServeHTTP(whole, r)
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if whole.status == http.StatusOK && json.Unmarshal(whole.body.Bytes(), &document) == nil && len(document.Keys) > 0 {
		document.Keys = document.Keys[1:]
		if body, err := json.Marshal(document); err == nil {
			write(w, http.StatusOK, body)
			return
		}
	}
	for name, values := range whole.header {
		w.Header()[name] = values
	}
	w.WriteHeader(whole.status)
	w.Write(whole.body.Bytes())
}

// A recorder takes an answer instead of a client.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
