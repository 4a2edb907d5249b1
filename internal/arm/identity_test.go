package arm_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/internal/arm"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// at is the path of an identity of the default group.
func (w *world) at(name string) string {
	return w.id + "/resourcegroups/rolecall/providers/Microsoft.ManagedIdentity/userAssignedIdentities/" + name
}

// An identity is made, read, changed and deleted as the Azure CLI and Terraform do it, and the
// directory sees what they see.
func TestAnIdentitysLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withGraph()
	raw, path := w.token("writer", arm.Resource+".default"), w.at("orders-mi")
	w.is(w.get(path, raw), http.StatusNotFound, "ResourceNotFound")
	w.is(w.do("DELETE", path, raw, ""), http.StatusNoContent, "")
	w.is(w.do("PUT", path, raw, `{}`), http.StatusBadRequest, "LocationRequired")
	w.is(w.do("PUT", path, raw, `{"location":7}`), http.StatusBadRequest, "InvalidRequestContent")
	w.is(w.do("PUT", path, raw, `{"location":"x","location":"y"}`), http.StatusBadRequest, "InvalidRequestContent")
	w.is(w.do("PUT", path, raw, `{"location":"`+strings.Repeat("x", 1<<20)+`"}`), http.StatusRequestEntityTooLarge, "RequestContentTooLarge")
	w.is(w.do("PUT", w.at("or%20ders"), raw, `{"location":"local"}`), http.StatusBadRequest, "InvalidResourceName")
	w.is(w.do("PATCH", path, raw, `{}`), http.StatusNotFound, "ResourceNotFound")

	far := w.do("PUT", w.at("far-mi"), raw, `{"location":"West Europe","tags":{"env":"prod"}}`)
	if w.is(far, http.StatusCreated, ""); far.at("location") != "westeurope" || far.at("tags.env") != "prod" {
		t.Errorf("far: %s", far.text)
	}
	made := w.do("PUT", path, raw, `{"location":"local","properties":{"principalId":"ignored"},"unheardOf":[1]}`)
	w.is(made, http.StatusCreated, "")
	principal, err := w.login.Directory().View(t.Context()).Identities().Find(authoritytest.TenantID, "orders-mi")
	if err != nil {
		t.Fatal(err)
	}
	for member, want := range map[string]any{
		"id": path, "name": "orders-mi", "type": "Microsoft.ManagedIdentity/userAssignedIdentities", "location": "local",
		"properties.tenantId": authoritytest.TenantID, "properties.principalId": string(principal.ID), "properties.clientId": string(principal.AppID),
	} {
		if made.at(member) != want {
			t.Errorf("%s is %v, want %v", member, made.at(member), want)
		}
	}
	if principal.IdentityKind != directory.IdentityUser || principal.ResourceID != path || principal.Label() != "orders-mi" {
		t.Errorf("got %+v", principal)
	}
	for _, spelled := range []string{path, strings.ToUpper(path), strings.Replace(path, "resourcegroups", "resourceGroups", 1), path + "/"} {
		if got := w.get(spelled, raw); got.status != http.StatusOK || got.text != made.text {
			t.Errorf("%s: %d %s", spelled, got.status, got.text)
		}
	}
	again := w.do("PUT", path, raw, `{"location":"Local"}`)
	if w.is(again, http.StatusOK, ""); again.text != made.text {
		t.Errorf("made again: %s", again.text)
	}
	w.is(w.do("PUT", path, raw, `{"location":"westeurope"}`), http.StatusConflict, "InvalidResourceLocation")
	for _, tt := range []struct{ method, body, tags string }{
		{"PATCH", `{"tags":{"env":"prod","Team":"orders"}}`, `{"Team":"orders","env":"prod"}`},
		{"PATCH", `{}`, `{"Team":"orders","env":"prod"}`},
		{"PATCH", `{"tags":{"env":"test"}}`, `{"env":"test"}`},
		{"PUT", `{"location":"local","tags":{"a":"b"}}`, `{"a":"b"}`},
		{"PUT", `{"location":"local"}`, `{}`},
	} {
		got := w.do(tt.method, path, raw, tt.body)
		if w.is(got, http.StatusOK, ""); !strings.Contains(got.text, `"tags":`+tt.tags) || w.get(path, raw).text != got.text {
			t.Errorf("%s %s: %s", tt.method, tt.body, got.text)
		}
	}
	w.is(w.do("PATCH", path, raw, `{"tags":{"":"x"}}`), http.StatusBadRequest, "BadRequest")
	w.is(w.do("DELETE", path, raw, ""), http.StatusOK, "")
	w.is(w.get(path, raw), http.StatusNotFound, "ResourceNotFound")
	if again := w.do("PUT", path, raw, `{"location":"local"}`); again.status != http.StatusCreated || again.at("properties.principalId") == string(principal.ID) {
		t.Errorf("after it was deleted: %d %s", again.status, again.text)
	}
}

