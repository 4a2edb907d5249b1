package arm_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/internal/arm"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/insidetest"
)

const ownURL = "https://arm.contoso.test:8445"

// A world is an authority with an application for the manager, and the manager.
type world struct {
	*testing.T
	login *insidetest.Authority
	arm   http.Handler
}

func newWorld(t *testing.T) *world {
	t.Helper()
	login := insidetest.Start(t)
	_, err := login.Directory().Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		app, err := e.Applications().Create(directory.Application{
			Tenant: authoritytest.TenantID, Name: "resource-manager", IdentifierURIs: []string{arm.Resource}, TokenVersion: 1,
		})
		if err != nil {
			return err
		}
		_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: app.Tenant, AppID: app.AppID})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	manager, err := arm.New(arm.Config{
		Authority: login.URL, URL: ownURL, Directory: login.Directory(), HTTPClient: login.HTTPClient(), Now: login.Clock().Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(manager.Close)
	return &world{t, login, manager.Handler()}
}

// get asks with a token, which may be none.
func (w *world) get(path, raw string) (*httptest.ResponseRecorder, map[string]any) {
	w.Helper()
	request := httptest.NewRequestWithContext(w.Context(), http.MethodGet, path+"?api-version=2022-12-01", nil)
	if raw != "" {
		request.Header.Set("Authorization", "Bearer "+raw)
	}
	answer := httptest.NewRecorder()
	w.arm.ServeHTTP(answer, request)
	var body map[string]any
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
		w.Fatalf("%s: %v in %s", path, err, answer.Body)
	}
	return answer, body
}

func (w *world) token(scope string) string {
	w.Helper()
	token, err := w.login.Credential("report").GetToken(w.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		w.Fatal(err)
	}
	return token.Token
}

func TestACallerWithATokenIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw := w.token(arm.Resource + "/.default") // as the Azure CLI asks: two slashes
	answer, body := w.get("/subscriptions", raw)
	if list, ok := body["value"].([]any); answer.Code != http.StatusOK || !ok || len(list) != 0 {
		t.Errorf("subscriptions: %d %v, want none", answer.Code, body)
	}
	answer, body = w.get("/tenants", raw)
	list, _ := body["value"].([]any)
	if answer.Code != http.StatusOK || len(list) != 1 {
		t.Fatalf("tenants: %d %v, want one", answer.Code, body)
	}
	if one, _ := list[0].(map[string]any); one["tenantId"] != authoritytest.TenantID || one["id"] != "/tenants/"+authoritytest.TenantID {
		t.Errorf("tenants: %v", one)
	}
}

func TestOthersAreNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.token(arm.Resource + ".default")
	w.login.API("orders")
	for name, raw := range map[string]string{
		"nobody":           "",
		"no token":         "garbage",
		"another API's":    w.token("api://orders/.default"),
		"another tenant's": w.login.Bad().OtherTenant("report", "orders"),
		"tampered":         good[:len(good)-8] + "AAAAAAAA",
	} {
		for _, path := range []string{"/tenants", "/subscriptions"} {
			answer, body := w.get(path, raw)
			problem, _ := body["error"].(map[string]any)
			if answer.Code != http.StatusUnauthorized || problem["code"] != "AuthenticationFailed" || answer.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s, %s: %d %v", name, path, answer.Code, body)
			}
			if raw != "" && strings.Contains(answer.Body.String(), raw) {
				t.Errorf("%s, %s: the answer repeats the token", name, path)
			}
		}
	}
	if answer, _ := w.get("/subscriptions", good); answer.Code != http.StatusOK {
		t.Errorf("a good token afterwards: %d", answer.Code)
	}
}

func TestThereIsNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if answer, body := w.get("/subscriptions/x/resourcegroups", w.token(arm.Resource+".default")); answer.Code != http.StatusNotFound {
		t.Errorf("got %d %v", answer.Code, body)
	}
}

func TestEndpointsAreForEverybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answer, body := w.get("/metadata/endpoints", "")
	authentication, _ := body["authentication"].(map[string]any)
	if answer.Code != http.StatusOK || body["resourceManager"] != ownURL || body["microsoftGraphResourceId"] != ownURL || authentication["loginEndpoint"] != w.login.URL {
		t.Errorf("got %d %v", answer.Code, body)
	}
}

func TestAnIncompleteConfiguration(t *testing.T) {
	t.Parallel()
	for _, cfg := range []arm.Config{{}, {Authority: "https://localhost"}, {Authority: "https://localhost", URL: ownURL}} {
		if _, err := arm.New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}
