package graph_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graph"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/inprocess"
)

// worker makes a managed identity that holds Orders.Read, and some roles of Graph.
func (w *world) worker(name string, roles ...string) *directory.ServicePrincipal {
	w.Helper()
	w.login.UserAssignedIdentity(name, "orders", "Orders.Read")
	var made *directory.ServicePrincipal
	w.change(func(e *directory.Editor) (err error) {
		if made, err = e.ServicePrincipals().Find(tenant, name); err != nil {
			return err
		}
		return w.giveGraph(e, made.ID, roles...)
	})
	return made
}

// giveGraph gives a principal app roles of Graph.
func (w *world) giveGraph(e *directory.Editor, holder directory.ObjectID, roles ...string) error {
	w.Helper()
	api, err := e.Applications().FindAPI(tenant, graph.AppID)
	if err != nil {
		return err
	}
	resource, err := e.ServicePrincipals().FindAPI(tenant, graph.AppID)
	if err != nil {
		return err
	}
	for _, value := range roles {
		role, ok := api.Role(value)
		if !ok {
			w.Fatalf("Graph has no role %s", value)
		}
		if _, _, err := e.Assignments().Add(tenant, holder, resource.ID, role.ID); err != nil {
			return err
		}
	}
	return nil
}

func lending(p *directory.ServicePrincipal) string {
	return "/v1.0/servicePrincipals/" + string(p.ID) + "/rolecall.getToken"
}

const forOrders = `{"resource":"api://orders"}`

