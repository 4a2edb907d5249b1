package explain

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/inprocess"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/text"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// A Question asks for the explanation of a token, or of the authority's answer to a token
// request. It is the same for a command beside the directory and for one on another machine.
type Question struct {
	Token         string   `json:"token,omitempty"`
	CorrelationID string   `json:"correlationId,omitempty"` // of the token request, or the beginning of it
	API           string   `json:"api,omitempty"`           // that was called; empty: the token's
	Roles         []string `json:"roles,omitempty"`         // that the API requires, any of them; empty: any of its
	Guard         *Guard   `json:"guard,omitempty"`         // the API's own settings; nil: what they should be
	Refusal       *Refusal `json:"refusal,omitempty"`       // how the API answered a call with the token; nil: nobody called it
}

// A Guard is the text of a guard.yaml.
type Guard struct {
	Name string `json:"name"` // for errors
	Text string `json:"text"`
	Host string `json:"host,omitempty"` // of the API, if the file has several
}

// A Refusal is the call that an API refused.
type Refusal struct {
	Answer   Answer `json:"answer"`
	Method   string `json:"method"`
	Path     string `json:"path"`
	CABundle string `json:"caBundle,omitempty"` // of the authority, where the caller has it
}

// ErrNoSignIn says that no token request has the correlation id.
var ErrNoSignIn = errors.New("no token request has the correlation id")

// A ChoiceError says that a guard.yaml has settings of several APIs, and none was chosen.
type ChoiceError struct {
	Name, Host string
	Hosts      []string // there are
}

func (e *ChoiceError) Error() string {
	return fmt.Sprintf("%s has settings of %d APIs, and none is that of the host %q", e.Name, len(e.Hosts), e.Host)
}

// Fix says how to choose.
func (e *ChoiceError) Fix() string {
	return "name one of them with --host: " + strings.Join(e.Hosts, ", ")
}

// A SettingsError says that no guard can work with the settings of an API.
type SettingsError struct{ Err error }

func (e *SettingsError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *SettingsError) Unwrap() error { return e.Err }

// Settings reads the settings of the API.
func (g *Guard) Settings() (*guardfile.API, error) {
	file, err := guardfile.Parse(g.Name, []byte(g.Text))
	if err != nil {
		return nil, err
	}
	if len(file.APIs) == 1 && g.Host == "" {
		return &file.APIs[0], nil
	}
	i := slices.IndexFunc(file.APIs, func(a guardfile.API) bool { return strings.EqualFold(a.Host, g.Host) })
	if i >= 0 {
		return &file.APIs[i], nil
	}
	choice := &ChoiceError{Name: g.Name, Host: g.Host}
	for _, a := range file.APIs {
		choice.Hosts = append(choice.Hosts, a.Host)
	}
	return nil, choice
}

// An Explainer answers questions about a directory and its authority. It is safe for concurrent
// use.
type Explainer struct {
	Directory *directory.Directory // required
	Keys      *keyring.Ring        // required
	Origin    origin.Origin        // required: under which the authority issues
	// Under is the authority as it answers under its own origin, or under one of Microsoft's
	// names. Required.
	Under func(origin.Origin) (http.Handler, error)
	// SignIns reads sign-ins. Nil means those that the directory has.
	SignIns func(context.Context, directory.SignInFilter) ([]directory.SignIn, error)
	Now     func() time.Time // nil means time.Now
}

// Explain answers a question within a tenant: nothing of another one is told, whatever the
// question names. Within no tenant, everything is: that is for the operator of the machine.
func (e *Explainer) Explain(ctx context.Context, q Question, within *directory.Tenant) (*Report, error) {
	if q.CorrelationID != "" {
		return e.explainSignIn(ctx, q.CorrelationID, within)
	}
	in, err := e.input(ctx, q, within)
	if err != nil {
		return nil, err
	}
	report, err := Token(ctx, in)
	if q.Refusal != nil && errors.Is(err, directory.ErrNotFound) { // an API of another authority, or one that calls itself otherwise
		in.API = ""
		report, err = Token(ctx, in)
	}
	if err != nil || q.Refusal == nil {
		return report, err
	}
	settings, err := in.Settings(ctx)
	if err != nil {
		return nil, err
	}
	settings.CABundle = text.Line(q.Refusal.CABundle, text.MaxQuoted)
	report.Disagreement = q.Refusal.Answer.cleaned().Disagree(report, settings, text.Line(q.Refusal.Method, text.MaxQuoted), text.Line(q.Refusal.Path, text.MaxQuoted))
	return report, nil
}

