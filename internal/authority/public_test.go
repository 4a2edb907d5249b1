package authority

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// atCloud returns the world's authority as it answers under a cloud's names.
func (w *world) atCloud(cloud origin.Cloud) *world {
	w.t.Helper()
	at, err := origin.Public(cloud)
	w.must(err)
	other := *w
	other.Authority, err = w.At(at)
	w.must(err)
	other.handler = other.Handler()
	return &other
}

// Under Microsoft's names the documents, issuers and aliases are those that Entra's own have.
func TestUnderPublicNames(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t).world
	for _, tt := range []struct {
		cloud                    origin.Cloud
		base, v1, instance, host string
	}{
		{origin.AzureCloud, "https://login.microsoftonline.com", "https://sts.windows.net", "microsoftonline.com", "graph.microsoft.com"},
		{origin.AzureUSGovernment, "https://login.microsoftonline.us", "https://sts.windows.net", "microsoftonline.us", "graph.microsoft.us"},
		{origin.AzureChinaCloud, "https://login.partner.microsoftonline.cn", "https://sts.chinacloudapi.cn", "partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn"},
	} {
		p := w.atCloud(tt.cloud)
		for _, name := range []string{"contoso.test", testTenant, "common", "organizations"} {
			tenant := name
			switch name {
			case "contoso.test":
				tenant = testTenant
			case "common", "organizations":
				tenant = origin.TenantPlaceholder
			}
			v1, v2 := p.get("/"+name+"/.well-known/openid-configuration"), p.get("/"+name+"/v2.0/.well-known/openid-configuration")
			if got, want := v1.text("issuer"), tt.v1+"/"+tenant+"/"; got != want {
				t.Errorf("%s, %s: the issuer of version 1.0 is %s, want %s", tt.cloud, name, got, want)
			}
			if got, want := v2.text("issuer"), tt.base+"/"+tenant+"/v2.0"; got != want {
				t.Errorf("%s, %s: the issuer of version 2.0 is %s, want %s", tt.cloud, name, got, want)
			}
			for _, document := range []*reply{v1, v2} {
				if got := document.text("token_endpoint"); !strings.HasPrefix(got, tt.base+"/") {
					t.Errorf("%s, %s: the token endpoint is %s", tt.cloud, name, got)
				}
				if got := document.text("cloud_instance_name"); got != tt.instance {
					t.Errorf("%s, %s: the cloud is %s, want %s", tt.cloud, name, got, tt.instance)
				}
				if got := document.text("msgraph_host"); got != tt.host {
					t.Errorf("%s, %s: Graph is %s, want %s", tt.cloud, name, got, tt.host)
				}
			}
		}
		_, claims := p.judge(p.post(pathV2, p.good()).token(), keysV2Path)
		if claims["iss"] != tt.base+"/"+testTenant+"/v2.0" {
			t.Errorf("%s: the token's issuer is %v", tt.cloud, claims["iss"])
		}
	}
}

// Instance discovery under Microsoft's names lists the aliases of each cloud, as Entra's does.
// Client libraries take a cached token of one alias for another by it.
func TestInstancesUnderPublicNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t).atCloud(origin.AzureCloud)
	for _, host := range []string{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"} {
		answer := w.get("/common/discovery/instance?api-version=1.1&authorization_endpoint=https://" + host + "/" + testTenant + "/oauth2/v2.0/authorize")
		var document struct {
			Endpoint string `json:"tenant_discovery_endpoint"`
			Metadata []struct {
				Network string   `json:"preferred_network"`
				Cache   string   `json:"preferred_cache"`
				Aliases []string `json:"aliases"`
			} `json:"metadata"`
		}
		w.must(json.Unmarshal(answer.Body.Bytes(), &document))
		if want := "https://login.microsoftonline.com/" + testTenant + "/v2.0/.well-known/openid-configuration"; document.Endpoint != want {
			t.Errorf("%s: the documents are at %q, want %q", host, document.Endpoint, want)
		}
		if len(document.Metadata) != len(origin.Clouds()) {
			t.Fatalf("%s: there are %d entries, want one for each cloud: %s", host, len(document.Metadata), answer.Body)
		}
		first := document.Metadata[0]
		if first.Network != "login.microsoftonline.com" || first.Cache != "login.windows.net" || !slices.Contains(first.Aliases, host) {
			t.Errorf("%s: the first entry is %+v", host, first)
		}
	}
	stranger := w.get("/common/discovery/instance?api-version=1.1&authorization_endpoint=https://login.microsoftonline.com.evil.test/" + testTenant + "/oauth2/v2.0/authorize")
	if stranger.Code != http.StatusBadRequest || stranger.text("error") != "invalid_instance" {
		t.Errorf("a name that only looks like one of them: %d %s", stranger.Code, stranger.Body)
	}
}

