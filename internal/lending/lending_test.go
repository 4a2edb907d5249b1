package lending_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lending"
	"github.com/rolecall-auth/rolecall/internal/library"
	"github.com/rolecall-auth/rolecall/internal/runas"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
)

const (
	writer   = "Application.ReadWrite.All"
	reader   = "Application.Read.All"
	selector = "&client_id="
)

// ask asks an endpoint of App Service for a token.
func (w *world) ask(state server.BindingState, more string) (int, map[string]string) {
	w.Helper()
	request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, state.Endpoint+"?api-version=2019-08-01&resource="+url.QueryEscape("api://orders")+more, nil)
	if err != nil {
		w.Fatal(err)
	}
	request.Header.Set("X-IDENTITY-HEADER", state.Header)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		w.Fatal(err)
	}
	answer := map[string]string{}
	var raw map[string]any
	if err := json.Unmarshal(content, &raw); err != nil {
		w.Fatalf("%v: %s", err, content)
	}
	for name, value := range raw {
		if s, is := value.(string); is {
			answer[name] = s
		}
	}
	return response.StatusCode, answer
}

func (w *world) bind(s *lending.Server, req server.BindRequest) server.BindingState {
	w.Helper()
	binding, err := s.Bind(w.Context(), req)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = binding.Close() })
	return binding.State()
}

// roles are those of a token, once an API accepted it.
func (w *world) roles(token string) []string {
	w.Helper()
	decision := w.login.API("orders").Guard().Check(w.Context(), token, guard.Rule{Roles: []string{"Orders.Read", "Orders.Write"}})
	if !decision.Allowed() {
		w.Fatalf("the API refused: %v", decision)
	}
	caller, _ := decision.Caller()
	return caller.Roles
}

// A process gets tokens of the identities that it was bound to, and of no others, and nobody gets
// any once it has ended.
func TestIdentityFromAfar(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.as("lender", writer)
	binding, err := s.Bind(t.Context(), server.BindRequest{As: "worker", Via: runas.AppService, Also: []string{"second"}})
	if err != nil {
		t.Fatal(err)
	}
	state := binding.State()
	if state.Environment["IDENTITY_ENDPOINT"] != state.Endpoint || state.Environment["IDENTITY_HEADER"] != state.Header || state.Name != "worker" {
		t.Errorf("state: %v of %s", state.Environment, state.Name)
	}
	second := w.login.UserAssignedIdentity("second", "orders")
	for _, tt := range []struct{ asks, role string }{{"", "Orders.Read"}, {selector + second.ClientID, "Orders.Write"}, {"&mi_res_id=" + url.QueryEscape(second.ResourceID), "Orders.Write"}} {
		status, answer := w.ask(state, tt.asks)
		if got := w.roles(answer["access_token"]); status != http.StatusOK || !slices.Equal(got, []string{tt.role}) {
			t.Errorf("%q: %d, roles %q", tt.asks, status, got)
		}
	}
	w.login.Identity("third", "orders", "Orders.Read")
	if status, answer := w.ask(state, selector+w.login.Identity("third", "orders").ClientID); status != http.StatusBadRequest || answer["access_token"] != "" {
		t.Errorf("an identity that was not given: %d", status)
	}
	wrong := state
	wrong.Header = "guessed"
	if status, answer := w.ask(wrong, ""); status != http.StatusUnauthorized || answer["access_token"] != "" {
		t.Errorf("without the secret: %d", status)
	}
	if err := binding.Close(); err != nil {
		t.Fatal(err)
	}
	<-binding.Done()
	if _, err := http.Get(state.Endpoint); err == nil {
		t.Error("the endpoint is there after its process")
	}
}

// What changes at the server is noticed within a minute, and asked for no more often.
func TestChangesAtTheServerAreNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	state := w.bind(w.as("lender", writer), server.BindRequest{As: "worker", Via: runas.AppService})
	_, first := w.ask(state, "")
	w.login.Grant("worker", "orders", "Orders.Write")
	w.login.Clock().Advance(time.Minute)
	_, second := w.ask(state, "")
	if got := w.roles(second["access_token"]); len(got) != 2 || first["access_token"] == second["access_token"] {
		t.Errorf("a minute later it has the roles %q", got)
	}
	w.away.Store(true)
	if _, third := w.ask(state, ""); third["access_token"] != second["access_token"] {
		t.Error("the server was asked again at once")
	}
}

// The platforms that need no server of this machine are there, and their clients find them.
func TestPlatformsFromAfar(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.as("lender", writer)
	for _, platform := range directory.Platforms() {
		if platform == directory.PlatformArc { // which needs a folder of the machine
			continue
		}
		state := w.bind(s, server.BindRequest{As: "worker", Via: string(platform)})
		if state.Endpoint == "" || platform != directory.PlatformCLI && len(state.Environment) == 0 {
			t.Errorf("%s: %s, %v", platform, state.Endpoint, state.Environment)
		}
		if (state.Thumbprint != "") != (platform == directory.PlatformServiceFabric) {
			t.Errorf("%s: thumbprint %q", platform, state.Thumbprint)
		}
	}
	_, err := s.Bind(t.Context(), server.BindRequest{As: "worker", Via: runas.Workload})
	if err == nil || !strings.Contains(err.Error(), "elsewhere") || fix.Of(err) == "" {
		t.Errorf("workload: %v", err)
	}
}

