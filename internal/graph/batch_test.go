package graph_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// responses are those of a batch, by id.
func responses(t *testing.T, body map[string]any) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	list, _ := body["responses"].([]any)
	for _, one := range list {
		object, _ := one.(map[string]any)
		all[fmt.Sprint(object["id"])] = object
	}
	return all
}

func TestBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	app, appID, _ := w.api(admin, orders)
	got := responses(t, w.want(http.StatusOK, admin, http.MethodPost, "/v1.0/$batch", `{"requests":[
		{"id":"last","method":"GET","url":"/applications(appId='`+appID+`')?$select=notes","dependsOn":["change"]},
		{"id":"change","method":"PATCH","url":"applications/`+app+`","headers":{"Content-Type":"application/json"},"body":{"notes":"from a batch"}},
		{"id":"made","method":"POST","url":"/applications","headers":{"content-type":"application/json"},"body":{"displayName":"made"}},
		{"id":"count","method":"GET","url":"/applications/$count?$filter=displayName eq 'orders'","headers":{"ConsistencyLevel":"eventual"}},
		{"id":"missing","method":"GET","url":"/applications/11111111-1111-4111-8111-111111111111"},
		{"id":"depends","method":"DELETE","url":"/applications/`+app+`","dependsOn":["missing","change"]},
		{"id":"denied","method":"GET","url":"/users"},
		{"id":"nested","method":"POST","url":"/$batch","headers":{"Content-Type":"application/json"},"body":{"requests":[]}},
		{"id":"absolute","method":"GET","url":"https://graph.microsoft.com/v1.0/applications"},
		{"id":"host","method":"GET","url":"//example.org/applications"},
		{"id":"up","method":"GET","url":"/../beta/applications"},
		{"id":"no type","method":"POST","url":"/applications","body":{"displayName":"x"}},
		{"id":"other token","method":"GET","url":"/applications?$top=1","headers":{"Authorization":"Bearer x"}}]}`))
	for id, want := range map[string]float64{
		"last": 200, "change": 204, "made": 201, "count": 200, "missing": 404, "depends": 424, "denied": 403, "nested": 400, "absolute": 400, "host": 400, "up": 400,
		"no type": 400, "other token": 200,
	} {
		if got[id]["status"] != want {
			t.Errorf("%s: %v, want %v", id, got[id], want)
		}
	}
	if body, _ := got["last"]["body"].(map[string]any); body["notes"] != "from a batch" {
		t.Errorf("what depends on the change: %v", got["last"])
	}
	if got["count"]["body"] != "1" || got["change"]["body"] != nil {
		t.Errorf("bodies: %v %v", got["count"], got["change"])
	}
	if headers, _ := got["made"]["headers"].(map[string]any); !strings.HasPrefix(fmt.Sprint(headers["Location"]), ownURL+"/v1.0/applications/") || headers["Content-Type"] == nil {
		t.Errorf("headers: %v", got["made"])
	}
	if problem, _ := got["denied"]["body"].(map[string]any)["error"].(map[string]any); problem["code"] != "Authorization_RequestDenied" {
		t.Errorf("denied: %v", got["denied"])
	}
	w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/applications/"+app, nil)
}

// Microsoft's SDKs write the version in front of a path, and dependencies in two ways.
func TestBatchesOfTheSDKs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	got := responses(t, w.want(http.StatusOK, admin, http.MethodPost, "/v1.0/$batch", `{"requests":[
		{"id":"JavaScript","method":"GET","url":"/v1.0/applications?$top=1"},
		{"id":"a whole URL","method":"GET","url":"`+ownURL+`/v1.0/applications?$top=1"},
		{"id":"another host","method":"GET","url":"`+ownURL+`.example.org/v1.0/applications"},
		{"id":"another user","method":"GET","url":"`+ownURL+`@example.org/v1.0/applications"},
		{"id":"another version","method":"GET","url":"/beta/applications"},
		{"id":"twice","method":"GET","url":"/v1.0/v1.0/applications"},
		{"id":"Python","method":"GET","url":"/applications","depends_on":[],"headers":{"accept":"application/json"}},
		{"id":"behind","method":"GET","url":"/applications","depends_on":["twice"]}]}`))
	for id, want := range map[string]float64{"JavaScript": 200, "a whole URL": 200, "another host": 400, "another user": 400, "another version": 400, "twice": 400, "Python": 200, "behind": 424} {
		if got[id]["status"] != want {
			t.Errorf("%s: %v, want %v", id, got[id], want)
		}
	}
}

func TestBatchesThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	one := func(id string, more ...string) string {
		return `{"id":"` + id + `","method":"POST","url":"/applications","headers":{"Content-Type":"application/json"},"body":{"displayName":"half"}` + strings.Join(more, "") + `}`
	}
	many := make([]string, 21)
	for i := range many {
		many[i] = one(fmt.Sprint(i))
	}
	for _, tt := range []struct{ name, body, message string }{
		{"nothing", `{}`, "one request at least"},
		{"no requests", `{"requests":[]}`, "one request at least"},
		{"too many", `{"requests":[` + strings.Join(many, ",") + `]}`, "20 at most"},
		{"an id twice", `{"requests":[` + one("a") + "," + one("a") + `]}`, "two requests"},
		{"no id", `{"requests":[` + one("") + `]}`, "id, method and url"},
		{"an unknown dependency", `{"requests":[` + one("a", `,"dependsOn":["b"]`) + `]}`, "not another one"},
		{"on itself", `{"requests":[` + one("a", `,"dependsOn":["a"]`) + `]}`, "not another one"},
		{"an unknown method", `{"requests":[{"id":"a","method":"TRACE","url":"/me"}]}`, "TRACE"},
		{"an unknown member", `{"requests":[{"id":"a","method":"GET","url":"/me","token":"x"}]}`, "Invalid property"},
		{"headers that are none", `{"requests":[{"id":"a","method":"GET","url":"/me","headers":{"a":1}}]}`, "string"},
		{"a circle", `{"requests":[{"id":"a","method":"GET","url":"/me","dependsOn":["b"]},{"id":"b","method":"GET","url":"/me","dependsOn":["a"]}]}`, "circle"},
	} {
		got := w.do(admin, http.MethodPost, "/v1.0/$batch", tt.body)
		if code, message := got.problem(); got.Code != http.StatusBadRequest || code != "Request_BadRequest" || !strings.Contains(message, tt.message) {
			t.Errorf("%s: %d %s", tt.name, got.Code, got.Body)
		}
	}
	if got := w.do("", http.MethodPost, "/v1.0/$batch", `{"requests":[`+one("a")+`]}`); got.Code != http.StatusUnauthorized {
		t.Errorf("nobody: %d", got.Code)
	}
	if list := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/applications?$filter=displayName%20eq%20'half'", nil); len(valuesOf(list, "id")) != 0 {
		t.Errorf("half a batch was carried out: %v", list)
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All", "Policy.ReadWrite.ApplicationConfiguration")
	const path = "/v1.0/policies/defaultAppManagementPolicy"
	made := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", `{"displayName":"orders"}`)
	password := "/v1.0/applications/" + text(made, "id") + "/addPassword"
	if got := w.want(http.StatusOK, admin, http.MethodGet, path, nil); got["isEnabled"] != false || got["id"] != "00000000-0000-0000-0000-000000000000" {
		t.Errorf("at first: %v", got)
	}
	w.want(http.StatusOK, admin, http.MethodPost, password, "{}")
	w.want(http.StatusNoContent, admin, http.MethodPatch, path, `{"isEnabled":true,"applicationRestrictions":{"passwordCredentials":[{"restrictionType":"passwordLifetime","maxLifetime":"P30D","state":"enabled"}]}}`)
	for given, want := range map[string]int{
		`{}`: http.StatusBadRequest, `{"passwordCredential":{"endDateTime":"` + w.login.Clock().Now().AddDate(0, 0, 20).UTC().Format("2006-01-02T15:04:05Z") + `"}}`: http.StatusOK,
	} {
		if got := w.do(admin, http.MethodPost, password, given); got.Code != want {
			t.Errorf("%s: %d %s", given, got.Code, got.Body)
		}
	}
	w.want(http.StatusNoContent, admin, http.MethodPatch, path, `{"applicationRestrictions":{"passwordCredentials":[{"restrictionType":"passwordAddition","maxLifetime":null}]}}`)
	if got := w.do(admin, http.MethodPost, password, "{}"); got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), "forbids secrets") {
		t.Errorf("forbidden: %d %s", got.Code, got.Body)
	}
	if got := w.do(admin, http.MethodGet, path, nil); !strings.Contains(got.Body.String(), `"restrictionType":"passwordAddition"`) {
		t.Errorf("read: %s", got.Body)
	}
	for _, wrong := range []string{
		`{"isEnabled":1}`, `{"applicationRestrictions":{"colours":[]}}`, `{"applicationRestrictions":{"passwordCredentials":[{"restrictionType":"x"}]}}`,
		`{"applicationRestrictions":{"passwordCredentials":[{"restrictionType":"passwordLifetime","maxLifetime":"90 days"}]}}`,
		`{"applicationRestrictions":{"passwordCredentials":[{"restrictionType":"passwordLifetime","maxLifetime":"P"}]}}`,
		`{"applicationRestrictions":{"passwordCredentials":[{"restrictionType":"passwordLifetime","maxLifetime":"P999999D"}]}}`,
	} {
		if got := w.do(admin, http.MethodPatch, path, wrong); got.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", wrong, got.Code, got.Body)
		}
	}
}
