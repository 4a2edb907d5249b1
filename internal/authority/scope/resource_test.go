package scope

import (
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

func TestScopeResource(t *testing.T) {
	t.Parallel()
	const guid = "a9100002-5a5a-4c4c-8d8d-000000000002"
	for _, tt := range []struct {
		name, scope string
		want        string
		code        int
	}{
		{"an identifier URI", "api://orders/.default", "api://orders", 0},
		{"an app id as URI", "api://" + guid + "/.default", "api://" + guid, 0},
		{"a bare app id", guid + "/.default", guid, 0},
		{"a web address", "https://orders.contoso.test/.default", "https://orders.contoso.test", 0},
		{"a doubled slash keeps one", "https://orders.contoso.test//.default", "https://orders.contoso.test/", 0},
		{"the bare suffix is Graph", ".default", GraphAppID, 0},
		{"scopes of OpenID Connect are dropped", "api://orders/.default openid offline_access profile", "api://orders", 0},
		{"in any case and order", "OpenID EMAIL api://orders/.default", "api://orders", 0},
		{"blanks around and between", "  api://orders/.default   openid ", "api://orders", 0},
		{"the same twice", "api://orders/.default api://orders/.default", "api://orders", 0},
		{"a resource named like a scope", "openid/.default", "openid", 0},
		{"nothing", "", "", 90014},
		{"blanks", "   ", "", 90014},
		{"a role instead of the suffix", "api://orders/Orders.Read.All", "", 1002012},
		{"only OpenID Connect", "openid", "", 1002012},
		{"only OpenID Connect, several", "openid offline_access profile", "", 1002012},
		{"the suffix in another case", "api://orders/.Default", "", 1002012},
		{"the suffix without its slash", "api://orders.default", "", 1002012},
		{"the suffix and more", "api://orders/.default/x", "", 1002012},
		{"the suffix with a role", "api://orders/.default api://orders/Orders.Read", "", 70011},
		{"nothing before the suffix", "/.default", "", 70011},
		{"a tab is no blank", "api://orders/.default\topenid", "", 1002012},
		{"a quote", `api://"orders"/.default`, "", 70011},
		{"a backslash", `api:\\orders/.default`, "", 70011},
		{"a line break", "api://orders\n/.default", "", 70011},
		{"other than ASCII", "api://örders/.default", "", 70011},
		{"two resources", "api://orders/.default api://billing/.default", "", 700022},
		{"one resource under two names", "api://orders/.default " + guid + "/.default", "", 700022},
		{"the longest identifier", strings.Repeat("a", MaxIdentifier) + "/.default", strings.Repeat("a", MaxIdentifier), 0},
		{"one byte longer", strings.Repeat("a", MaxIdentifier+1) + "/.default", "", 70011},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, problem := scopeResource(tt.scope)
			if got != tt.want || aadsts.Code(problem) != tt.code {
				t.Errorf("got %q, %v; want %q, code %d", got, problem, tt.want, tt.code)
			}
		})
	}
}

func TestResource(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name            string
		version         int
		scope, resource string
		want            string
		code            int
	}{
		{"v1 by resource", 1, "", "api://orders", "api://orders", 0},
		{"v1 keeps the slash", 1, "", "https://orders.contoso.test/", "https://orders.contoso.test/", 0},
		{"v1 ignores the scope", 1, "openid", "api://orders", "api://orders", 0},
		{"v1 without resource", 1, "api://orders/.default", "", "", 900144},
		{"v1 with a blank in it", 1, "", "api://orders api://billing", "", 50001},
		{"v1 with a line break", 1, "", "api://orders\r\n", "", 50001},
		{"v2 by scope", 2, "api://orders/.default", "", "api://orders", 0},
		{"v2 with resource", 2, "", "api://orders", "", 901002},
		{"v2 with both", 2, "api://orders/.default", "api://orders", "", 901002},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, problem := Resource(tt.version, tt.scope, tt.resource)
			if got != tt.want || aadsts.Code(problem) != tt.code {
				t.Errorf("got %q, %v; want %q, code %d", got, problem, tt.want, tt.code)
			}
		})
	}
}

// FuzzScope checks that whatever a scope resolves to is an identifier that stands in it,
// and that resolving it again gives the same.
func FuzzScope(f *testing.F) {
	for _, scope := range []string{
		"api://orders/.default", "https://orders.contoso.test//.default", ".default", "/.default", "//.default",
		"openid api://orders/.default profile", "api://orders/.default api://billing/.default", "a/.default/.default",
	} {
		f.Add(scope)
	}
	f.Fuzz(func(t *testing.T, scope string) {
		identifier, problem := scopeResource(scope)
		if problem != nil {
			if identifier != "" || aadsts.Of(problem).Status != 400 {
				t.Fatalf("refused with %q and %+v", identifier, problem)
			}
			return
		}
		if !IsIdentifier(identifier) {
			t.Fatalf("%q is not an identifier", identifier)
		}
		if identifier != GraphAppID && !strings.Contains(scope, identifier+defaultSuffix) {
			t.Fatalf("%q does not stand in %q", identifier, scope)
		}
		again, problem := scopeResource(identifier + defaultSuffix)
		if problem != nil || again != identifier {
			t.Fatalf("%q resolves to %q, %v", identifier, again, problem)
		}
	})
}