// Without the right, no program starts, and the error names the right.
func TestTheRightIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.as("looker", reader)
	_, err := s.Bind(t.Context(), server.BindRequest{As: "worker", Via: runas.AppService})
	if !graphclient.Forbidden(err) || !strings.Contains(fix.Of(err), writer) {
		t.Errorf("an identity: %v; %s", err, fix.Of(err))
	}
	actor, err := s.FindActor(t.Context(), "", "orders-client")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Credentials("token", nil).AddSecret(t.Context(), actor.Application, time.Hour)
	if !graphclient.Forbidden(err) || !strings.Contains(fix.Of(err), writer) {
		t.Errorf("a secret: %v; %s", err, fix.Of(err))
	}
}

// A program whose server goes, or whose right does, is told so, and so are people: once.
func TestLendingEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	state := w.bind(w.as("lender", writer), server.BindRequest{As: "worker", Via: runas.AppService})
	w.away.Store(true)
	for range 3 {
		status, answer := w.ask(state, "")
		if status != http.StatusServiceUnavailable || !strings.Contains(answer["message"], "team") {
			t.Errorf("away: %d %s", status, answer["message"])
		}
	}
	if said := w.heard(); strings.Count(said, "team") != 1 {
		t.Errorf("said: %q", said)
	}
	w.away.Store(false)
	w.ended.Store(true)
	if status, answer := w.ask(state, ""); status != http.StatusBadRequest || !strings.Contains(answer["message"], "the sign-in has ended") {
		t.Errorf("after the sign-in: %d %s", status, answer["message"])
	}
	w.ended.Store(false)
	w.eachRole("lender", []string{writer}, func(e *directory.Editor, holder, resource directory.ObjectID, role directory.RoleID) error {
		return e.Assignments().Remove(tenant, holder, resource, role)
	})
	status, answer := w.ask(state, "")
	if status != http.StatusBadRequest || !strings.Contains(answer["message"], writer) {
		t.Errorf("without the right: %d %s", status, answer["message"])
	}
}

// A refusal of the authority comes with its number, as beside the server.
func TestRefusalsHaveTheirNumbers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.as("lender", writer)
	state := w.bind(s, server.BindRequest{As: "worker", Via: runas.AppService})
	w.login.Disable("worker")
	status, answer := w.ask(state, "")
	if status != http.StatusBadRequest || !strings.Contains(answer["message"], "AADSTS7000112") {
		t.Errorf("disabled: %d %s", status, answer["message"])
	}
}

// A user is only oneself.
func TestUsersFromAfar(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.as("lender", writer, "User.Read.All")
	w.change(func(e *directory.Editor) error {
		for _, name := range []string{"dev@contoso.test", "ops@contoso.test"} {
			if _, err := e.Users().Create(directory.User{Tenant: tenant, PrincipalName: name, Enabled: true}, nil); err != nil {
				return err
			}
		}
		return nil
	})
	dev := w.lending(func(c *lending.Config) { c.User, c.UserToken = "dev@contoso.test", userToken }, "lender")
	self, err := dev.FindActor(t.Context(), "", "dev@contoso.test")
	if err != nil {
		t.Fatal(err)
	}
	if token, err := dev.Token(t.Context(), self, "api://orders/Orders.List"); err != nil || token.Token != "token for api://orders/Orders.List" {
		t.Errorf("oneself: %q, %v", token.Token, err)
	}
	state := w.bind(dev, server.BindRequest{As: self.ID(), Via: runas.CLI})
	if state.Name != "dev@contoso.test" || state.Endpoint == "" {
		t.Errorf("oneself: %s at %s", state.Name, state.Endpoint)
	}
	_, err = dev.FindActor(t.Context(), "", "ops@contoso.test")
	if err == nil || !strings.Contains(err.Error(), "another user than dev@contoso.test") || fix.Of(err) == "" {
		t.Errorf("another: %v", err)
	}
	if _, err := w.lending(func(*lending.Config) {}, "lender").FindActor(t.Context(), "", "ops@contoso.test"); err == nil || !strings.Contains(err.Error(), "an application is signed in") {
		t.Errorf("as an application: %v", err)
	}
	if _, err := dev.FindActor(t.Context(), "fabrikam", "worker"); err == nil || !strings.Contains(err.Error(), "fabrikam") {
		t.Errorf("another tenant: %v", err)
	}
	if _, err := dev.FindActor(t.Context(), "contoso", "worker"); err != nil {
		t.Errorf("its tenant: %v", err)
	}
}

