package managedidentity

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// withCertificate gives the service a server certificate.
func withCertificate(t testing.TB) func(*Config) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	return func(cfg *Config) { cfg.TLS = &tls.Config{Certificates: server.TLS.Certificates} }
}

// platformsOfOneAnswer are those whose answer is a tokenBody, after one request.
func platformsOfOneAnswer() []directory.Platform {
	return []directory.Platform{directory.PlatformAppService, directory.PlatformIMDS, directory.PlatformServiceFabric, directory.PlatformCloudShell, directory.PlatformAzureML}
}

func TestVersion2017OfAppService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ask := func(platform directory.Platform) reply {
		h := w.endpoint(platform)
		return w.call(h, "GET", "/msi/token?api-version=2017-09-01&resource=api://orders", "", headers("secret", h.secret))
	}
	got := ask(directory.PlatformAppService)
	if _, err := time.Parse("01/02/2006 15:04:05 +00:00", got.text("expires_on")); err != nil || len(got.json) != 4 || got.text("access_token") == "" || got.text("resource") != "api://orders" || got.text("token_type") != "Bearer" {
		t.Errorf("got expires_on %q and %d members, want a date and no other members than four", got.text("expires_on"), len(got.json))
	}
	ends, _ := claimsOf(t, got.text("access_token")).Get("exp")
	seconds, _ := ends.Integer()
	if want := time.Unix(seconds, 0).UTC().Format("01/02/2006 15:04:05 +00:00"); got.text("expires_on") != want {
		t.Errorf("expires_on is %q, want %q", got.text("expires_on"), want)
	}
	if got := ask(directory.PlatformAzureML); strings.Trim(got.text("expires_on"), "0123456789") != "" || got.text("client_id") == "" {
		t.Errorf("Azure ML: got expires_on %q, want a number", got.text("expires_on"))
	}
}

// Runbooks of Azure Automation send a form, or a query without a version.
func TestAzureAutomation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformAppService)
	both := headers("X-IDENTITY-HEADER", h.secret, "Metadata", "True")
	form := both.Clone()
	form["Content-Type"] = []string{"application/x-www-form-urlencoded"}
	user := "client_id=" + string(fixture.UserIdentityID)
	for name, tt := range map[string]struct {
		question
		want directory.AppID
	}{
		"PowerShell":           {question{"POST", "/msi/token", "resource=api://orders", form}, fixture.IdentityID},
		"Python":               {question{"POST", "/msi/token", "resource=api://orders", both}, fixture.IdentityID},
		"user-assigned":        {question{"GET", "/msi/token?resource=api://orders&" + user, "", both}, fixture.UserIdentityID},
		"user-assigned, POST":  {question{"POST", "/msi/token", "resource=api://orders&" + user, form}, fixture.UserIdentityID},
		"in the query as well": {question{"POST", "/msi/token?" + user, "resource=api://orders", form}, fixture.UserIdentityID},
	} {
		t.Run(name, func(t *testing.T) {
			if got := w.ask(h, tt.question); got.status != http.StatusOK || got.text("client_id") != string(tt.want) || got.text("expires_in") == "" {
				t.Errorf("got %d for client %q, want a token of %s", got.status, got.text("client_id"), tt.want)
			}
		})
	}
	for name, q := range map[string]question{
		"no secret":        {"POST", "/msi/token", "resource=api://orders", headers("Metadata", "True")},
		"a wrong secret":   {"POST", "/msi/token", "resource=api://orders", headers("X-IDENTITY-HEADER", "x", "Metadata", "True")},
		"no Metadata":      {"GET", "/msi/token?resource=api://orders", "", headers("X-IDENTITY-HEADER", h.secret)},
		"the old header":   {"GET", "/msi/token?resource=api://orders", "", headers("Secret", h.secret, "Metadata", "True")},
		"JSON":             {"POST", "/msi/token", "{}", headers("X-IDENTITY-HEADER", h.secret, "Metadata", "True", "Content-Type", "application/json")},
		"two resources":    {"POST", "/msi/token?resource=api://orders", "resource=api://orders", form},
		"a form too long":  {"POST", "/msi/token", "resource=" + strings.Repeat("a", maxQuery), form},
		"another resource": {"POST", "/msi/token", "resource=api://nobody", form},
	} {
		t.Run(name, func(t *testing.T) {
			want := http.StatusBadRequest
			if strings.Contains(name, "secret") {
				want = http.StatusUnauthorized
			}
			w.ask(h, q).refusedWith(t, want)
		})
	}
}

func TestMetadataHeaderInAnyCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, platform := range []directory.Platform{directory.PlatformIMDS, directory.PlatformCloudShell} {
		h := w.endpoint(platform)
		for _, value := range []string{"True", "TRUE", "tRuE"} {
			if got := w.ask(h, good(h).set("Metadata", value)); got.status != http.StatusOK {
				t.Errorf("%s, %s: got %d", platform, value, got.status)
			}
		}
	}
	h := w.endpoint(directory.PlatformArc)
	w.ask(h, good(h).set("Metadata", "True")).refusedWith(t, http.StatusUnauthorized) // with a challenge
}

// innerMessage is the text of a refusal of Service Fabric or Cloud Shell.
func innerMessage(r reply) string {
	inner, _ := r.json["error"].(map[string]any)
	message, _ := inner["message"].(string)
	return message
}

const (
	several  = "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request"
	noSystem = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."
)

// Which identity a request gets that names none.
func TestNoIdentityIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	const system, user, other = fixture.IdentityID, fixture.UserIdentityID, strangerID
	for _, platform := range platformsOfOneAnswer() {
		only := string(user)
		both := several
		if platform == directory.PlatformAppService {
			only, both = noSystem, noSystem
		}
		for _, tt := range []struct {
			name       string
			identities []directory.AppID
			want       string // client id, or part of the refusal
			first      directory.AppID
		}{
			{"system-assigned", []directory.AppID{system}, string(system), system},
			{"system-assigned and others", []directory.AppID{system, user, other}, string(system), system},
			{"system-assigned after others", []directory.AppID{user, other, system}, string(system), user},
			{"one user-assigned", []directory.AppID{user}, only, user},
			{"two user-assigned", []directory.AppID{user, other}, both, user},
			{"none", nil, "Identity not found", ""},
		} {
			t.Run(string(platform)+"/"+tt.name, func(t *testing.T) {
				h := w.hostAs(EndpointConfig{Platform: platform, Identities: append([]Identity{}, w.identities(tt.identities...)...)})
				got := w.ask(h, good(h))
				if guid.Is(tt.want) {
					if got.text("client_id") != tt.want {
						t.Errorf("got %d for client %q, want a token of %s", got.status, got.text("client_id"), tt.want)
					}
				} else if got.refusedWith(t, http.StatusBadRequest); !strings.Contains(got.text("message")+got.text("error_description")+innerMessage(got), tt.want) {
					t.Errorf("got %d, want %s", got.status, tt.want)
				}
				if len(tt.identities) > 1 {
					if got := w.ask(h, good(h).with("client_id="+string(user))); got.text("client_id") != string(user) {
						t.Errorf("named: got %d for client %q", got.status, got.text("client_id"))
					}
				}
				h = w.hostAs(EndpointConfig{Platform: platform, Identities: append([]Identity{}, w.identities(tt.identities...)...), DefaultIdentity: true})
				for _, q := range []question{good(h), good(h).with("client_id=")} {
					if got := w.ask(h, q); tt.first != "" && got.text("client_id") != string(tt.first) {
						t.Errorf("with a default: got %d for client %q, want a token of %s", got.status, got.text("client_id"), tt.first)
					}
				}
			})
		}
	}
}

// digestOf is what a client sends of a token that an API has refused.
func digestOf(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return hex.EncodeToString(sum[:])
}

func TestARefusedTokenIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	w.edit(func(e *directory.Editor) error {
		api, err := e.Applications().Find(fixture.TenantID, string(fixture.ServerID))
		if err != nil {
			return err
		}
		_, err = e.Applications().Edit(api.Tenant, api.ID, func(a *directory.Application) error {
			a.OptionalClaims = append(a.OptionalClaims, directory.OptionalClaim{Name: "xms_cc"})
			return nil
		})
		return err
	})
	for _, platform := range []directory.Platform{directory.PlatformAppService, directory.PlatformServiceFabric} {
		t.Run(string(platform), func(t *testing.T) {
			h := w.endpoint(platform)
			ask := func(more string) string {
				t.Helper()
				got := w.ask(h, good(h).with(more))
				if got.status != http.StatusOK {
					t.Fatalf("%s: got %d: %s", more, got.status, got.raw)
				}
				return got.text("access_token")
			}
			capable := func(raw string) bool {
				value, _ := claimsOf(t, raw).Get("xms_cc")
				all, _ := value.Strings()
				return slices.Equal(all, []string{"CP1"})
			}
			first := ask("x=")
			if ask("x=") != first || ask("token_sha256_to_refresh="+digestOf("another")) != first || ask("token_sha256_to_refresh=00") != first {
				t.Error("a token that no API has refused was replaced")
			}
			if capable(first) {
				t.Error("a token says xms_cc for a client that did not")
			}
			second := ask("token_sha256_to_refresh=" + digestOf(first))
			if second == first || ask("x=") == first {
				t.Error("the refused token was given out again")
			}
			third := ask("xms_cc=cp1&token_sha256_to_refresh=" + strings.ToUpper(digestOf(second)))
			if third == first || third == second || !capable(third) || ask("xms_cc=CP1") != third || !capable(ask("xms_cc=cp2,cp1")) {
				t.Error("the token for a client that understands challenges is not a new one that says so")
			}
			if capable(ask("xms_cc=other")) || capable(ask("x=")) {
				t.Error("a token says xms_cc for a client that did not")
			}
			if again := ask("xms_cc=cp1&token_sha256_to_refresh=" + digestOf(second)); again != third {
				t.Error("a token that is refreshed already was replaced")
			}
		})
	}
}

// Only a few platforms know the parameter.
func TestIMDSKeepsARefusedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, platform := range []directory.Platform{directory.PlatformIMDS, directory.PlatformAzureML, directory.PlatformCloudShell} {
		h := w.endpoint(platform)
		first := w.ask(h, good(h)).text("access_token")
		if w.ask(h, good(h).with("token_sha256_to_refresh="+digestOf(first))).text("access_token") != first {
			t.Errorf("%s: the token was replaced, which Azure does not", platform)
		}
	}
}

// What a challenge demands reaches the token.
func TestClaimsByTheCLI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformCLI)
	ask := func(body string) reply {
		q := good(h)
		q.body = body
		return w.ask(h, q)
	}
	first := ask(`{"scopes":["api://orders/.default"]}`).text("token")
	challenge := fmt.Sprintf(`{"access_token":{"nbf":{"essential":true,"value":"%d"}}}`, w.clock.Now().Unix()-1)
	body, err := json.Marshal(map[string]any{"scopes": []string{"api://orders/.default"}, "claims": challenge})
	w.must(err)
	second := ask(string(body)).text("token")
	from, _ := claimsOf(t, second).Get("nbf")
	seconds, _ := from.Integer()
	if second == first || seconds != w.clock.Now().Unix()-1 {
		t.Errorf("the token is valid from %d, want %d; the same again: %t", seconds, w.clock.Now().Unix()-1, second == first)
	}
	if third := ask(string(body)).text("token"); third == second || third == "" {
		t.Error("a second challenge got the token that was refused")
	}
	ask(`{"scopes":["api://orders/.default"],"claims":"nonsense"}`).refusedWith(t, http.StatusOK)
	for _, scope := range []string{"api://orders", "api://orders/Orders.Read", "api://orders/.default/"} {
		got := ask(`{"scopes":["` + scope + `"]}`)
		got.refusedWith(t, http.StatusOK)
		if !strings.HasPrefix(got.text("message"), "AADSTS1002012: ") {
			t.Errorf("%s: got %s", scope, got.raw)
		}
	}
}

func TestServiceFabricSaysWhatItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	if got := w.endpoint(directory.PlatformServiceFabric).Environment()["IDENTITY_API_VERSION"]; got != "2020-05-01" {
		t.Errorf("IDENTITY_API_VERSION is %q", got)
	}
	if _, there := w.endpoint(directory.PlatformAppService).Environment()["IDENTITY_API_VERSION"]; there {
		t.Error("App Service has the variable of Service Fabric")
	}
}

// A refusal by the authority has the ids of its sign-in row.
func TestRefusalsHaveTheIDsOfTheirSignIn(t *testing.T) {
	t.Parallel()
	rows := make(chan issuance.Minted, 1)
	w := newWorld(t, func(cfg *Config) { cfg.Minter = noticingMinter{cfg.Minter, rows} })
	h := w.endpoint(directory.PlatformCloudShell)
	q := good(h)
	q.body = "resource=api://nobody"
	got := w.ask(h, q)
	got.refusedWith(t, http.StatusBadRequest)
	if row := <-rows; !guid.Is(row.TraceID) || !strings.Contains(got.raw, " Trace ID: "+row.TraceID+" Correlation ID: "+row.Correlated) {
		t.Errorf("got %s, want the ids %s and %s", got.raw, row.TraceID, row.Correlated)
	}
}

