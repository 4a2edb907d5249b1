package manifest_test

import (
	"slices"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// A client asks for the scopes of a resource that nobody registers. Nothing of that resource
// enters the directory, so pruning finds nothing to remove.
func TestPermissionForABuiltinResource(t *testing.T) {
	t.Parallel()
	const file = `tenants:
  - name: contoso
    applications:
      - name: azure-cli
        appId: 04b07795-8ddb-461a-bbee-02f9e1bf7b46
        public: true
        permissions: [{api: "https://management.azure.com/", scopes: [user_impersonation], consent: true}]
`
	s := newSite(t)
	want := []string{
		"create tenant contoso", "create application azure-cli", "create servicePrincipal azure-cli",
		"update application azure-cli",
		"create delegatedGrant azure-cli → Azure Resource Manager for everyone",
	}
	result, err := s.apply(file, manifest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, note := range result.Notes {
		got = append(got, note.Action+" "+note.Kind+" "+note.Name)
	}
	if !slices.Equal(got, want) || len(result.Replaced) > 0 {
		t.Errorf("got %q, %v", got, result.Replaced)
	}
	for _, prune := range []bool{false, true} {
		if again := s.mustApply(file, manifest.Options{Prune: prune}); len(again) > 0 {
			t.Errorf("applied again (prune: %v): %q", prune, again)
		}
	}
}

// An application with the id or an identifier of a built-in resource takes its place, which
// is told once; what others ask of the resource, they ask of it.
func TestTakingThePlaceOfABuiltinResource(t *testing.T) {
	t.Parallel()
	const file = `tenants:
  - name: contoso
    applications:
      - name: resource-manager
        identifierUris: ["https://management.core.windows.net/"]
        requestedAccessTokenVersion: 1
        scopes: [{value: user_impersonation, displayName: Manage resources}]
      - name: azure-cli
        public: true
        permissions:
          - {api: resource-manager, scopes: [user_impersonation], consent: true}
          - {api: "https://management.azure.com", scopes: [user_impersonation], consent: true}
`
	s := newSite(t)
	result, err := s.apply(file, manifest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (manifest.Replacement{Tenant: "contoso", Application: "resource-manager", Builtin: "Azure Resource Manager"}); len(result.Replaced) != 1 || result.Replaced[0] != want {
		t.Errorf("got %+v, want %+v", result.Replaced, want)
	}
	for _, prune := range []bool{false, true} {
		again, err := s.apply(file, manifest.Options{Prune: prune})
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Replaced)+len(again.Notes) > 0 {
			t.Errorf("applied again (prune: %v): %+v", prune, again)
		}
	}
}