// explainSignIn explains the newest of the answers with a correlation id: it decides.
func (e *Explainer) explainSignIn(ctx context.Context, correlation string, within *directory.Tenant) (*Report, error) {
	filter := directory.SignInFilter{CorrelationID: correlation, Limit: 1}
	if within != nil {
		filter.Tenant = within.ID
	}
	rows, err := e.signIns(ctx, filter)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, ErrNoSignIn
	}
	return signInWithin(ctx, e.Directory, rows[0], within)
}

func (e *Explainer) signIns(ctx context.Context, filter directory.SignInFilter) ([]directory.SignIn, error) {
	if e.SignIns != nil {
		return e.SignIns(ctx, filter)
	}
	return e.Directory.SignIns(ctx, filter)
}

// input is a token and what it is checked against.
func (e *Explainer) input(ctx context.Context, q Question, within *directory.Tenant) (Input, error) {
	in := Input{Token: q.Token, API: q.API, Roles: q.Roles, Directory: e.Directory, Now: e.Now, SignIns: e.signIns, Within: within}
	if q.Guard != nil {
		var err error
		if in.Guard, err = q.Guard.Settings(); err != nil {
			return in, err
		}
	}
	at, err := e.originOf(ctx, q.Token, within)
	if err != nil {
		return in, err
	}
	handler, err := e.Under(at)
	if err != nil {
		return in, err
	}
	in.Authority, in.Public, in.HTTP = at.BaseURL, at.Cloud() != "", &http.Client{Transport: inprocess.Transport{Handler: handler}}
	return in, nil
}

// Named returns the issuer and the key that a token names; nothing of it is proven.
func Named(raw string) (issuer, keyID string) {
	parsed, err := token.Parse(bare(raw), token.Limits{})
	if err != nil {
		return "", ""
	}
	value, _ := parsed.Claims.Get("iss")
	issuer, _ = value.String()
	value, _ = parsed.Header.Get("kid")
	keyID, _ = value.String()
	return issuer, keyID
}

// bare is a token without what people copy with it.
func bare(raw string) string {
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(raw), "Bearer "))
}

// originOf returns the origin that a token was issued under: one of Microsoft's names, for a
// tenant that is here, or the authority's own. Two clouds share an issuer, which the authority's
// own names may have too, so the key decides between them.
func (e *Explainer) originOf(ctx context.Context, raw string, within *directory.Tenant) (origin.Origin, error) {
	issuer, keyID := Named(raw)
	first := e.Origin
	for _, cloud := range origin.Clouds() {
		at, err := origin.Public(cloud)
		if err != nil {
			return at, err
		}
		tenant := at.TenantOf(issuer)
		if tenant == "" || within != nil && !strings.EqualFold(string(tenant), string(within.ID)) {
			continue
		}
		if _, err := e.Directory.Tenant(ctx, string(tenant)); errors.Is(err, directory.ErrNotFound) {
			continue
		} else if err != nil {
			return at, err
		}
		keys, err := e.Keys.Present(ctx, at.KeyRing(string(tenant)))
		if err != nil {
			return at, err
		}
		if slices.ContainsFunc(keys, func(key token.Key) bool { return key.ID == keyID }) {
			return at, nil
		}
		if first.Cloud() == "" && e.Origin.TenantOf(issuer) == "" {
			first = at
		}
	}
	return first, nil
}

// cleaned is an answer that somebody else has read, as ReadAnswer would have.
func (a Answer) cleaned() Answer {
	a.Says = tokenLike.ReplaceAllString(text.Line(strings.TrimSpace(a.Says), text.MaxQuoted), "(a token)")
	a.API = text.Line(a.API, text.MaxQuoted)
	a.TraceID = plainTrace.FindString(a.TraceID)
	if !isReason(a.Reason) {
		a.Reason = guard.Reason("")
	}
	return a
}