// A noticingMinter tells what it returns.
type noticingMinter struct {
	Minter
	returned chan<- issuance.Minted
}

func (m noticingMinter) Mint(ctx context.Context, req issuance.MintRequest) (issuance.Minted, error) {
	minted, err := m.Minter.Mint(ctx, req)
	m.returned <- minted
	return minted, err
}

func TestSuccessBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	for _, platform := range platformsOfOneAnswer() {
		t.Run(string(platform), func(t *testing.T) {
			h := w.endpoint(platform)
			got := w.ask(h, good(h))
			if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
				t.Fatalf("got %d, %s: %s", got.status, got.header.Get("Content-Type"), got.raw)
			}
			if !strings.Contains(got.header.Get("Cache-Control"), "no-store") || got.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("a token may be kept on the way, or taken for something else: %v", got.header)
			}
			for name, value := range got.json {
				if _, ok := value.(string); !ok {
					t.Errorf("%s is %T, want a string", name, value)
				}
			}
			if strings.Index(got.raw, `"expires_in"`) > strings.Index(got.raw, `"expires_on"`) {
				t.Error("expires_in comes after expires_on, which MSAL for .NET would go by")
			}
			until, _ := strconv.ParseInt(got.text("expires_on"), 10, 64)
			from, _ := strconv.ParseInt(got.text("not_before"), 10, 64)
			left, _ := strconv.ParseInt(got.text("expires_in"), 10, 64)
			if left < 86000 || until-from < 86400 || got.text("resource") != "api://orders" || got.text("token_type") != "Bearer" || got.text("client_id") != string(fixture.IdentityID) {
				t.Errorf("got expires_in %s, expires_on %s, not_before %s, resource %s, token_type %s, client_id %s", got.text("expires_in"),
					got.text("expires_on"), got.text("not_before"), got.text("resource"), got.text("token_type"), got.text("client_id"))
			}
		})
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformIMDS)
	for _, id := range []directory.AppID{fixture.IdentityID, fixture.UserIdentityID} {
		c := claimsOf(t, w.ask(h, good(h).with("client_id="+string(id))).text("access_token"))
		p := w.principal(id)
		for name, want := range map[string]string{
			"idtyp": "", "azp": string(id), "azpacr": "2", "oid": string(p.ID), "sub": string(p.ID), "xms_mirid": "",
			"aud": string(fixture.ServerID), "tid": string(fixture.TenantID), "ver": "2.0",
		} {
			if got := claim(c, name); got != want {
				t.Errorf("%s: %s is %q, want %q", p.Name, name, got, want)
			}
		}
		if got := rolesOf(c); got != "Orders.Read" {
			t.Errorf("%s: roles %q", p.Name, got)
		}
	}
}

func TestSelection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	user, stranger := w.principal(fixture.UserIdentityID), w.principal(strangerID)
	for _, platform := range platformsOfOneAnswer() {
		h := w.endpoint(platform)
		for _, name := range []string{"client_id", "clientid", "object_id", "principal_id", "principalId", "mi_res_id", "msi_res_id", "msi-res-id"} {
			id := func(p *directory.ServicePrincipal) string {
				switch {
				case strings.HasPrefix(name, "client"):
					return strings.ToUpper(string(p.AppID))
				case strings.HasSuffix(name, "id") && !strings.Contains(name, "res"), name == "principalId":
					return strings.ToUpper(string(p.ID))
				}
				return strings.Replace(p.ResourceID, "resourcegroups", "resourceGroups", 1)
			}
			t.Run(string(platform)+"/"+name, func(t *testing.T) {
				if got := w.ask(h, good(h).with(name+"="+id(user))); got.status != http.StatusOK || got.text("client_id") != string(fixture.UserIdentityID) {
					t.Errorf("got %d for client %q, want a token of the user-assigned identity: %s", got.status, got.text("client_id"), got.raw)
				}
				w.ask(h, good(h).with(name+"="+id(stranger))).refusedWith(t, http.StatusBadRequest)
				w.ask(h, good(h).with(name+"=nonsense")).refusedWith(t, http.StatusBadRequest)
				w.ask(h, good(h).with(name+"="+id(user)+"&"+name+"="+id(user))).refusedWith(t, http.StatusBadRequest)
				w.ask(h, good(h).with(name+"="+id(user)+"&client_Id="+string(fixture.IdentityID))).refusedWith(t, http.StatusBadRequest)
				switch got := w.ask(h, good(h).with(name+"=")); {
				case platform == directory.PlatformAzureML && name == "clientid": // which its clients send
					if got.text("client_id") != string(fixture.IdentityID) {
						t.Errorf("empty: got %d for client %q, want the system-assigned identity", got.status, got.text("client_id"))
					}
				case !strings.Contains(got.raw, "'"+strings.ToLower(name)+"' is empty"):
					t.Errorf("empty: got %d, and not why", got.status)
				default:
					got.refusedWith(t, http.StatusBadRequest)
				}
			})
		}
	}
}

