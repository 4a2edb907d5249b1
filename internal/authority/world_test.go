package authority

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// The names of package fixture, as these tests use them.
const (
	testBase   = testids.BaseURL
	testTenant = testids.Tenant
	otherOne   = testids.OtherTenant // a second tenant
	testClient = testids.Client
	testAPI    = testids.API
	legacyAPI  = testids.LegacyAPI
	closedAPI  = testids.ClosedAPI
	publicApp  = testids.PublicApp
	foreignAPI = testids.ForeignAPI // of the second tenant
	nobody     = testids.Nobody
)

// A world is an authority with the tenants, applications and grants of the tests.
type world struct {
	t testing.TB
	*Authority
	handler http.Handler
	clock   *fixture.Clock
	dir     *directory.Directory
	keys    *keyring.Ring
	cfg     Config // that the authority was made with
	secret  string // of the client
	logged  *bytes.Buffer
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	return newWorldOn(t, memory.New(), change...)
}

func newWorldOn(t testing.TB, store directory.Store, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, clock: fixture.NewClock(testids.Start()), logged: new(bytes.Buffer)}
	var err error
	w.dir, err = directory.Open(t.Context(), directory.Config{Store: store, SecretKey: make([]byte, 32), SlowHash: directory.CheapHash(), Now: w.clock.Now})
	w.must(err)
	kek, err := keyring.KEKFromBytes(make([]byte, 32))
	w.must(err)
	w.keys, err = keyring.New(keyring.Config{Store: w.dir, KEK: kek, Now: w.clock.Now, NewKey: fixture.NewKeys()})
	w.must(err)
	cfg := Config{
		BaseURL: testBase, Directory: w.dir, Keys: w.keys, Now: w.clock.Now,
		Log: slog.New(slog.NewJSONHandler(w.logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	w.cfg = cfg
	w.Authority, err = New(cfg)
	w.must(err)
	w.handler = w.Handler()
	w.edit(w.populate)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// edit changes the directory in one transaction.
func (w *world) edit(f func(*directory.Editor) error) {
	w.t.Helper()
	_, err := w.dir.Change(w.t.Context(), directory.Operator("test"), f)
	w.must(err)
}

func (w *world) populate(e *directory.Editor) error {
	for _, tenant := range []directory.Tenant{
		{ID: testTenant, Name: "contoso", Domains: []string{"contoso.test"}, Enabled: true},
		{ID: otherOne, Name: "fabrikam", Domains: []string{"fabrikam.test"}, Enabled: true},
	} {
		if _, err := e.Tenants().Create(tenant); err != nil {
			return err
		}
	}
	role := func(id, value string, enabled bool) directory.AppRole {
		return directory.AppRole{
			ID: directory.RoleID(id), Value: value, DisplayName: value, Description: value, Enabled: enabled,
			Members: []directory.MemberType{directory.MemberApplication},
		}
	}
	read := role("40000001-5a5a-4c4c-8d8d-000000000001", "Orders.Read", true)
	off := role("40000002-5a5a-4c4c-8d8d-000000000002", "Orders.Off", true)
	legacy := role("40000003-5a5a-4c4c-8d8d-000000000003", "Legacy.Read", true)
	closed := role("40000004-5a5a-4c4c-8d8d-000000000004", "Closed.Read", true)
	for _, app := range []directory.Application{
		{AppID: testClient, Name: "orders-client"},
		{AppID: testAPI, Name: "orders-server", IdentifierURIs: []string{"api://orders", "https://orders.contoso.test"}, TokenVersion: 2, AppRoles: []directory.AppRole{read, off}},
		{AppID: legacyAPI, Name: "legacy-server", IdentifierURIs: []string{"api://legacy"}, TokenVersion: 1, AppRoles: []directory.AppRole{legacy}},
		{AppID: closedAPI, Name: "closed-server", IdentifierURIs: []string{"api://closed"}, TokenVersion: 2, AppRoles: []directory.AppRole{closed}},
		{AppID: publicApp, Name: "orders-tool", Public: true},
	} {
		app.Tenant = testTenant
		if _, err := e.Applications().Create(app); err != nil {
			return err
		}
		if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{
			ID: directory.ObjectID("0b1ec7" + string(app.AppID)[6:]), Tenant: testTenant, AppID: app.AppID,
			Enabled: true, AssignmentRequired: app.AppID == closedAPI,
		}); err != nil {
			return err
		}
	}
	for api, role := range map[directory.AppID]directory.RoleID{testAPI: read.ID, legacyAPI: legacy.ID} {
		if _, _, err := e.Assignments().Add(testTenant, principalID(testClient), principalID(api), role); err != nil {
			return err
		}
	}
	if _, err := e.Applications().Create(directory.Application{Tenant: otherOne, AppID: foreignAPI, Name: "fabrikam-server", IdentifierURIs: []string{"api://fabrikam"}, TokenVersion: 2}); err != nil {
		return err
	}
	if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: otherOne, AppID: foreignAPI, Enabled: true}); err != nil {
		return err
	}
	client, err := e.Applications().Find(testTenant, testClient)
	if err != nil {
		return err
	}
	_, w.secret, err = e.Credentials().AddSecret(testTenant, client.ID, "ci", time.Time{})
	return err
}