// environmentOf runs env in an environment, and returns what it printed.
func environmentOf(t *testing.T, e *runas.Environment) map[string]string {
	t.Helper()
	var out bytes.Buffer
	code, err := e.Run(make(chan os.Signal), []string{"env"}, strings.NewReader(""), &out, io.Discard)
	if err != nil || code != 0 {
		t.Fatalf("%d, %v", code, err)
	}
	variables := map[string]string{}
	for line := range strings.Lines(out.String()) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		variables[name] = value
	}
	return variables
}

// A program has a secret of the application for as long as it lives, and nobody has it after that.
func TestProgramsAsApplicationsFromAfar(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.as("lender", writer)
	actor, err := s.FindActor(t.Context(), "", "orders-client")
	if err != nil {
		t.Fatal(err)
	}
	before := w.credentials("orders-client")
	for _, via := range []string{runas.Secret, runas.Certificate, runas.CLI} {
		e, err := runas.Prepare(t.Context(), runas.Config{Source: s, Actor: actor, Via: via, Now: time.Now})
		if err != nil {
			t.Fatalf("%s: %v", via, err)
		}
		variables := environmentOf(t, e)
		if variables["AZURE_AUTHORITY_HOST"] != w.login.URL || variables["SSL_CERT_FILE"] == "" || variables["ROLECALL_GRAPH"] != "https://graph.contoso.test" {
			t.Errorf("%s: %v", via, variables)
		}
		given := slices.DeleteFunc(w.credentials("orders-client"), func(name string) bool { return slices.Contains(before, name) })
		if len(given) != 1 || !tempcred.IsTemporary(given[0]) {
			t.Errorf("%s: it was given %q", via, given)
		}
		if via == runas.Secret {
			w.checkSecret(variables)
		}
		if (variables["AZURE_CLIENT_SECRET"] != "") != (via == runas.Secret) {
			t.Errorf("%s: AZURE_CLIENT_SECRET is set, or missing", via)
		}
		if err := e.Cleanup(); err != nil {
			t.Errorf("%s: %v", via, err)
		}
		if after := w.credentials("orders-client"); !slices.Equal(after, before) {
			t.Errorf("%s: %q are left of %q", via, after, before)
		}
	}
}

// checkSecret gets a token by the secret of a program.
func (w *world) checkSecret(variables map[string]string) {
	w.Helper()
	credential, err := library.Client{
		Authority: w.login.URL, HTTP: w.login.HTTPClient(), TenantID: variables["AZURE_TENANT_ID"], ClientID: variables["AZURE_CLIENT_ID"], Secret: variables["AZURE_CLIENT_SECRET"],
	}.Credential(library.AzureIdentity)
	if err != nil {
		w.Fatal(err)
	}
	token, err := credential.GetToken(w.Context(), policy.TokenRequestOptions{Scopes: []string{"api://orders/.default"}})
	if err != nil {
		w.Fatal(err)
	}
	if got := w.roles(token.Token); !slices.Equal(got, []string{"Orders.Read"}) {
		w.Errorf("roles %q", got)
	}
}

// Credentials that outlive their command have an end, say where they were made, and are removed by
// that machine alone; the application's own stay.
func TestLastingCredentialsFromAfar(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.as("lender", writer)
	actor, err := s.FindActor(t.Context(), "", "orders-client")
	if err != nil {
		t.Fatal(err)
	}
	before := w.credentials("orders-client")
	w.change(func(e *directory.Editor) error {
		_, _, err := e.Credentials().AddSecret(tenant, actor.Application.ID, "rolecall env at elsewhere", w.login.Clock().Now().Add(time.Hour))
		return err
	})
	issuer := s.Credentials("env", nil)
	made, value, err := issuer.AddSecret(t.Context(), actor.Application, time.Hour)
	if err != nil || value == "" || !made.Expires.Equal(w.login.Clock().Now().Add(time.Hour).Truncate(time.Second)) && made.Expires.Sub(w.login.Clock().Now()) > time.Hour {
		t.Fatalf("%v until %s", err, made.Expires)
	}
	if _, _, err := issuer.AddCertificate(t.Context(), actor.Application, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := issuer.ExtendSecret(t.Context(), actor.Application, made.ID, 2*time.Hour); err != nil {
		t.Error(err)
	}
	if removed, err := issuer.RemoveAll(t.Context(), actor.Application); err != nil || removed != 2 {
		t.Errorf("%d were removed, %v", removed, err)
	}
	if got, want := w.credentials("orders-client"), append(before, "rolecall env at elsewhere"); !slices.Equal(got, want) {
		t.Errorf("%q are left, want %q", got, want)
	}
	w.login.Clock().Advance(2 * time.Hour)
	if _, _, err := s.Credentials("token", nil).AddSecret(t.Context(), actor.Application, time.Hour); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(w.credentials("orders-client"), "rolecall env at elsewhere") {
		t.Error("an expired one is left")
	}
}
