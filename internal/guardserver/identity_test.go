package guardserver_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// A clientPrincipal is what a program reads out of X-MS-CLIENT-PRINCIPAL.
type clientPrincipal struct {
	AuthTyp string `json:"auth_typ"`
	NameTyp string `json:"name_typ"`
	RoleTyp string `json:"role_typ"`
	Claims  []struct{ Typ, Val string }
}

func (p clientPrincipal) values(kind string) (all []string) {
	for _, claim := range p.Claims {
		if claim.Typ == kind {
			all = append(all, claim.Val)
		}
	}
	return all
}

func readPrincipal(t testing.TB, header http.Header) (p clientPrincipal) {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(header.Get("X-MS-CLIENT-PRINCIPAL"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return p
}

const (
	roleURI   = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
	objectURI = "http://schemas.microsoft.com/identity/claims/objectidentifier"
	scopeURI  = "http://schemas.microsoft.com/identity/claims/scope"
)

func TestTheHeadersOfAppService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("caller: any\nforwardToken: true", "\n  - {path: /*, roles: [Orders.Read], scopes: [Orders.List]}\n"))
	raw := w.login.Token("client", "orders", "Orders.Read", "Orders.Write")
	w.get("/x", "Authorization: Bearer "+raw)
	header := w.requests()[0].Header
	p := readPrincipal(t, header)
	if p.AuthTyp != "aad" || p.RoleTyp != roleURI || !strings.HasSuffix(p.NameTyp, "/claims/name") {
		t.Errorf("types %+v", p)
	}
	want := []string{"Orders.Read", "Orders.Write"}
	for _, kind := range []string{"roles", roleURI} {
		if got := p.values(kind); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("%s: %q", kind, got)
		}
	}
	object := p.values(objectURI)
	if len(object) != 1 || object[0] != header.Get("X-MS-CLIENT-PRINCIPAL-ID") || header.Get("X-MS-CLIENT-PRINCIPAL-IDP") != "aad" {
		t.Errorf("object %q in %v", object, header)
	}
	if exp := p.values("exp"); len(exp) != 1 || strings.Trim(exp[0], "0123456789") != "" || len(p.values("oid"))+len(p.values("tid")) > 0 || len(p.values("azp")) != 1 {
		t.Errorf("claims %+v", p.Claims)
	}
	if _, named := header["X-Ms-Client-Principal-Name"]; named {
		t.Errorf("an application has the name %q", header.Get("X-MS-CLIENT-PRINCIPAL-NAME"))
	}
	if header.Get("Authorization") != "Bearer "+raw || header.Get("X-MS-TOKEN-AAD-ACCESS-TOKEN") != raw {
		t.Error("the token was to be forwarded")
	}

	user := w.login.Bad().With("client", "orders", nil, func(c map[string]any) {
		delete(c, "roles")
		delete(c, "idtyp")
		c["scp"], c["preferred_username"] = "Orders.List", "dév@contoso.test"
	})
	w.get("/x", "Authorization: Bearer "+user)
	header = w.requests()[0].Header
	p = readPrincipal(t, header)
	if got := p.values(scopeURI); len(got) != 1 || got[0] != "Orders.List" {
		t.Errorf("scopes %q", got)
	}
	if name := header.Get("X-MS-CLIENT-PRINCIPAL-NAME"); name != "d%C3%A9v@contoso.test" {
		t.Errorf("the user's name is %q", name)
	}
}

// What a claim holds stays within the header that carries it.
func TestClaimsCannotBreakOutOfAHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("", ordersRules))
	evil := "x\r\nX-Injected: 1"
	raw := w.login.Bad().With("client", "orders", nil, func(c map[string]any) {
		c["roles"] = []string{"Orders.Read", evil, "a,b", "<&>\u2028é"}
		c["app_displayname"], c["nested"], c["list"] = evil, map[string]any{"a": []int{1}}, []any{"s", 1, true, nil}
	})
	if resp, body := w.get("/api/GetOrders", "Authorization: Bearer "+raw); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	header := w.requests()[0].Header
	if header.Get("X-Injected") != "" || header.Get("X-Ms-Client-Principal-Name") != "x%0D%0AX-Injected:%201" {
		t.Errorf("headers %v", header)
	}
	p := readPrincipal(t, header)
	if got := p.values("roles"); !slices.Contains(got, evil) || !slices.Contains(got, "<&>\u2028é") {
		t.Errorf("roles %q", got)
	}
	if got := p.values("list"); !slices.Equal(got, []string{"s", "1", "true", "null"}) {
		t.Errorf("list %q", got)
	}
	if got := p.values("nested"); len(got) != 1 || got[0] != `{"a":[1]}` {
		t.Errorf("nested %q", got)
	}
}