// rolecall.yaml and the manager name the same identities, whichever made them.
func TestYAMLAndTheManagerSeeTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const elsewhere = "/subscriptions/5ab50001-5a5a-4c4c-8d8d-000000000001/resourcegroups/orders/providers/Microsoft.ManagedIdentity/userAssignedIdentities/placed-mi"
	yaml := "    applications:" + graph + `
    managedIdentities:
      - {name: batch-mi, type: user}
      - {name: placed-mi, type: user, resourceId: ` + elsewhere + `}
      - {name: web-mi, type: system}
`
	w.apply(yaml)
	w.login.Grant("writer", "graph", "Application.ReadWrite.All")
	raw := w.token("writer", arm.Resource+".default")
	w.is(w.get(w.at("batch-mi"), raw), http.StatusOK, "")
	w.is(w.get(elsewhere, raw), http.StatusOK, "")
	if got := w.get("/subscriptions", raw).values("subscriptionId"); len(got) != 2 || "/subscriptions/"+got[0] != w.id || got[1] != "5ab50001-5a5a-4c4c-8d8d-000000000001" {
		t.Errorf("subscriptions: %v", got)
	}
	w.is(w.do("PUT", w.at("made-mi"), raw, `{"location":"local"}`), http.StatusCreated, "")
	for _, path := range []string{w.id + "/resourceGroups/rolecall/providers/Microsoft.ManagedIdentity/userAssignedIdentities", w.id + "/resources"} {
		if got := w.get(path, raw).values("name"); strings.Join(got, " ") != "batch-mi made-mi" {
			t.Errorf("%s: %v", path, got)
		}
	}
	system := w.get(w.id+"/resourceGroups/rolecall/providers/Microsoft.Web/sites/web-mi/providers/Microsoft.ManagedIdentity/identities/default", raw)
	web, err := w.login.Directory().View(t.Context()).Identities().Find(authoritytest.TenantID, "web-mi")
	if err != nil {
		t.Fatal(err)
	}
	if system.status != http.StatusOK || system.at("name") != "default" || system.at("properties.principalId") != string(web.ID) || system.at("type") != "Microsoft.ManagedIdentity/identities" {
		t.Errorf("system: %d %s", system.status, system.text)
	}
	for _, user := range []string{w.at("batch-mi"), w.at("web-mi")} { // neither has a system-assigned identity
		w.is(w.get(user+"/providers/Microsoft.ManagedIdentity/identities/default", raw), http.StatusNotFound, "ResourceNotFound")
	}
	w.is(w.get(w.at("web-mi"), raw), http.StatusNotFound, "ResourceNotFound")
	w.apply(yaml + "      - {name: made-mi, type: user}\n") // which takes over the one there is
	made, err := w.login.Directory().View(t.Context()).Identities().Find(authoritytest.TenantID, w.at("made-mi"))
	if err != nil || made.Name != "made-mi" {
		t.Errorf("got %+v, %v", made, err)
	}
}

// A name that an application has is no obstacle: the identity is then known by its ARM id.
func TestANameThatIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withGraph()
	raw := w.token("writer", arm.Resource+".default")
	w.is(w.do("PUT", w.at("writer"), raw, `{"location":"local"}`), http.StatusCreated, "")
	found, err := w.login.Directory().View(t.Context()).Identities().Find(authoritytest.TenantID, w.at("writer"))
	if err != nil || found.Name != "" || found.DisplayName != "writer" {
		t.Errorf("got %+v, %v", found, err)
	}
}

