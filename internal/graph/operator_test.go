package graph_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/graph"
)

// The operator of the machine needs no token, stays within one tenant, and stands in the audit
// trail by the command.
func TestOperatorManagesOneTenant(t *testing.T) {
	w := newWorld(t)
	api, err := graph.New(graph.Config{Authority: w.login.URL, URL: ownURL, Directory: w.login.Directory(), HTTPClient: w.login.HTTPClient(), Now: w.login.Clock().Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	found, err := w.login.Directory().Tenant(t.Context(), string(tenant))
	if err != nil {
		t.Fatal(err)
	}
	operator := api.Operator(found, "cli:app create")
	do := func(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		r := httptest.NewRequest(method, ownURL+"/v1.0/"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(answer, r)
		return answer
	}
	if got := do(operator, http.MethodPost, "applications", `{"displayName":"by the operator"}`); got.Code != http.StatusCreated {
		t.Fatalf("%d %s", got.Code, got.Body)
	}
	if got := do(operator, http.MethodGet, "applications?$filter=displayName%20eq%20'by%20the%20operator'", ""); !strings.Contains(got.Body.String(), `"by the operator"`) {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if got := do(operator, http.MethodGet, "applications/nothing", ""); got.Code != http.StatusNotFound {
		t.Errorf("what is not there: %d %s", got.Code, got.Body)
	}
	if got := do(api.Handler(), http.MethodGet, "applications", ""); got.Code != http.StatusUnauthorized {
		t.Errorf("without a token, everybody else got %d", got.Code)
	}
	rows, err := w.login.Directory().AuditRows(t.Context(), 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	if last := rows[len(rows)-1]; last.Actor != "cli:app create" || last.ActorKind != "operator" || last.Name != "by the operator" {
		t.Errorf("the audit trail ends with %+v", last.Event)
	}
}