func TestBadQueries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	for _, platform := range []directory.Platform{directory.PlatformAppService, directory.PlatformIMDS, directory.PlatformServiceFabric, directory.PlatformAzureML} {
		h := w.endpoint(platform)
		q := good(h)
		base, _, _ := strings.Cut(q.target, "?")
		version := "api-version=" + map[directory.Platform]string{directory.PlatformAppService: "2019-08-01", directory.PlatformIMDS: "2018-02-01", directory.PlatformServiceFabric: "2020-05-01", directory.PlatformAzureML: "2017-09-01"}[platform]
		for name, query := range map[string]string{
			"no query":                   "",
			"no resource":                version,
			"empty resource":             version + "&resource=",
			"no version":                 "resource=api%3A%2F%2Forders",
			"old version":                "api-version=2016-01-01&resource=api%3A%2F%2Forders",
			"nonsensical version":        "api-version=yesterday&resource=api%3A%2F%2Forders",
			"two resources":              version + "&resource=api%3A%2F%2Forders&resource=api%3A%2F%2Forders",
			"two spellings":              version + "&resource=api%3A%2F%2Forders&Resource=api%3A%2F%2Forders",
			"broken encoding":            version + "&resource=api%3A%2F%2Forder%",
			"semicolons":                 version + ";resource=api%3A%2F%2Forders",
			"control characters":         version + "&resource=api%3A%2F%2Forders%0d%0a",
			"not UTF-8":                  version + "&resource=%ff%fe",
			"unknown resource":           version + "&resource=api%3A%2F%2Fnobody",
			"scope in place of":          version + "&resource=api%3A%2F%2Forders%2F.default",
			"too long":                   version + "&resource=" + strings.Repeat("a", maxValue+1),
			"much too long":              version + "&resource=" + strings.Repeat("a", maxQuery+1),
			"resource of other platform": version + "&scope=api%3A%2F%2Forders%2F.default",
		} {
			t.Run(string(platform)+"/"+name, func(t *testing.T) {
				w.call(h, q.method, base+"?"+query, "", q.header).refusedWith(t, http.StatusBadRequest)
			})
		}
		ok := w.call(h, q.method, base+"?xms_cc=CP1&resource=api%3A%2F%2Forders%2F&token_sha256_to_refresh=00&"+version, "", q.header)
		if ok.status != http.StatusOK || ok.text("resource") != "api://orders/" {
			t.Errorf("%s: members that are not known: got %d, resource %q", platform, ok.status, ok.text("resource"))
		}
	}
}

func TestPathsWithSlashes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	for _, platform := range platformsOfOneAnswer() {
		h := w.endpoint(platform)
		q := good(h)
		path, query, _ := strings.Cut(q.target, "?")
		for _, spelled := range []string{path + "/", "/" + path, "//" + path + "//", strings.ToUpper(path)} {
			if got := w.call(h, q.method, spelled+"?"+query, q.body, q.header); got.status != http.StatusOK {
				t.Errorf("%s: %s: got %d: %s", platform, spelled, got.status, got.raw)
			}
		}
		w.call(h, q.method, "/elsewhere?"+query, q.body, q.header).refusedWith(t, http.StatusBadRequest)
	}
}