// Lists come in pages, whose links lead on until all was seen once.
func TestIdentitiesInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withGraph()
	w.change(func(e *directory.Editor) error {
		for i := range 230 {
			_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{
				Tenant: authoritytest.TenantID, Type: directory.PrincipalManagedIdentity, IdentityKind: directory.IdentityUser, Name: fmt.Sprintf("mi-%03d", i),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	raw := w.token("report", arm.Resource+".default")
	for _, form := range []string{"/resourceGroups/rolecall/providers/Microsoft.ManagedIdentity/userAssignedIdentities", "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"} {
		seen, pages := map[string]bool{}, 0
		for path := w.id + form + "?api-version=2023-01-31"; path != ""; pages++ {
			got := w.get(path, raw)
			if got.status != http.StatusOK {
				t.Fatalf("%s: %d %s", path, got.status, got.text)
			}
			for _, name := range got.values("name") {
				if seen[name] {
					t.Errorf("%s twice", name)
				}
				seen[name] = true
			}
			next, _ := got.at("nextLink").(string)
			var ours bool
			if path, ours = strings.CutPrefix(next, ownURL); next != "" && !ours {
				t.Fatalf("the link %s leads elsewhere", next)
			}
		}
		if len(seen) != 230 || pages != 3 {
			t.Errorf("%s: %d identities on %d pages", form, len(seen), pages)
		}
	}
	w.is(w.get(w.id+"/providers/Microsoft.ManagedIdentity/userAssignedIdentities?$skiptoken=*&api-version=2023-01-31", raw), http.StatusBadRequest, "InvalidSkipToken")
}

// A federated credential is put in place of what was there, and proves the identity as one of
// rolecall.yaml does.
func TestFederatedCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withGraph()
	raw, of := w.token("writer", arm.Resource+".default"), w.at("orders-mi")+"/federatedIdentityCredentials"
	w.is(w.get(of, raw), http.StatusNotFound, "ResourceNotFound")
	w.is(w.do("PUT", of+"/k8s", raw, bodyOf("{credential}")), http.StatusNotFound, "ResourceNotFound")
	w.is(w.do("PUT", w.at("orders-mi"), raw, `{"location":"local"}`), http.StatusCreated, "")
	w.is(w.get(of+"/k8s", raw), http.StatusNotFound, "NotFound")
	for body, code := range map[string]string{
		`{}`: "BadRequest", `{"properties":{"issuer":"https://issuer.test","subject":"x"}}`: "BadRequest",
		`{"properties":{"issuer":"no url","subject":"x","audiences":["a"]}}`:                                                                                      "BadRequest",
		`{"properties":{"issuer":"https://issuer.test","subject":"x","audiences":["a","b"]}}`:                                                                     "BadRequest",
		`{"properties":{"issuer":"https://issuer.test","audiences":["a"],"claimsMatchingExpression":{"value":"claims['sub'] matches 'x*'","languageVersion":2}}}`: "BadRequest",
		`[]`: "InvalidRequestContent",
	} {
		w.is(w.do("PUT", of+"/k8s", raw, body), http.StatusBadRequest, code)
	}
	made := w.do("PUT", of+"/k8s", raw, bodyOf("{credential}"))
	w.is(made, http.StatusCreated, "")
	for member, want := range map[string]any{
		"id": of + "/k8s", "name": "k8s", "type": "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
		"properties.issuer": "https://issuer.test", "properties.subject": "system:serviceaccount:shop:orders",
	} {
		if made.at(member) != want {
			t.Errorf("%s is %v, want %v", member, made.at(member), want)
		}
	}
	w.is(w.do("PUT", of+"/other", raw, bodyOf("{credential}")), http.StatusConflict, "Conflict")
	again := w.do("PUT", of+"/K8S", raw, bodyOf("{credential}"))
	if w.is(again, http.StatusOK, ""); again.text != made.text {
		t.Errorf("put again: %s", again.text)
	}
	changed := w.do("PUT", of+"/k8s", raw, strings.Replace(bodyOf("{credential}"), "shop:orders", "shop:billing", 1))
	if w.is(changed, http.StatusOK, ""); changed.at("properties.subject") != "system:serviceaccount:shop:billing" {
		t.Errorf("changed: %s", changed.text)
	}
	flexible := w.do("PUT", of+"/branches", raw, `{"properties":{"issuer":"https://token.actions.githubusercontent.com","audiences":["api://AzureADTokenExchange"],
		"claimsMatchingExpression":{"value":"claims['sub'] matches 'repo:contoso/orders:ref:refs/heads/*'","languageVersion":1}}}`)
	if w.is(flexible, http.StatusCreated, ""); flexible.at("properties.claimsMatchingExpression.languageVersion") != 1.0 {
		t.Errorf("flexible: %s", flexible.text)
	}
	if got := w.get(of, raw).values("name"); strings.Join(got, " ") != "k8s branches" {
		t.Errorf("list: %v", got)
	}
	w.is(w.do("DELETE", of+"/k8s", raw, ""), http.StatusOK, "")
	w.is(w.do("DELETE", of+"/k8s", raw, ""), http.StatusNoContent, "")
	if got := w.get(of, raw).values("name"); strings.Join(got, " ") != "branches" {
		t.Errorf("list: %v", got)
	}
}

// What has an identity is the hosts of the directory.
func TestAssociatedResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply("    applications:" + graph + `
    managedIdentities:
      - {name: batch-mi, type: user}
      - {name: other-mi, type: user}
    hosts:
      - {name: agent, via: imds, identities: [other-mi, batch-mi], listen: "127.0.0.1:8450", from: [127.0.0.1]}
      - {name: box, identities: [other-mi], listen: "127.0.0.1:8451"}
`)
	got := w.do("POST", w.at("batch-mi")+"/listAssociatedResources", w.token("report", arm.Resource+".default"), "")
	if names := got.values("name"); got.status != http.StatusOK || strings.Join(names, " ") != "agent" || got.values("type")[0] != "microsoft.compute/virtualmachines" ||
		got.values("resourceGroup")[0] != "rolecall" || got.at("totalCount") != 1.0 {
		t.Errorf("got %d %s", got.status, got.text)
	}
}