func TestWhoAmI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("", ordersRules))
	bearer := "Authorization: Bearer " + w.token("Orders.Read")
	resp, body := w.get("/.auth/me", bearer)
	var me []struct {
		Provider string `json:"provider_name"`
		ID       string `json:"user_id"`
		Claims   []struct{ Typ, Val string }
		Token    string `json:"access_token"`
		Expires  string `json:"expires_on"`
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(body, "user_claims", "Claims")), &me); err != nil || resp.StatusCode != http.StatusOK || len(me) != 1 {
		t.Fatalf("%d %s: %v", resp.StatusCode, body, err)
	}
	if _, err := time.Parse(time.RFC3339, me[0].Expires); err != nil || me[0].Provider != "aad" || me[0].ID == "" || len(me[0].Claims) < 10 || me[0].Token != "" {
		t.Errorf("got %+v, %v", me[0], err)
	}
	for path, want := range map[string]int{"/.auth/me": 401, "/.auth/login/aad": 404, "/.auth": 404, "/.auth/me/x": 404} {
		if resp, _ := w.get(path); resp.StatusCode != want {
			t.Errorf("%s without a token: %d, want %d", path, resp.StatusCode, want)
		}
	}
	if n := len(w.requests()); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
	other := w.beside(t)
	other.start(w.settings("identity: none", "\n  - {path: /*, anonymous: true}\n"))
	if resp, _ := other.get("/.auth/me"); resp.StatusCode != http.StatusOK {
		t.Errorf("without App Service's headers the path is the upstream's: %d", resp.StatusCode)
	}
}

// An upstream checks the signed header with a library that shares no code with us.
func TestTheSignedHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("identity: signed\nstateDir: state", ordersRules))
	bearer := "Authorization: Bearer " + w.token("Orders.Read")
	w.get("/api/GetOrders", bearer, "X-Guard-Assertion: evil")
	w.get("/api/GetOrders", bearer)
	w.get("/healthz", bearer, "X_Guard_Assertion: evil")
	asked := w.requests()
	lines := asked[0].Header["X-Guard-Assertion"]
	if len(lines) != 1 || asked[1].Header.Get("X-Guard-Assertion") != lines[0] {
		t.Fatalf("the header is %q, and then %q", lines, asked[1].Header["X-Guard-Assertion"])
	}
	if asked[2].Header["X-Guard-Assertion"] != nil || asked[0].Header["X-Ms-Client-Principal"] != nil {
		t.Errorf("headers %v and %v", asked[0].Header, asked[2].Header)
	}
	_, document := w.ops("/keys")
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(document), &keys); err != nil || len(keys.Keys) != 1 {
		t.Fatalf("%v in %s", err, document)
	}
	signed, err := jwt.ParseSigned(lines[0], []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	var more struct {
		Kind  string   `json:"kind"`
		Azp   string   `json:"azp"`
		Oid   string   `json:"oid"`
		Roles []string `json:"roles"`
	}
	if err := signed.Claims(keys.Keys[0].Key, &claims, &more); err != nil || signed.Headers[0].KeyID != keys.Keys[0].KeyID {
		t.Fatal(err)
	}
	now := w.login.Clock().Now()
	if err := claims.ValidateWithLeeway(jwt.Expected{Issuer: "urn:rolecall:guard", AnyAudience: jwt.Audience{w.api.AppID}, Time: now}, 0); err != nil {
		t.Error(err)
	}
	if more.Kind != "application" || more.Azp == "" || more.Oid != claims.Subject || !slices.Equal(more.Roles, []string{"Orders.Read"}) {
		t.Errorf("claims %+v %+v", claims, more)
	}
	w.login.Clock().Advance(40 * time.Second)
	w.get("/api/GetOrders", bearer)
	if again := w.requests()[0].Header.Get("X-Guard-Assertion"); again == lines[0] || again == "" {
		t.Error("the header is not renewed")
	}
	// The key outlives the process.
	kept := filepath.Join(w.folder, "state", "assertion-key.pem")
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	w.end()
	w.start(w.settings("identity: signed\nstateDir: state", ordersRules))
	if _, after := w.ops("/keys"); after != document {
		t.Error("another key after a start")
	}
}
