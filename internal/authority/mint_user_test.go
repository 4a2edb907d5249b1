package authority

import (
	"errors"
	"reflect"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

const testSession = "5e551011-5a5a-4c4c-8d8d-000000000001"

// mintForTool asks for a token of the user, by the public client.
func (w *userWorld) mintForTool(scope string) issuance.MintRequest {
	return issuance.MintRequest{
		Tenant: testTenant, Identity: publicApp, User: issuance.UserSignIn{User: w.user.ID, Session: testSession, Scope: scope},
		Source: "192.0.2.1", Library: "az",
	}
}

// Whether a user signed in by a page or on this machine, tokens say the same.
func TestMintForAUserIsAsASignIn(t *testing.T) {
	t.Parallel()
	for _, scope := range []string{"api://orders/.default", "api://orders/user_impersonation", "api://legacy/.default"} {
		t.Run(scope, func(t *testing.T) {
			w := newUserWorld(t)
			ask := scope + " openid offline_access"
			code := w.browser().toolCode("scope", ask)
			signedIn := w.post(pathV2, w.toolRedeems().set("scope", ask, "code", code))
			minted, err := w.Mint(t.Context(), w.mintForTool(scope))
			w.must(err)
			_, want := w.judge(signedIn.token(), keysV2Path)
			_, got := w.judge(minted.Token, keysV2Path)
			for _, name := range []string{"aio", "rh", "uti"} { // new in each
				if got[name] == want[name] || got[name] == "" {
					t.Errorf("%s is %v in both", name, got[name])
				}
				delete(got, name)
				delete(want, name)
			}
			if got["sid"] != testSession {
				t.Errorf("sid is %v", got["sid"])
			}
			got["sid"], got["exp"] = want["sid"], want["exp"] // lifetimes vary
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
			if got["scp"] != "user_impersonation" || minted.ObjectID != w.user.ID || minted.ClientID != publicApp || minted.ResourceID != "" {
				t.Errorf("got %v, for %s by %s", got["scp"], minted.ObjectID, minted.ClientID)
			}
		})
	}
}

func TestMintForAUserRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*userWorld, *issuance.MintRequest)
		code   int
	}{
		{"a user who does not exist", func(_ *userWorld, r *issuance.MintRequest) { r.User.User = "22222222-5a5a-4c4c-8d8d-0000000000ff" }, 50034},
		{"a user who was deleted", func(w *userWorld, _ *issuance.MintRequest) {
			w.edit(func(e *directory.Editor) error { return e.Users().Delete(testTenant, w.user.ID) })
		}, 50034},
		{"a user who was disabled", func(w *userWorld, _ *issuance.MintRequest) {
			w.edit(func(e *directory.Editor) error {
				off := *w.user
				off.Enabled = false
				_, err := e.Users().Edit(off.Tenant, off.ID, func(v *directory.User) error { *v = off; return nil })
				return err
			})
		}, 50057},
		{"a client that is not registered", func(_ *userWorld, r *issuance.MintRequest) { r.Identity = nobody }, 700016},
		{"a client that is not public", func(_ *userWorld, r *issuance.MintRequest) { r.Identity = testClient }, 7000218},
		{"a client that was disabled", func(w *userWorld, _ *issuance.MintRequest) {
			w.editPrincipal(publicApp, func(p *directory.ServicePrincipal) { p.Enabled = false })
		}, 7000112},
		{"no scope", func(_ *userWorld, r *issuance.MintRequest) { r.User.Scope = "" }, 90014},
		{"no such API", func(_ *userWorld, r *issuance.MintRequest) { r.User.Scope = "api://nobody/.default" }, 500011},
		{"two APIs", func(_ *userWorld, r *issuance.MintRequest) {
			r.User.Scope = "api://orders/.default api://legacy/.default"
		}, 700022},
		{"no such scope", func(_ *userWorld, r *issuance.MintRequest) { r.User.Scope = "api://orders/Orders.Nothing" }, 650053},
		{"a scope that nobody consented to", func(_ *userWorld, r *issuance.MintRequest) { r.User.Scope = "api://orders/Orders.ReadMine" }, 65001},
		{"an API that was not asked for", func(w *userWorld, r *issuance.MintRequest) { r.User.Scope = "api://closed/.default" }, 50105},
		{"a grant that was taken back", func(w *userWorld, _ *issuance.MintRequest) {
			w.edit(func(e *directory.Editor) error {
				return e.DelegatedGrants().Remove(testTenant, principalID(publicApp), principalID(testAPI), "", []string{"user_impersonation"})
			})
		}, 650057},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newUserWorld(t)
			req := w.mintForTool("api://orders/.default")
			tt.change(w, &req)
			_, err := w.Mint(t.Context(), req)
			if problem, ok := errors.AsType[*aadsts.Problem](err); !ok || problem.Code != tt.code {
				t.Errorf("got %v, want AADSTS%d", err, tt.code)
			}
			if text, err := w.Fingerprint(t.Context(), req); err == nil {
				t.Errorf("Fingerprint gives %q", text)
			}
		})
	}
}