// A key belongs to one set of names: no key set holds a key of another, and what was signed for
// one set is refused at every other, also where two clouds have the same issuer of version 1.0.
func TestKeysOfPublicNamesAreTheirOwn(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t).world
	worlds := map[origin.Cloud]*world{"": w}
	for _, cloud := range origin.Clouds() {
		worlds[cloud] = w.atCloud(cloud)
	}
	tokens, keys := map[origin.Cloud]string{}, map[string]origin.Cloud{}
	for cloud, p := range worlds {
		tokens[cloud] = p.post(pathV2, values{
			"grant_type": "password", "client_id": publicApp, "username": testUser, "password": testPassword, "scope": "openid profile",
		}).token()
		for _, path := range []string{"/" + testTenant + "/discovery/v2.0/keys", "/common/discovery/keys", "/common/discovery/v2.0/keys"} {
			for _, id := range keyIDs(t, p.get(path)) {
				if owner, known := keys[id]; known && owner != cloud {
					t.Errorf("a key of %q is published by %q too, at %s", owner, cloud, path)
				}
				keys[id] = cloud
			}
		}
	}
	for issued, raw := range tokens {
		for asked, p := range worlds {
			want := http.StatusUnauthorized
			if issued == asked {
				want = http.StatusOK
			}
			if r := p.get("/"+testTenant+"/openid/userinfo", withHeader("Authorization", "Bearer "+raw)); r.Code != want {
				t.Errorf("a token issued under %q at %q: got %d, want %d", issued, asked, r.Code, want)
			}
		}
	}
}

// The keys of all tenants can be asked for under Microsoft's names, and asking makes none.
func TestAskingForPublicKeysOfAllMakesNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.atCloud(origin.AzureCloud)
	at, err := origin.Public(origin.AzureCloud)
	w.must(err)
	for _, path := range []string{"/common/discovery/keys", "/common/discovery/v2.0/keys"} {
		if keys, _, err := token.ParseKeys(p.get(path).Body.Bytes()); len(keys) > 0 {
			t.Errorf("%s: there are keys: %v, %v", path, keys, err)
		}
	}
	if infos, err := w.keys.List(t.Context(), at.KeyRing(testTenant)); err != nil || len(infos) > 0 {
		t.Errorf("asking has made %v (%v)", infos, err)
	}
}

// keyIDs lists the ids of a keys document.
func keyIDs(t *testing.T, r *reply) []string {
	t.Helper()
	var document struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(r.Body.Bytes(), &document); err != nil || len(document.Keys) == 0 {
		t.Fatalf("%v: no keys in %s", err, r.Body)
	}
	var ids []string
	for _, key := range document.Keys {
		ids = append(ids, key.ID)
	}
	return ids
}

// A managed identity's token and a workload's assertion follow the origin that they are made under.
func TestMintedUnderPublicNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addIdentity(directory.IdentityUser)
	p := w.atCloud(origin.AzureCloud)
	at, err := origin.Public(origin.AzureCloud)
	w.must(err)
	for name, mint := range map[string]func() (issuance.Minted, error){
		"by the authority": func() (issuance.Minted, error) {
			return p.Mint(t.Context(), issuance.MintRequest{Tenant: testTenant, Identity: testIdentity, Resource: "api://orders"})
		},
		"by the request": func() (issuance.Minted, error) {
			return w.Mint(t.Context(), issuance.MintRequest{Tenant: testTenant, Identity: testIdentity, Resource: "api://orders", Origin: at})
		},
	} {
		minted, err := mint()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, claims := p.judge(minted.Token, keysV2Path); !strings.HasPrefix(claims["iss"].(string), "https://login.microsoftonline.com/") && !strings.HasPrefix(claims["iss"].(string), "https://sts.windows.net/") {
			t.Errorf("%s: the issuer is %v", name, claims["iss"])
		}
	}
	workload, err := p.StartWorkload(t.Context(), testTenant, testClient)
	w.must(err)
	defer workload.Close()
	assertion, err := workload.Assertion(t.Context())
	w.must(err)
	form := w.good().without("client_secret").set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer").set("client_assertion", assertion.Token)
	p.post(pathV2, form).token()
	if r := w.post(pathV2, form); r.Code == http.StatusOK {
		t.Error("an assertion of the public names is good at the authority's own")
	}
}