func TestErrorShapes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	for _, platform := range directory.Platforms() {
		h := w.endpoint(platform)
		q := good(h).with("client_id=" + string(strangerID))
		if platform == directory.PlatformCLI {
			q = good(h)
			q.body = `{"scopes":["api://nobody/.default"]}`
		}
		if platform == directory.PlatformArc {
			q = good(h).with("resource=twice")
		}
		got, want := w.ask(h, q), http.StatusBadRequest
		if platform == directory.PlatformCLI { // azd shows the reason only for this status
			want = http.StatusOK
		}
		got.refusedWith(t, want)
		inner, _ := got.json["error"].(map[string]any)
		message, _ := inner["message"].(string)
		var fits bool
		switch platform {
		case directory.PlatformAppService, directory.PlatformAzureML:
			fits = got.json["statusCode"] == 400.0 && got.text("message") == "Identity not found" && guid.Is(got.text("correlationId"))
		case directory.PlatformIMDS:
			fits = got.raw == `{"error":"invalid_request","error_description":"Identity not found"}`
		case directory.PlatformArc:
			fits = got.text("error") == "invalid_request" && hasIDs(got.text("error_description"))
		case directory.PlatformServiceFabric:
			fits = strings.HasPrefix(message, "Identity not found ") && hasIDs(message) && inner["code"] == "ManagedIdentityNotFound"
		case directory.PlatformCloudShell:
			fits = strings.HasPrefix(message, "Identity not found ") && hasIDs(message) && inner["code"] == "invalid_request"
		case directory.PlatformCLI:
			fits = got.text("status") == "error" && got.text("code") == "GetTokenError" && strings.Contains(got.text("message"), "AADSTS500011") && hasIDs(got.text("message"))
		}
		if !fits {
			t.Errorf("%s: got %s", platform, got.raw)
		}
	}
}

// hasIDs reports whether a text ends with the ids by which a refusal is found again.
func hasIDs(text string) bool {
	_, ids, _ := strings.Cut(text, " Trace ID: ")
	trace, correlation, _ := strings.Cut(ids, " Correlation ID: ")
	return guid.Is(trace) && guid.Is(correlation)
}

func TestUnknownResourceNamesTheProblem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformIMDS)
	q := good(h)
	q.target = metadataTokenPath + "?api-version=2018-02-01&resource=api://nobody"
	got := w.ask(h, q)
	if got.status != http.StatusBadRequest || got.text("error") != "invalid_resource" || !strings.HasPrefix(got.text("error_description"), "AADSTS500011: ") || !hasIDs(got.text("error_description")) {
		t.Errorf("got %d: %s", got.status, got.raw)
	}
}

func TestMetadataService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformIMDS)
	metadata := headers("Metadata", "true")
	for _, tt := range []struct {
		name, method, target string
		header               http.Header
		want                 int
	}{
		{"probe without anything", "GET", metadataTokenPath, nil, 400},
		{"probe without the header", "GET", metadataTokenPath + "?api-version=2018-02-01&resource=api://orders", nil, 400},
		{"second version, probe", "GET", metadataPlatformPath + "?cred-api-version=2.0", nil, 404},
		{"second version", "GET", metadataPlatformPath + "?cred-api-version=2.0", metadata, 404},
		{"second version, credential", "POST", metadataIssuePath + "?cred-api-version=2.0", metadata, 404},
		{"the machine", "GET", "/metadata/instance?api-version=2021-02-01", metadata, 400},
		{"something else", "GET", "/latest/meta-data/?api-version=2021-02-01", metadata, 400},
		{"a later version", "GET", metadataTokenPath + "?api-version=2021-02-01&resource=api://orders", metadata, 200},
		{"who am I", "GET", metadataInfoPath + "?api-version=2018-02-01", metadata, 200},
		{"who am I, without the header", "GET", metadataInfoPath + "?api-version=2018-02-01", nil, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := w.call(h, tt.method, tt.target, "", tt.header); got.status != tt.want {
				t.Errorf("got %d, want %d: %s", got.status, tt.want, got.raw)
			}
		})
	}
	probe := w.call(h, "GET", metadataTokenPath+"?api-version=2018-02-01&resource=api://orders", "", nil)
	if strings.Contains(probe.raw, "Identity not found") {
		t.Error("Azure.Identity for .NET would take the answer to its probe for that of a machine without identities")
	}
	if got := w.call(h, "GET", metadataInfoPath+"?api-version=2018-02-01", "", metadata); got.text("tenantId") != string(fixture.TenantID) {
		t.Errorf("got %s", got.raw)
	}
}