// claimsOf reads a token.
func claimsOf(t *testing.T, raw string) map[string]any {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// The token is the identity's own, lasts as long as an application's, and the sign-in names who
// got it. The token itself stands nowhere but in the answer.
func TestLentToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log strings.Builder
	api, err := graph.New(graph.Config{
		Authority: w.login.URL, URL: ownURL, Directory: w.login.Directory(), HTTPClient: w.login.HTTPClient(), Minter: w.login.Issuer(), Now: w.login.Clock().Now,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	w.graph = api.Handler()
	worker, writer := w.worker("worker"), w.app("writer", "Application.ReadWrite.All", "AuditLog.Read.All")
	const correlation = "0a1b2c3d-1111-4222-8333-444455556666"
	got := w.do(writer, http.MethodPost, lending(worker), `{"resource":"api://orders","correlationId":"`+correlation+`"}`)
	if got.Code != http.StatusOK || got.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %s", got.Code, got.Header(), got.Body)
	}
	raw := text(got.body, "accessToken")
	for name, want := range map[string]any{
		"@odata.context": ownURL + "/v1.0/$metadata#rolecall.token", "tokenType": "Bearer", "resource": "api://orders", "appId": string(worker.AppID),
		"principalId": string(worker.ID), "tenantId": string(tenant), "resourceId": worker.ResourceID, "correlationId": correlation,
	} {
		if got.body[name] != want {
			t.Errorf("%s is %v, want %v", name, got.body[name], want)
		}
	}
	claims := claimsOf(t, raw)
	if claims["oid"] != string(worker.ID) || claims["tid"] != string(tenant) || len(claims["roles"].([]any)) != 1 || claims["roles"].([]any)[0] != "Orders.Read" {
		t.Errorf("claims: %v", claims)
	}
	if left := time.Unix(int64(claims["exp"].(float64)), 0).Sub(w.login.Clock().Now()); left > 91*time.Minute {
		t.Errorf("it lasts for %v", left)
	}
	if err := w.login.Issuer().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := w.login.Directory().SignIns(t.Context(), directory.SignInFilter{Tenant: tenant, AppID: worker.AppID})
	if err != nil || len(rows) != 1 {
		t.Fatalf("%v %v", rows, err)
	}
	borrower := rows[0].Borrower
	if borrower == nil || borrower.Kind != directory.ActorApplication || borrower.Name != "writer" || string(borrower.ID) != w.principal("writer") || rows[0].CorrelationID != correlation || rows[0].TraceID != text(got.body, "traceId") {
		t.Errorf("row: %+v, borrower %+v", rows[0], borrower)
	}
	list := w.want(http.StatusOK, writer, http.MethodGet, "/beta/auditLogs/signIns?$filter=signInEventTypes/any(t:%20t%20eq%20'managedIdentity')", nil)["value"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["status"].(map[string]any)["additionalDetails"] != "Lent to application writer." {
		t.Errorf("sign-ins: %v", list)
	}
	written, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(written), raw) || strings.Contains(log.String(), raw) {
		t.Error("the token is in the sign-ins, or in the log")
	}
}

// An identity that may change the directory lends that to nobody who may not.
func TestLendingGivesNobodyMoreRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	e := w.newEstate("")
	user := func(role, scopes string) string { return e.token(person{user: role, scopes: scopes}) }
	writer := w.app("lender", "Application.ReadWrite.All")
	callers := []struct{ name, token string }{
		{"a writer of applications", writer},
		{"a writer who gives roles", w.app("giver", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")},
		{"a writer who reads users", w.app("userreader", "Application.ReadWrite.All", "User.Read.All")},
		{"an application administrator by a tool", user("Application Administrator", "user_impersonation")},
		{"a cloud application administrator by a tool", user("Cloud Application Administrator", "Directory.AccessAsUser.All")},
		{"a global administrator by a tool", user("Global Administrator", "user_impersonation")},
		{"a global administrator who lets write applications alone", user("Global Administrator", "Application.ReadWrite.All")},
		{"a global administrator who lets give roles", user("Global Administrator", "Application.ReadWrite.All AppRoleAssignment.ReadWrite.All")},
	}
	for _, tt := range []struct {
		identity string
		roles    []string
		want     string // y or n, in the order of callers
	}{
		{"plain", nil, "yyyyyyyy"},
		{"reads-users", []string{"User.Read.All"}, "nyynnyny"},
		{"writes", []string{"Application.ReadWrite.All"}, "yyynnyny"},
		{"gives", []string{"AppRoleAssignment.ReadWrite.All"}, "nynnnyny"},
		{"writes-and-reads", []string{"Application.ReadWrite.All", "Directory.Read.All"}, "nynnnyny"},
	} {
		identity := w.worker(tt.identity, tt.roles...)
		for i, caller := range callers {
			for _, body := range []string{forOrders, `{"resource":"https://graph.microsoft.com"}`} {
				got := w.do(caller.token, http.MethodPost, lending(identity), body)
				want := map[byte]int{'y': http.StatusOK, 'n': http.StatusForbidden}[tt.want[i]]
				if got.Code != want {
					t.Errorf("%s as %s: %d %s, want %d", caller.name, tt.identity, got.Code, got.Body, want)
				}
				if want == http.StatusForbidden && (outcome(got) != 'd' || !strings.Contains(got.Body.String(), "AppRoleAssignment.ReadWrite.All") || strings.Contains(got.Body.String(), "accessToken")) {
					t.Errorf("%s as %s: %s", caller.name, tt.identity, got.Body)
				}
			}
		}
	}
	// What an identity was given a moment ago counts.
	plain := w.worker("plain")
	w.change(func(e *directory.Editor) error { return w.giveGraph(e, plain.ID, "Directory.ReadWrite.All") })
	if got := w.do(writer, http.MethodPost, lending(plain), forOrders); got.Code != http.StatusForbidden {
		t.Errorf("after a role was given: %d %s", got.Code, got.Body)
	}
}

func TestWhatIsNotLent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	worker, writer := w.worker("worker"), w.app("writer", "Application.ReadWrite.All")
	foreign := w.foreign()
	refused := func(what string, got reply, status int, code, says string) {
		t.Helper()
		if is, _ := got.problem(); got.Code != status || is != code || !strings.Contains(got.Body.String(), says) {
			t.Errorf("%s: %d %s, want %d %s, %s", what, got.Code, got.Body, status, code, says)
		}
	}
	ask := func(token, body string) reply { return w.do(token, http.MethodPost, lending(worker), body) }
	refused("an unknown API", ask(writer, `{"resource":"api://nowhere"}`), 400, "AADSTS500011", "rolecall explain --correlation-id")
	refused("no API", ask(writer, `{}`), 400, "Request_BadRequest", "'resource'")
	refused("a misspelled member", ask(writer, `{"resource":"api://orders","claim":"{}"}`), 400, "Request_BadRequest", "'claim'")
	refused("claims that are none", ask(writer, `{"resource":"api://orders","claims":"{"}`), 400, "AADSTS9002313", "claims")
	e := w.newEstate("")
	refused("a correlation id that is no GUID", ask(writer, `{"resource":"api://orders","correlationId":"7"}`), 400, "Request_BadRequest", "'correlationId'")
	refused("an application", w.do(writer, http.MethodPost, lending(e.principal), forOrders), 400, "Request_BadRequest", "addPassword")
	refused("another tenant's", w.do(foreign, http.MethodPost, lending(worker), forOrders), 404, "Request_ResourceNotFound", "")
	refused("another tenant's, by its app id", w.do(foreign, http.MethodPost, "/v1.0/servicePrincipals(appId='"+string(worker.AppID)+"')/rolecall.getToken", forOrders), 404, "Request_ResourceNotFound", "")
	w.login.Disable("worker")
	refused("a disabled identity", ask(writer, forOrders), 400, "AADSTS7000112", "disabled")
	w.login.Enable("worker")
	if got := ask(writer, forOrders); got.Code != http.StatusOK {
		t.Errorf("enabled again: %d %s", got.Code, got.Body)
	}
	w.login.Disable("writer")
	refused("a disabled caller", ask(writer, forOrders), 403, "Authorization_IdentityNotFound", "")
}

// The operator of the machine needs no right, and leaves the command as who borrowed.
func TestOperatorBorrows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	worker := w.worker("worker", "Directory.ReadWrite.All")
	found, err := w.login.Directory().Tenant(t.Context(), string(tenant))
	if err != nil {
		t.Fatal(err)
	}
	for _, minter := range []graph.Minter{w.login.Issuer(), nil} {
		api, err := graph.New(graph.Config{Authority: w.login.URL, URL: ownURL, Directory: w.login.Directory(), HTTPClient: w.login.HTTPClient(), Minter: minter})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(api.Close)
		client := &graphclient.Client{Base: ownURL + "/v1.0", HTTP: &http.Client{Transport: inprocess.Transport{Handler: api.Operator(found, "cli:token")}}}
		got, err := client.IdentityToken(t.Context(), string(worker.ID), graphclient.IdentityTokenRequest{Resource: "api://orders"})
		if minter == nil {
			if refused, is := errors.AsType[*graphclient.Error](err); !is || refused.Status != http.StatusNotImplemented {
				t.Errorf("without a minter: %+v %v", got, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		left := got.Expires.Sub(w.login.Clock().Now())
		if claimsOf(t, got.Token)["oid"] != got.ObjectID || got.ObjectID != string(worker.ID) || got.ClientID != string(worker.AppID) || got.ResourceID != worker.ResourceID || left < 50*time.Minute || !got.NotBefore.Before(got.Expires) {
			t.Errorf("%+v", got)
		}
	}
	if err := w.login.Issuer().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := w.login.Directory().SignIns(t.Context(), directory.SignInFilter{Tenant: tenant, AppID: worker.AppID})
	if err != nil || len(rows) != 1 || rows[0].Borrower == nil || rows[0].Borrower.String() != "operator cli:token" {
		t.Errorf("%+v %v", rows, err)
	}
}
