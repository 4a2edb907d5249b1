package authority

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

const testIdentity = directory.AppID("c11e0009-5a5a-4c4c-8d8d-0000000000a1")

// addIdentity makes a managed identity with a role at both APIs.
func (w *world) addIdentity(kind directory.IdentityKind) *directory.ServicePrincipal {
	w.t.Helper()
	var made *directory.ServicePrincipal
	w.edit(func(e *directory.Editor) (err error) {
		made, err = e.ServicePrincipals().Create(directory.ServicePrincipal{
			Tenant: testTenant, AppID: testIdentity, Name: "orders-client-mi", Type: directory.PrincipalManagedIdentity, IdentityKind: kind,
		})
		if err != nil {
			return err
		}
		for api, role := range map[directory.AppID]directory.RoleID{testAPI: "40000001-5a5a-4c4c-8d8d-000000000001", legacyAPI: "40000003-5a5a-4c4c-8d8d-000000000003"} {
			if _, _, err := e.Assignments().Add(testTenant, made.ID, principalID(api), role); err != nil {
				return err
			}
		}
		return nil
	})
	return made
}

func mintRequest(resource string) issuance.MintRequest {
	return issuance.MintRequest{Tenant: testTenant, Identity: testIdentity, Resource: resource, Source: "127.0.0.1", Library: "azsdk"}
}

func TestMint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.addIdentity(directory.IdentityUser)
	for resource, want := range map[string]map[string]string{
		"api://orders": {"ver": "2.0", "azp": string(testIdentity), "azpacr": "2", "aud": testAPI, "iss": testBase + "/" + testTenant + "/v2.0"},
		"api://legacy": {"ver": "1.0", "appid": string(testIdentity), "appidacr": "2", "aud": "api://legacy", "iss": testBase + "/" + testTenant + "/", "idp": testBase + "/" + testTenant + "/"},
	} {
		minted, err := w.Mint(t.Context(), mintRequest(resource))
		w.must(err)
		parsed, err := token.Parse(minted.Token, token.Limits{})
		w.must(err)
		want["xms_mirid"], want["idtyp"], want["oid"], want["sub"], want["tid"] = "", "", string(p.ID), string(p.ID), testTenant
		for name, text := range want {
			value, _ := parsed.Claims.Get(name)
			if got, ok := value.String(); got != text || ok != (text != "") {
				t.Errorf("%s: %s is %q, want %q", resource, name, got, text)
			}
		}
		if life := minted.Expires.Sub(minted.NotBefore); life != 24*time.Hour+5*time.Minute || len(minted.Roles) != 1 || minted.ResourceID != p.ResourceID || minted.ClientID != testIdentity || minted.ObjectID != p.ID {
			t.Errorf("%s: lives %v, roles %v, minted for %s", resource, life, minted.Roles, minted.ResourceID)
		}
	}
}

func TestMintForAnApplication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	req := mintRequest("api://orders")
	req.Identity = testClient
	minted, err := w.Mint(t.Context(), req)
	w.must(err)
	if minted.ResourceID != "" || minted.Expires.Sub(w.clock.Now()) > 90*time.Minute || len(minted.Roles) != 1 {
		t.Errorf("got resource %q, roles %v, until %v", minted.ResourceID, minted.Roles, minted.Expires)
	}
}

func TestMintRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addIdentity(directory.IdentitySystem)
	for _, tt := range []struct {
		name   string
		change func(*issuance.MintRequest)
		code   int
	}{
		{"no such identity", func(r *issuance.MintRequest) { r.Identity = nobody }, 700016},
		{"no such tenant", func(r *issuance.MintRequest) { r.Tenant = "00000000-5a5a-4c4c-8d8d-000000000000" }, 90002},
		{"identity of another tenant", func(r *issuance.MintRequest) { r.Tenant = otherOne }, 700016},
		{"no resource", func(r *issuance.MintRequest) { r.Resource = "" }, 900144},
		{"no such resource", func(r *issuance.MintRequest) { r.Resource = "api://nobody" }, 500011},
		{"resource of another tenant", func(r *issuance.MintRequest) { r.Resource = "api://fabrikam" }, 500011},
		{"resource that wants an assignment", func(r *issuance.MintRequest) { r.Resource = "api://closed" }, 501051},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := mintRequest("api://orders")
			tt.change(&req)
			_, err := w.Mint(t.Context(), req)
			problem, ok := errors.AsType[*aadsts.Problem](err)
			if !ok || problem.Code != tt.code {
				t.Errorf("got %v, want AADSTS%d", err, tt.code)
			}
			if text, err := w.Fingerprint(t.Context(), req); err == nil {
				t.Errorf("Fingerprint gives %q", text)
			}
		})
	}
	w.editPrincipal(testIdentity, func(p *directory.ServicePrincipal) { p.Enabled = false })
	_, err := w.Mint(t.Context(), mintRequest("api://orders"))
	if problem, ok := errors.AsType[*aadsts.Problem](err); !ok || problem.Code != 7000112 {
		t.Errorf("disabled: got %v, want AADSTS7000112", err)
	}
}

func TestFingerprintChangesWithTheToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.addIdentity(directory.IdentitySystem)
	seen := map[string]string{}
	look := func(what string) string {
		t.Helper()
		text, err := w.Fingerprint(t.Context(), mintRequest("api://orders"))
		w.must(err)
		if before, ok := seen[text]; ok {
			t.Errorf("after %q it is as after %q", what, before)
		}
		seen[text] = what
		return text
	}
	first := look("nothing")
	if again, err := w.Fingerprint(t.Context(), mintRequest("api://orders")); err != nil || again != first {
		t.Errorf("it changes by itself: %v", err)
	}
	w.edit(func(e *directory.Editor) error {
		_, _, err := e.Assignments().Add(testTenant, p.ID, principalID(testAPI), "40000002-5a5a-4c4c-8d8d-000000000002")
		return err
	})
	look("a role more")
	w.editApplication(testAPI, func(a *directory.Application) { a.TokenVersion = 1 })
	look("another version")
	for _, enabled := range []bool{false, true} { // a token kept from before is one of those that were revoked
		w.edit(func(e *directory.Editor) error {
			_, err := e.ServicePrincipals().Edit(testTenant, p.ID, func(p *directory.ServicePrincipal) error { p.Enabled = enabled; return nil })
			return err
		})
	}
	look("disabled and enabled")
	w.clock.Advance(time.Hour)
	if _, ok := seen[func() string { text, _ := w.Fingerprint(t.Context(), mintRequest("api://orders")); return text }()]; !ok {
		t.Error("it changes with time")
	}
}

func TestMintLeavesASignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addIdentity(directory.IdentitySystem)
	minted, err := w.Mint(t.Context(), mintRequest("api://orders"))
	w.must(err)
	if _, err := w.Mint(t.Context(), mintRequest("api://nobody")); err == nil {
		t.Fatal("minted for nobody")
	}
	rows := w.signedIn()
	if len(rows) != 2 {
		t.Fatalf("%d sign-ins, want 2", len(rows))
	}
	for _, row := range rows {
		if row.Credential != "managed-identity" || row.AppID != testIdentity || row.Name != "orders-client-mi" || row.Library != "azsdk" || row.Source != "127.0.0.1" {
			t.Errorf("got %+v", row)
		}
		if row.Code == 0 && row.TraceID != minted.TraceID {
			t.Errorf("the row's trace is %s, the token's %s", row.TraceID, minted.TraceID)
		}
	}
	if strings.Contains(w.logged.String(), minted.Token) {
		t.Error("the token is in the log")
	}
}

func TestMintOfOldTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *Config) { cfg.Age = func(context.Context) time.Duration { return 25 * time.Hour } })
	w.addIdentity(directory.IdentitySystem)
	minted, err := w.Mint(t.Context(), mintRequest("api://orders"))
	w.must(err)
	if !minted.Expires.Before(w.clock.Now()) {
		t.Errorf("it expires at %v, which is not past", minted.Expires)
	}
}
