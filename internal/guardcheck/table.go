package guardcheck

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/text"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// A Table is requests and the decisions that a team expects.
type Table struct {
	Config string `yaml:"config"` // the guard.yaml, relative to the table
	Tests  []Case `yaml:"tests"`
}

// A Case is one request and what is expected of it.
type Case struct {
	Name    string  `yaml:"name"`
	Host    string  `yaml:"host"`    // if the settings have several APIs
	Request string  `yaml:"request"` // GET /api/GetOrders
	Caller  *Caller `yaml:"caller"`  // none: no token
	Expect  string  `yaml:"expect"`  // allow, refuse, a status or a reason
}

// A Caller is who calls in a case. What is left out is made up.
type Caller struct {
	Kind      guard.CallerKind `yaml:"kind"` // application (the default) or user
	Client    string           `yaml:"client"`
	Principal string           `yaml:"principal"`
	Tenant    string           `yaml:"tenant"`
	Audience  string           `yaml:"audience"`
	Roles     []string         `yaml:"roles"`
	Scopes    []string         `yaml:"scopes"`
	Expired   bool             `yaml:"expired"`
	Bound     bool             `yaml:"bound"` // the token is bound, and its proof is there
}

// MaxTable is how long a table may be, in bytes.
const MaxTable = 1 << 20

// ParseTable reads a table.
func ParseTable(name string, content []byte) (*Table, error) {
	name = text.Line(name, text.MaxQuoted)
	if len(content) > MaxTable {
		return nil, fmt.Errorf("%s: it is longer than %d bytes", name, MaxTable)
	}
	var t Table
	d := yaml.NewDecoder(strings.NewReader(string(content)))
	d.KnownFields(true)
	if err := d.Decode(&t); err != nil {
		return nil, fmt.Errorf("%s: %s", name, text.Line(strings.TrimPrefix(err.Error(), "yaml: "), text.MaxQuoted))
	}
	if len(t.Tests) == 0 {
		return nil, fmt.Errorf("%s: it has no tests", name)
	}
	for i := range t.Tests {
		if err := t.Tests[i].complete(); err != nil {
			return nil, fmt.Errorf("%s: test %d: %w", name, i+1, err)
		}
	}
	return &t, nil
}

func (c *Case) complete() error {
	method, target, ok := strings.Cut(c.Request, " ")
	if !ok || method == "" || !strings.HasPrefix(target, "/") {
		return fmt.Errorf("request %q is not a method and a path, such as GET /api/GetOrders", text.Shown(c.Request))
	}
	if c.Name == "" {
		c.Name = c.Request
	}
	if status, err := strconv.Atoi(c.Expect); err == nil && !slices.Contains([]int{200, 400, 401, 403, 503}, status) || c.Expect == "" {
		return fmt.Errorf("expect %q is none of allow, refuse, 200, 400, 401, 403 and the reasons of refusals", text.Shown(c.Expect))
	}
	if _, err := strconv.Atoi(c.Expect); err != nil && c.Expect != "allow" && c.Expect != "refuse" && !isReason(c.Expect) {
		return fmt.Errorf("expect %q is none of allow, refuse, 200, 400, 401, 403 and the reasons of refusals", text.Shown(c.Expect))
	}
	if c.Caller != nil && c.Caller.Kind != "" && c.Caller.Kind != guard.CallerApplication && c.Caller.Kind != guard.CallerUser {
		return fmt.Errorf("kind is one of application and user")
	}
	return nil
}

// isReason reports whether a refusal can have this reason: those that there are not share one
// description.
func isReason(s string) bool {
	const none = guard.Reason("")
	return s == string(guard.NoPolicy) || guard.Reason(s).Description() != none.Description()
}

// A Result is what became of a case.
type Result struct {
	Name     string `json:"name"`
	Request  string `json:"request"`
	OK       bool   `json:"ok"`
	Expected string `json:"expected"`
	Got      string `json:"got"`              // allow, or the reason
	Status   int    `json:"status"`           // of the answer
	Rule     string `json:"rule,omitempty"`   // that decided
	Detail   string `json:"detail,omitempty"` // of a refusal
}

// Run decides about every case of a table with the rules of a file. Callers get tokens of an
// issuer that exists only here, so neither the authority nor a network is needed; everything
// else is as it is on a request.
func Run(ctx context.Context, f *guardfile.File, t *Table) ([]Result, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	issuer, err := newIssuer()
	if err != nil {
		return nil, err
	}
	policies := map[string]*guard.Policy{}
	for _, api := range f.APIs {
		g, err := guard.New(ctx, issuer.config(f.Config(api), t))
		if err != nil {
			return nil, err
		}
		if policies[api.Host], err = g.Policy(api.Rules); err != nil {
			return nil, err
		}
	}
	results := make([]Result, len(t.Tests))
	for i, c := range t.Tests {
		d := guard.Refuse(guard.Request{}, guard.NoPolicy)
		if policy := policies[policyOf(f, c.Host)]; policy != nil {
			request, err := issuer.request(f, c)
			if err != nil {
				return nil, err
			}
			d = policy.Decide(ctx, request)
		}
		results[i] = c.judge(d)
	}
	return results, nil
}

// policyOf is the host of the API that a host means: any where there is one for all.
func policyOf(f *guardfile.File, host string) string {
	if len(f.APIs) == 1 && f.APIs[0].Host == "" {
		return ""
	}
	return strings.ToLower(host)
}

