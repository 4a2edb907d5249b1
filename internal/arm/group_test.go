package arm_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/internal/arm"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A group is made, read, changed and deleted with what is in it.
func TestAGroupsLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withGraph()
	raw, path := w.token("writer", arm.Resource+".default"), w.id+"/resourceGroups/Shop"
	w.is(w.do("HEAD", path, raw, ""), http.StatusNotFound, "ResourceGroupNotFound")
	w.is(w.do("PUT", path, raw, `{}`), http.StatusBadRequest, "LocationRequired")
	w.is(w.do("PUT", w.id+"/resourceGroups/a%20b", raw, `{"location":"local"}`), http.StatusBadRequest, "BadRequest")
	w.is(w.do("DELETE", path, raw, ""), http.StatusNotFound, "ResourceGroupNotFound")
	made := w.do("PUT", path, raw, `{"location":"West Europe","tags":{"env":"prod"}}`)
	w.is(made, http.StatusCreated, "")
	for member, want := range map[string]any{
		"id": path, "name": "Shop", "type": "Microsoft.Resources/resourceGroups", "location": "westeurope", "tags.env": "prod", "properties.provisioningState": "Succeeded",
	} {
		if made.at(member) != want {
			t.Errorf("%s is %v, want %v", member, made.at(member), want)
		}
	}
	for _, spelled := range []string{path, strings.ToUpper(path), strings.Replace(path, "resourceGroups", "resourcegroups", 1)} {
		if got := w.get(spelled, raw); got.text != made.text {
			t.Errorf("%s: %d %s", spelled, got.status, got.text)
		}
	}
	w.is(w.do("HEAD", path, raw, ""), http.StatusNoContent, "")
	w.is(w.do("PUT", path, raw, `{"location":"local"}`), http.StatusConflict, "InvalidResourceGroupLocation")
	for _, tt := range []struct{ method, body, tags string }{
		{"PATCH", `{}`, `{"env":"prod"}`}, {"PATCH", `{"tags":{"env":"test"}}`, `{"env":"test"}`}, {"PUT", `{"location":"westeurope"}`, `{}`},
		{"PUT", `{"location":"westeurope","tags":{"Team":"orders"}}`, `{"Team":"orders"}`},
	} {
		if got := w.do(tt.method, path, raw, tt.body); got.status != http.StatusOK || !strings.Contains(got.text, `"tags":`+tt.tags) || w.get(path, raw).text != got.text {
			t.Errorf("%s %s: %d %s", tt.method, tt.body, got.status, got.text)
		}
	}
	for filter, want := range map[string]string{
		"": "rolecall Shop", "?$filter=tagName%20eq%20'team'": "Shop", "?$filter=tagName%20eq%20'team'%20and%20tagValue%20eq%20'orders'": "Shop",
		"?$filter=tagName%20eq%20'team'%20and%20tagValue%20eq%20'other'": "",
	} {
		if got := w.get(w.id+"/resourcegroups"+filter, raw).values("name"); strings.Join(got, " ") != want {
			t.Errorf("%s: %v", filter, got)
		}
	}
	in := path + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/in-shop"
	w.is(w.do("PUT", in, raw, `{"location":"westeurope"}`), http.StatusCreated, "")
	w.is(w.do("PUT", w.at("beside"), raw, `{"location":"local"}`), http.StatusCreated, "")
	if got := w.get(path+"/resources?$filter=resourceType%20eq%20'Microsoft.ManagedIdentity/userAssignedIdentities'", raw).values("name"); strings.Join(got, " ") != "in-shop" {
		t.Errorf("resources: %v", got)
	}
	if got := w.get(path+"/resources?$filter=resourceType%20eq%20'Microsoft.Web/sites'", raw); got.status != http.StatusOK || len(got.values("name")) != 0 {
		t.Errorf("resources of another type: %d %s", got.status, got.text)
	}
	w.is(w.do("DELETE", path, raw, ""), http.StatusOK, "")
	w.is(w.get(in, raw), http.StatusNotFound, "ResourceGroupNotFound")
	w.is(w.get(w.at("beside"), raw), http.StatusOK, "")
	if _, err := w.login.Directory().View(t.Context()).Identities().Find(authoritytest.TenantID, "in-shop"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("the identity in the group: %v", err)
	}
}

