// Package revocation tells APIs which tokens count no more although they have not ended.
//
// It owns the URL /{tenant}/revocations, its answers, and how long it holds a request. It
// refuses to own what is revoked, which package directory writes, and what an API makes of it,
// which package guard decides.
//
// Start reading at [Handler.Mount].
package revocation

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/selfguard"
)

// Hold is how long a request waits for something to tell: shorter than the half minute after
// which proxies commonly give up.
const Hold = 25 * time.Second

// How many requests are held at once: of one application, and of all. Those beyond are answered
// at once, so that readers take no connections from clients that need tokens.
const (
	MaxHeldByReader = 256
	maxHeld         = 2048
)

// Config says what a Handler works with. All fields are required.
type Config struct {
	Authority string // root of the authority
	Directory *directory.Directory
	Resolver  *resolve.Resolver
	Client    *http.Client // reaches the authority
	Now       func() time.Time
}

// A Handler serves the revocations. It is safe for concurrent use.
type Handler struct {
	directory *directory.Directory
	resolver  *resolve.Resolver
	guard     *selfguard.Guard

	release  sync.Once
	released chan struct{} // closed by Release

	mu   sync.Mutex
	held map[directory.ObjectID]int // requests by reader; guarded by mu
	all  int                        // likewise
}

// New checks the configuration and returns a handler.
func New(cfg Config) (*Handler, error) {
	admission, err := selfguard.New(selfguard.Config{
		Authority: cfg.Authority, Audience: []string{string(directory.SelfAppID)}, Directory: cfg.Directory, HTTPClient: cfg.Client, Now: cfg.Now,
		WithoutPermissions: true, // an API reads what concerns it, and needs no role for that
	})
	if err != nil {
		return nil, err
	}
	return &Handler{directory: cfg.Directory, resolver: cfg.Resolver, guard: admission, released: make(chan struct{}), held: map[directory.ObjectID]int{}}, nil
}

// Mount adds the URL.
func (h *Handler) Mount(m *exchange.Mux) {
	m.Tenant("/revocations", exchange.Endpoint{Method: http.MethodGet, Serve: h.serve})
}

// Release answers the requests that are held, and holds none from now on: the server stops.
func (h *Handler) Release() { h.release.Do(func() { close(h.released) }) }

// Close ends the guards.
func (h *Handler) Close() { h.guard.Close() }

// An answer is what there is to tell.
type answer struct {
	Cursor int64   `json:"cursor"` // to ask with next time
	Events []event `json:"events"`
}

// An event is one revocation, in terms of what tokens carry.
type event struct {
	Kind      directory.RevocationKind `json:"kind"`
	Principal directory.ObjectID       `json:"principal,omitempty"` // oid
	Client    directory.AppID          `json:"client,omitempty"`    // appid or azp
	Role      string                   `json:"role,omitempty"`      // one of roles
	Scope     string                   `json:"scope,omitempty"`     // one of scp
	Key       string                   `json:"key,omitempty"`       // kid
	Before    int64                    `json:"before,omitempty"`    // iat, of those that are meant
	Until     int64                    `json:"until"`               // the last of them has ended
}

func (h *Handler) serve(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	tenant, err := h.resolver.Tenant(ctx, x.Tenant)
	if err != nil {
		return exchange.Answer{}, err
	}
	reader, err := h.reader(ctx, x.Request.Header, tenant.ID)
	if err != nil {
		return exchange.Answer{}, err
	}
	since, err := cursorOf(x.Request)
	if err != nil {
		return exchange.Answer{}, err
	}
	told, err := h.await(ctx, tenant.ID, reader.Principal.ID, since)
	if err != nil {
		return exchange.Answer{}, aadsts.Unavailable(err)
	}
	return exchange.JSON(told, exchange.NeverCached)
}

// reader returns the application that asks: with a token of its own, in the tenant asked for,
// and enabled, however new the token is.
func (h *Handler) reader(ctx context.Context, header http.Header, tenant directory.TenantID) (*directory.Instance, error) {
	caller, err := h.guard.Admit(ctx, header, guard.Rule{Caller: guard.CallerApplication})
	if _, refused := errors.AsType[*selfguard.Refusal](err); refused {
		return nil, aadsts.RevocationsBearer().Because(err)
	}
	if err != nil {
		return nil, aadsts.Unavailable(err)
	}
	if caller.Tenant.ID != tenant {
		return nil, aadsts.RevocationsBearer()
	}
	return resolve.Fresh(ctx, h.directory, func() (*directory.Instance, error) {
		found, err := h.directory.Instance(ctx, tenant, directory.AppID(caller.ClientID))
		switch {
		case err == nil && found.Application != nil && found.Principal != nil && found.Principal.Enabled:
			if !offers(found.Application) {
				return nil, aadsts.NoAPI(caller.ClientID)
			}
			return found, nil
		case err == nil || errors.Is(err, directory.ErrNotFound):
			return nil, aadsts.RevocationsBearer()
		default:
			return nil, aadsts.Unavailable(err)
		}
	})
}

// offers reports whether an application is an API: something that tokens are for.
func offers(app *directory.Application) bool {
	return len(app.IdentifierURIs)+len(app.AppRoles)+len(app.Scopes) > 0
}

// cursorOf returns what the reader has been told before; zero: nothing.
func cursorOf(r *http.Request) (int64, error) {
	text := r.URL.Query().Get("since")
	if text == "" {
		return 0, nil
	}
	since, err := strconv.ParseInt(text, 10, 64)
	if err != nil || since < 0 {
		return 0, aadsts.Cursor()
	}
	return since, nil
}

// await returns what an API is to be told, as soon as there is anything, or Hold is over. Who
// has been told nothing yet does not wait.
func (h *Handler) await(ctx context.Context, tenant directory.TenantID, api directory.ObjectID, since int64) (answer, error) {
	mayWait := h.enter(api)
	if mayWait {
		defer h.leave(api)
	}
	end := time.NewTimer(Hold)
	defer end.Stop()
	for first := since == 0; ; {
		woken := h.directory.Revocations().Next()
		found, next, err := h.directory.Revocations().Since(ctx, tenant, since)
		if err != nil {
			return answer{}, err
		}
		told := answer{Cursor: next, Events: eventsFor(api, found)}
		if first || len(told.Events) > 0 || !mayWait {
			return told, nil
		}
		since = next
		select {
		case <-woken:
		case <-end.C:
			return told, nil
		case <-h.released:
			return told, nil
		case <-ctx.Done():
			return told, nil // nobody reads it
		}
	}
}

// enter reports whether one more request of a reader may be held, until leave.
func (h *Handler) enter(reader directory.ObjectID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all >= maxHeld || h.held[reader] >= MaxHeldByReader {
		return false
	}
	h.all++
	h.held[reader]++
	return true
}

func (h *Handler) leave(reader directory.ObjectID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all--
	if h.held[reader]--; h.held[reader] == 0 {
		delete(h.held, reader)
	}
}

// eventsFor leaves out what concerns other APIs alone.
func eventsFor(api directory.ObjectID, all []*directory.Revocation) []event {
	events := []event{} // never null
	for _, r := range all {
		if r.Resource != "" && r.Resource != api {
			continue
		}
		events = append(events, event{
			Kind: r.Kind, Principal: r.Principal, Client: r.Client, Role: r.Role, Scope: r.Scope, Key: r.Key, Before: r.Before.Unix(), Until: r.Until.Unix(),
		})
	}
	return events
}