// judge compares a decision with what was expected.
func (c *Case) judge(d guard.Decision) Result {
	r := Result{Name: c.Name, Request: c.Request, Expected: c.Expect, Got: "allow", Status: d.Outcome.Status(), Detail: d.Detail()}
	if !d.Allowed() {
		r.Got = string(d.Reason)
	}
	if rule, ok := d.Rule(); ok {
		r.Rule = rule.Path
	}
	switch c.Expect {
	case "allow":
		r.OK = d.Allowed()
	case "refuse":
		r.OK = !d.Allowed()
	default:
		r.OK = c.Expect == r.Got && !d.Allowed() || c.Expect == strconv.Itoa(r.Status)
	}
	return r
}

// An issuer issues the tokens of cases.
type issuer struct {
	key  *ecdsa.PrivateKey
	keys []byte // its keys document
	now  time.Time
}

// Where the issuer would be, if it were anywhere.
const (
	issuerBase = "https://guard-test.invalid/"
	issuerKeys = issuerBase + "keys"
	issuerKey  = "test"
)

// Ids that are made up where a case says none. They are no ones that are in use.
const (
	someTenant    = "00000000-0000-4000-8000-000000000001"
	someClient    = "00000000-0000-4000-8000-000000000002"
	somePrincipal = "00000000-0000-4000-8000-000000000003"
)

// someCertificate is the one that callers with a bound token have shown. To which key a token is
// bound, and by what it is proven, makes no difference to a rule.
func someCertificate() []byte { return []byte("the certificate of a test") }

func newIssuer() (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	document, err := token.KeysDocument([]token.Key{{ID: issuerKey, Use: "sig", Public: key.Public()}})
	return &issuer{key, document, time.Now()}, err
}

// RoundTrip answers for the issuer's address, and for no other.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.String() != issuerKeys {
		return nil, fmt.Errorf("a test asks nobody for %s", r.URL.Host)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(i.keys))), Request: r}, nil
}

// config is that of an API, whose callers are the issuer's.
func (i *issuer) config(cfg guard.Config, t *Table) guard.Config {
	if len(cfg.Tenants) == 0 {
		if cfg.Tenants = tenantsIn(cfg.Authority); len(cfg.Tenants) == 0 { // named by a domain: whichever the callers are of
			for _, c := range t.Tests {
				cfg.Tenants = append(cfg.Tenants, c.tenant(nil))
			}
		}
	}
	cfg.Authority, cfg.CABundle, cfg.StateDir, cfg.MaxKeyAge = "", "", "", 0
	cfg.Issuers = []guard.Issuer{{Issuer: issuerBase + "{tenantid}/v2.0", Keys: issuerKeys}}
	cfg.Algorithms, cfg.HTTPClient = []string{"ES256"}, &http.Client{Transport: i}
	cfg.OnDecision = func(guard.Decision) {} // so that refusals keep their detail
	return cfg
}

// tenantsIn is the tenant that an authority names by its id.
func tenantsIn(authority string) []string {
	id := strings.ToLower(authority[strings.LastIndexByte(authority, '/')+1:])
	if len(id) != len(someTenant) || strings.Count(id, "-") != 4 {
		return nil
	}
	return []string{id}
}

// tenant is that of the caller: the first that the API takes, if the case says none.
func (c *Case) tenant(taken []string) string {
	switch {
	case c.Caller != nil && c.Caller.Tenant != "":
		return strings.ToLower(c.Caller.Tenant)
	case len(taken) > 0:
		return taken[0]
	default:
		return someTenant
	}
}

// request is that of a case, with a token of its caller.
func (i *issuer) request(f *guardfile.File, c Case) (guard.Request, error) {
	method, target, _ := strings.Cut(c.Request, " ")
	request := guard.Request{Method: method, Header: map[string][]string{}}
	request.Path, request.Query, _ = strings.Cut(target, "?")
	if c.Caller == nil {
		return request, nil
	}
	api := f.APIs[0]
	for _, other := range f.APIs {
		if other.Host == policyOf(f, c.Host) {
			api = other
		}
	}
	taken := api.Tenants
	if len(taken) == 0 {
		taken = tenantsIn(api.Authority)
	}
	raw, err := i.token(*c.Caller, c.tenant(taken), api.Audience[0])
	if err != nil {
		return request, err
	}
	request.Header["Authorization"] = []string{"Bearer " + raw}
	if c.Caller.Bound {
		request.Certificate = someCertificate()
	}
	return request, nil
}

func (i *issuer) token(caller Caller, tenant, audience string) (string, error) {
	or := func(value, made string) string {
		if value == "" {
			return made
		}
		return strings.ToLower(value)
	}
	principal := or(caller.Principal, somePrincipal)
	claims := map[string]any{
		"iss": issuerBase + tenant + "/v2.0", "aud": audience, "ver": "2.0", "tid": tenant, "azp": or(caller.Client, someClient), "azpacr": "1",
		"oid": principal, "sub": principal, "uti": "test", "iat": i.now.Unix() - 60, "nbf": i.now.Unix() - 60, "exp": i.now.Add(time.Hour).Unix(),
	}
	if caller.Audience != "" {
		claims["aud"] = caller.Audience
	}
	more := map[string]any{"idtyp": "app"}
	if caller.Kind == guard.CallerUser || caller.Kind == "" && len(caller.Scopes) > 0 {
		more = map[string]any{"scp": strings.Join(caller.Scopes, " "), "sub": "a user", "idtyp": "user"}
		if len(caller.Scopes) == 0 {
			delete(more, "scp")
		}
	}
	if len(caller.Roles) > 0 {
		more["roles"] = caller.Roles
	}
	if caller.Bound {
		sum := sha256.Sum256(someCertificate())
		more["cnf"] = map[string]string{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
	}
	if caller.Expired {
		more["iat"], more["nbf"], more["exp"] = i.now.Add(-2*time.Hour).Unix(), i.now.Add(-2*time.Hour).Unix(), i.now.Add(-time.Hour).Unix()
	}
	maps.Copy(claims, more)
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return token.SignES256(issuerKey, text, i.key)
}