// The default group is there without an entry and cannot go; a group that an id names is there, too.
func TestGroupsThatNobodyMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply("    applications:" + graph + `
    managedIdentities:
      - {name: default-mi, type: user}
      - {name: named-mi, type: user, resourceId: ` + w.id + `/resourcegroups/Named/providers/Microsoft.ManagedIdentity/userAssignedIdentities/named-mi}
      - {name: web-mi, type: system, resourceId: ` + w.id + `/resourcegroups/Sites/providers/Microsoft.Web/sites/web-mi}
      - {name: far-mi, type: user, resourceId: /subscriptions/5ab50001-5a5a-4c4c-8d8d-000000000001/resourcegroups/far/providers/Microsoft.ManagedIdentity/userAssignedIdentities/far-mi}
`)
	w.login.Grant("writer", "graph", "Application.ReadWrite.All")
	raw, far := w.token("writer", arm.Resource+".default"), "/subscriptions/5ab50001-5a5a-4c4c-8d8d-000000000001/resourceGroups"
	for path, want := range map[string]string{w.id + "/resourceGroups": "Named rolecall Sites", far: "far"} {
		if got := w.get(path, raw).values("name"); strings.Join(got, " ") != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	w.is(w.do("DELETE", w.id+"/resourceGroups/RoleCall", raw, ""), http.StatusConflict, "ResourceGroupDeletionBlocked")
	tagged := w.do("PATCH", w.id+"/resourceGroups/rolecall", raw, `{"tags":{"a":"b"}}`)
	if w.is(tagged, http.StatusOK, ""); tagged.at("tags.a") != "b" || w.get(w.id+"/resourceGroups/rolecall", raw).text != tagged.text {
		t.Errorf("the default group: %s", tagged.text)
	}
	w.is(w.do("PUT", w.id+"/resourceGroups/rolecall", raw, `{"location":"local","tags":{}}`), http.StatusOK, "")
	w.is(w.do("DELETE", w.id+"/resourceGroups/rolecall", raw, ""), http.StatusConflict, "ResourceGroupDeletionBlocked")
	w.is(w.do("DELETE", w.id+"/resourceGroups/named", raw, ""), http.StatusOK, "")
	w.is(w.get(w.id+"/resourceGroups/named", raw), http.StatusNotFound, "ResourceGroupNotFound")
	w.is(w.do("DELETE", w.id+"/resourceGroups/sites", raw, ""), http.StatusBadRequest, "BadRequest") // with a system-assigned identity in it
	if got := w.get(w.id+"/resourceGroups", raw).values("name"); strings.Join(got, " ") != "rolecall Sites" {
		t.Errorf("groups: %v", got)
	}
	for method, path := range map[string]string{"DELETE": far + "/far", "PATCH": far + "/far"} {
		w.is(w.do(method, path, raw, `{"tags":{"a":"b"}}`), http.StatusConflict, "Conflict")
	}
	w.is(w.do("PUT", far+"/new", raw, `{"location":"local"}`), http.StatusNotFound, "ResourceGroupNotFound")
	w.is(w.get(far+"/far/providers/Microsoft.ManagedIdentity/userAssignedIdentities/far-mi", raw), http.StatusOK, "")
	group, err := w.login.Directory().View(t.Context()).ResourceGroups().Find(authoritytest.TenantID, "rolecall")
	if err != nil {
		t.Fatal(err)
	}
	w.is(w.get(w.id+"/resourceGroups/"+string(group.ID), raw), http.StatusNotFound, "ResourceGroupNotFound")
}