func TestAzureArc(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformArc)
	challenged := func() (path, key string) {
		t.Helper()
		got := w.ask(h, good(h).with("object_id="+string(w.principal(fixture.UserIdentityID).ID)))
		got.refusedWith(t, http.StatusUnauthorized)
		path, found := strings.CutPrefix(got.header.Get("WWW-Authenticate"), "Basic realm=")
		if !found || filepath.Dir(path) != w.cfg.ArcFolder || filepath.Ext(path) != ".key" {
			t.Fatalf("WWW-Authenticate is %q", got.header.Get("WWW-Authenticate"))
		}
		info, err := os.Lstat(path)
		w.must(err)
		content, err := os.ReadFile(path)
		w.must(err)
		if info.Mode() != 0o600 || len(content) > 4096 || len(content) < 32 {
			t.Errorf("the file has mode %v and %d bytes", info.Mode(), len(content))
		}
		return path, string(content)
	}
	path, key := challenged()
	got := w.ask(h, good(h).set("Authorization", "Basic "+key).with("object_id="+string(w.principal(fixture.UserIdentityID).ID)))
	if got.status != http.StatusOK || got.text("client_id") != string(fixture.UserIdentityID) || got.text("object_id") != string(w.principal(fixture.UserIdentityID).ID) || got.text("msi_res_id") != w.principal(fixture.UserIdentityID).ResourceID {
		t.Errorf("got %d: client %q, object %q, resource %q", got.status, got.text("client_id"), got.text("object_id"), got.text("msi_res_id"))
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file of a challenge that was met: %v, want it gone", err)
	}
	_, second := challenged()
	for name, q := range map[string]question{
		"a used key":            good(h).set("Authorization", "Basic "+key),
		"a guess":               good(h).set("Authorization", "Basic "+strings.Repeat("0", 64)),
		"a part":                good(h).set("Authorization", "Basic "+second[:63]),
		"another scheme":        good(h).set("Authorization", "Bearer "+second),
		"two keys":              good(h).set("Authorization", "Basic "+second, "Basic "+second),
		"no Metadata":           good(h).set("Authorization", "Basic "+second).set("Metadata"),
		"a key of another host": good(h).set("Authorization", "Basic "+w.challengeKey(w.endpoint(directory.PlatformArc))),
	} {
		t.Run(name, func(t *testing.T) { w.ask(h, q).refusedWith(t, http.StatusBadRequest) })
	}
	w.must(h.Close())
	if left, _ := filepath.Glob(filepath.Join(w.cfg.ArcFolder, "*.key")); len(left) != 1 { // that of the other endpoint
		t.Errorf("%d files are left after Close, want those of the other host", len(left))
	}
}

// challengeKey makes a challenge and reads its file.
func (w *world) challengeKey(h *Endpoint) string {
	w.t.Helper()
	path, err := h.challenges.make()
	w.must(err)
	content, err := os.ReadFile(path)
	w.must(err)
	return string(content)
}

func TestAzureArcFolders(t *testing.T) {
	w := newWorld(t)
	base := t.TempDir()
	open := filepath.Join(base, "open")
	w.must(os.Mkdir(open, 0o700))
	w.must(os.Chmod(open, 0o777))
	link := filepath.Join(base, "link")
	w.must(os.Symlink(t.TempDir(), link))
	file := filepath.Join(base, "file")
	w.must(os.WriteFile(file, nil, 0o600))
	group := filepath.Join(base, "group")
	w.must(os.Mkdir(group, 0o700))
	w.must(os.Chmod(group, 0o770))
	w.must(os.Mkdir(filepath.Join(base, "tokens"), 0o700))
	t.Chdir(base)
	for name, folder := range map[string]string{"absent": filepath.Join(base, "absent"), "open to others": open, "open to a group": group, "a link": link, "a file": file, "relative": "tokens"} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Open(t.Context(), EndpointConfig{Tenant: fixture.TenantID, Identities: w.identities(fixture.IdentityID), Platform: directory.PlatformArc, ArcFolder: folder})
			if err == nil || !strings.Contains(err.Error(), folder) {
				t.Errorf("got %v, want one that names the folder", err)
			}
		})
	}
}

func TestDeletedAndDisabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformAppService)
	if got := w.ask(h, good(h)); got.status != http.StatusOK {
		t.Fatalf("got %d", got.status)
	}
	w.edit(func(e *directory.Editor) error {
		p := *w.principal(fixture.IdentityID)
		p.Enabled = false
		_, err := e.ServicePrincipals().Edit(p.Tenant, p.ID, func(v *directory.ServicePrincipal) error { *v = p; return nil })
		return err
	})
	got := w.ask(h, good(h))
	got.refusedWith(t, http.StatusBadRequest)
	if !strings.Contains(got.text("message"), "AADSTS7000112") {
		t.Errorf("got %s", got.raw)
	}
	w.edit(func(e *directory.Editor) error {
		return e.ServicePrincipals().Delete(fixture.TenantID, w.principal(fixture.IdentityID).ID)
	})
	got = w.ask(h, good(h).with("client_id="+string(fixture.IdentityID)))
	got.refusedWith(t, http.StatusBadRequest)
	if got.text("message") != "Identity not found" {
		t.Errorf("got %s", got.raw)
	}
	// A request without an id meant that identity, and does not get another's token instead.
	w.ask(h, good(h)).refusedWith(t, http.StatusBadRequest)
}

func TestCLI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformCLI)
	got := w.ask(h, good(h))
	until, err := time.Parse(time.RFC3339, got.text("expiresOn"))
	if got.status != http.StatusOK || got.text("status") != "success" || err != nil || until.Before(time.Now()) || !strings.HasSuffix(got.text("expiresOn"), "Z") {
		t.Fatalf("got %d, expiresOn %q", got.status, got.text("expiresOn"))
	}
	if rolesOf(claimsOf(t, got.text("token"))) != "Orders.Read" {
		t.Error("the token lacks its role")
	}
	for name, q := range map[string]struct {
		question
		want int
	}{
		"no key":         {good(h).set("Authorization"), 401},
		"a wrong key":    {good(h).set("Authorization", "Bearer x"), 401},
		"two keys":       {good(h).set("Authorization", "Bearer "+h.secret, "Bearer "+h.secret), 401},
		"no scope":       {question{"POST", good(h).target, `{}`, good(h).header}, 200},
		"two scopes":     {question{"POST", good(h).target, `{"scopes":["a/.default","b/.default"]}`, good(h).header}, 200},
		"another tenant": {question{"POST", good(h).target, `{"scopes":["api://orders/.default"],"tenantId":"fabrikam.test"}`, good(h).header}, 200},
		"no JSON":        {question{"POST", good(h).target, `scopes=a`, good(h).header}, 200},
		"more than JSON": {question{"POST", good(h).target, `{"scopes":["api://orders/.default"]}{}`, good(h).header}, 200},
		"too long":       {question{"POST", good(h).target, `{"scopes":["` + strings.Repeat("a", maxQuery) + `"]}`, good(h).header}, 200},
		"no version":     {question{"POST", "/token", good(h).body, good(h).header}, 400},
		"GET":            {question{"GET", good(h).target, "", good(h).header}, 405},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.ask(h, q.question)
			got.refusedWith(t, q.want)
			want := "GetTokenError"
			if q.want == http.StatusUnauthorized {
				want = "NotSignedInError"
			}
			if got.text("status") != "error" || got.text("code") != want || got.text("message") == "" {
				t.Errorf("got %s, want an error with the code %s", got.raw, want)
			}
		})
	}
}

// A server that was killed leaves challenge files behind; the next one removes them, and nothing
// else.
func TestChallengesOfAServerThatWasKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	folder := w.cfg.ArcFolder
	long := time.Now().Add(-time.Hour)
	for name, age := range map[string]time.Time{
		"rolecall-AAAAAAAAAAAAAAAAAAAAAAAAAA.key": long, "rolecall-BBBBBBBBBBBBBBBBBBBBBBBBBB.key": time.Now(), "4711.key": long, "AAAAAAAAAAAAAAAAAAAAAAAAAA.key": long, "rolecall-notes.key": long,
	} {
		path := filepath.Join(folder, name)
		w.must(os.WriteFile(path, []byte("x"), 0o600))
		w.must(os.Chtimes(path, age, age))
	}
	w.endpoint(directory.PlatformArc)
	if got := files(t, folder); got != 4 {
		t.Errorf("%d files are left, want those of others and the one that may be in use", got)
	}
	if _, err := os.Stat(filepath.Join(folder, "rolecall-AAAAAAAAAAAAAAAAAAAAAAAAAA.key")); !os.IsNotExist(err) {
		t.Errorf("the old one: got %v", err)
	}
}