func TestFingerprintChangesWithAUsersToken(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	seen := map[string]string{}
	look := func(what string) {
		t.Helper()
		text, err := w.Fingerprint(t.Context(), w.mintForTool("api://orders/.default"))
		w.must(err)
		if before, ok := seen[text]; ok && before != what {
			t.Errorf("after %q it is as after %q", what, before)
		}
		seen[text] = what
	}
	look("nothing")
	look("nothing")
	if len(seen) != 1 {
		t.Error("it changes by itself")
	}
	w.edit(func(e *directory.Editor) error {
		_, err := e.DelegatedGrants().Add(testTenant, principalID(publicApp), principalID(testAPI), w.user.ID, []string{"Orders.ReadMine"})
		return err
	})
	look("a scope more")
	w.edit(func(e *directory.Editor) error {
		return e.Assignments().Remove(testTenant, w.user.ID, principalID(testAPI), "40000009-5a5a-4c4c-8d8d-000000000009")
	})
	look("a role less")
	w.edit(func(e *directory.Editor) error {
		renamed := *w.user
		renamed.PrincipalName = "developer@contoso.test"
		_, err := e.Users().Edit(renamed.Tenant, renamed.ID, func(v *directory.User) error { *v = renamed; return nil })
		return err
	})
	look("another name")
	w.editApplication(testAPI, func(a *directory.Application) { a.TokenVersion = 1 })
	look("another version")
}

func TestMintForAUserLeavesASignIn(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	minted, err := w.Mint(t.Context(), w.mintForTool("api://orders/.default"))
	w.must(err)
	if _, err := w.Mint(t.Context(), w.mintForTool("api://orders/Orders.ReadMine")); err == nil {
		t.Fatal("minted without consent")
	}
	rows := w.signedIn()
	if len(rows) != 2 {
		t.Fatalf("%d sign-ins, want 2", len(rows))
	}
	for _, row := range rows {
		if row.Credential != "local" || row.AppID != publicApp || row.User != testUser || row.Library != "az" || row.Resource != "api://orders" {
			t.Errorf("got %+v", row)
		}
		switch row.Code {
		case 0:
			if row.TraceID != minted.TraceID || !reflect.DeepEqual(row.Scopes, []string{"user_impersonation"}) {
				t.Errorf("got %+v", row)
			}
		case 65001:
		default:
			t.Errorf("got %+v", row)
		}
	}
}

// Who was refused is to be found, and at what.
func TestMintForADisabledUserLeavesASignIn(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	w.edit(func(e *directory.Editor) error {
		off := *w.user
		off.Enabled = false
		_, err := e.Users().Edit(off.Tenant, off.ID, func(v *directory.User) error { *v = off; return nil })
		return err
	})
	if _, err := w.Mint(t.Context(), w.mintForTool("api://orders/.default")); err == nil {
		t.Fatal("minted for a disabled user")
	}
	rows := w.signedIn()
	if len(rows) != 1 || rows[0].Code != 50057 || rows[0].User != string(w.user.ID) || rows[0].Resource != "api://orders" {
		t.Errorf("got %+v", rows)
	}
}