// principalID is the object id of an application's service principal in the tests.
func principalID(app directory.AppID) directory.ObjectID {
	return directory.ObjectID("0b1ec7" + string(app)[6:])
}

// editApplication changes one application.
func (w *world) editApplication(app directory.AppID, f func(*directory.Application)) {
	w.t.Helper()
	w.edit(func(e *directory.Editor) error {
		a, err := e.Applications().Find(testTenant, string(app))
		if err != nil {
			return err
		}
		f(a)
		_, err = e.Applications().Edit(a.Tenant, a.ID, func(v *directory.Application) error { *v = *a; return nil })
		return err
	})
}

// editPrincipal changes one service principal.
func (w *world) editPrincipal(app directory.AppID, f func(*directory.ServicePrincipal)) {
	w.t.Helper()
	w.edit(func(e *directory.Editor) error {
		p, err := e.ServicePrincipals().Find(testTenant, string(app))
		if err != nil {
			return err
		}
		f(p)
		_, err = e.ServicePrincipals().Edit(p.Tenant, p.ID, func(v *directory.ServicePrincipal) error { *v = *p; return nil })
		return err
	})
}

// enableTenant enables or disables a tenant.
func (w *world) enableTenant(id string, on bool) {
	w.t.Helper()
	w.edit(func(e *directory.Editor) error {
		tenant, err := e.Tenants().Find(id)
		if err != nil {
			return err
		}
		tenant.Enabled = on
		_, err = e.Tenants().Edit(tenant.ID, func(v *directory.Tenant) error { *v = *tenant; return nil })
		return err
	})
}

// values are a request's parameters; set and without make another one of it.
type values map[string]string

func (v values) set(pairs ...string) values {
	out := values{}
	for name, value := range v {
		out[name] = value
	}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

func (v values) without(names ...string) values {
	out := v.set()
	for _, name := range names {
		delete(out, name)
	}
	return out
}

func (v values) encode() string {
	form := url.Values{}
	for name, value := range v {
		form.Set(name, value)
	}
	return form.Encode()
}

// good is a request that gets a token at the v2.0 endpoint.
func (w *world) good() values {
	return values{
		"grant_type": "client_credentials", "client_id": testClient,
		"client_secret": w.secret, "scope": "api://orders/.default",
	}
}

// goodV1 is a request that gets a token at the v1 endpoint.
func (w *world) goodV1() values {
	return w.good().without("scope").set("resource", "api://orders")
}

const (
	pathV1 = "/" + testTenant + "/oauth2/token"
	pathV2 = "/" + testTenant + "/oauth2/v2.0/token"
)

// A reply is an answer as a client sees it.
type reply struct {
	*httptest.ResponseRecorder
	t    testing.TB
	json map[string]any
}

// post sends a form.
func (w *world) post(path string, v values, options ...func(*http.Request)) *reply {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, testBase+path, strings.NewReader(v.encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.send(r, options...)
}

// get asks for a document.
func (w *world) get(path string, options ...func(*http.Request)) *reply {
	w.t.Helper()
	return w.send(httptest.NewRequest(http.MethodGet, testBase+path, nil), options...)
}

func (w *world) send(r *http.Request, options ...func(*http.Request)) *reply {
	w.t.Helper()
	for _, option := range options {
		option(r)
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	out := &reply{ResponseRecorder: recorder, t: w.t}
	if strings.HasPrefix(recorder.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(recorder.Body.Bytes(), &out.json); err != nil {
			w.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
		}
	}
	return out
}

// withHeader sets a request header.
func withHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// from sets the address of the caller.
func from(address string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = address }
}

// code is the first of error_codes, 0 for none.
func (r *reply) code() int {
	codes, _ := r.json["error_codes"].([]any)
	if len(codes) == 0 {
		return 0
	}
	return int(codes[0].(float64))
}

// refused checks status, error and code of a refusal.
func (r *reply) refused(status int, oauth string, code int) {
	r.t.Helper()
	if r.Code != status || r.json["error"] != oauth || r.code() != code {
		r.t.Errorf("got %d, %v, %v: %v\nwant %d, %s, %d", r.Code, r.json["error"], r.json["error_codes"], r.json["error_description"], status, oauth, code)
	}
}

// token gives the access token of a good answer.
func (r *reply) token() string {
	r.t.Helper()
	raw, _ := r.json["access_token"].(string)
	if r.Code != http.StatusOK || raw == "" {
		r.t.Fatalf("got %d: %s", r.Code, r.json["error_description"])
	}
	return raw
}

// assertionTypeJWT is the type of client assertions.
const assertionTypeJWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// object is a JSON object of a test. Setting a member to nil removes it.
type object map[string]any

func (o object) with(changes object) object {
	o = maps.Clone(o)
	for name, value := range changes {
		if value == nil {
			delete(o, name)
		} else {
			o[name] = value
		}
	}
	return o
}

// basic is the Authorization header of an id and a secret.
func basic(pair string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}
