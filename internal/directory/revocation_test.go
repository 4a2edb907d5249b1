package directory_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// revoked returns the revocations that came after a sequence, in words, and the next one.
func (o *orders) revoked(t *testing.T, since int64) (all []string, next int64) {
	t.Helper()
	found, next, err := o.Revocations().Since(t.Context(), contoso, since)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range found {
		whose := map[directory.ObjectID]string{o.appPrincipal.ID: "app", o.apiPrincipal.ID: "api", "": "all"}[r.Principal]
		if whose == "" {
			whose = "user"
		}
		all = append(all, fmt.Sprint(r.Kind, " ", whose, r.Role, r.Scope, r.Key))
	}
	return all, next
}

func TestRevocationOfWhatIsTakenAway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(o *orders, e *directory.Editor) error
		want []string
	}{
		{"client disabled", func(o *orders, e *directory.Editor) error { return o.enable(e, false) }, []string{"principal app"}},
		{"client enabled", func(o *orders, e *directory.Editor) error { return o.enable(e, true) }, nil},
		{"client deleted", func(o *orders, e *directory.Editor) error { return e.Applications().Delete(contoso, o.app.ID) }, []string{"principal app"}},
		{"principal deleted", func(o *orders, e *directory.Editor) error {
			return e.ServicePrincipals().Delete(contoso, o.appPrincipal.ID)
		}, []string{"principal app"}},
		{"role taken away", func(o *orders, e *directory.Editor) error {
			return e.Assignments().Remove(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, o.read)
		}, []string{"assignment appOrders.Read"}},
		{"role disabled", func(o *orders, e *directory.Editor) error {
			return o.editRole(e, func(role *directory.AppRole) { role.Enabled = false })
		}, []string{"assignment allOrders.Read"}},
		{"role for users alone", func(o *orders, e *directory.Editor) error {
			return o.editRole(e, func(role *directory.AppRole) { role.Members = []directory.MemberType{directory.MemberUser} })
		}, []string{"assignment allOrders.Read"}},
		{"role for users too", func(o *orders, e *directory.Editor) error {
			return o.editRole(e, func(role *directory.AppRole) { role.Members = append(role.Members, directory.MemberUser) })
		}, nil},
		{"role called otherwise", func(o *orders, e *directory.Editor) error {
			return o.editRole(e, func(role *directory.AppRole) { role.Value = "Orders.ReadAll" })
		}, []string{"assignment allOrders.Read"}},
		{"role described otherwise", func(o *orders, e *directory.Editor) error {
			return o.editRole(e, func(role *directory.AppRole) { role.Description = "Everything" })
		}, nil},
		{"tenant disabled", func(_ *orders, e *directory.Editor) error {
			_, err := e.Tenants().Edit(contoso, func(t *directory.Tenant) error { t.Enabled = false; return nil })
			return err
		}, []string{"tenant all"}},
		{"tokens ended", func(o *orders, e *directory.Editor) error {
			return e.ServicePrincipals().EndTokens(contoso, o.appPrincipal.ID)
		}, []string{"principal app"}},
		{"a secret removed", func(o *orders, e *directory.Editor) error {
			secret, _, err := e.Credentials().AddSecret(contoso, o.app.ID, "more", time.Time{})
			if err != nil {
				return err
			}
			return e.Credentials().Remove(contoso, o.app.ID, secret.ID)
		}, nil},
		{"a secret added", func(o *orders, e *directory.Editor) error {
			_, _, err := e.Credentials().AddSecret(contoso, o.app.ID, "more", time.Time{})
			return err
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOrders(t, memory.New())
			_, since := o.revoked(t, 0)
			change(t, o.Directory, func(e *directory.Editor) error { return tt.do(o, e) })
			for _, from := range []int64{since, 0} { // by the feed, and all there are
				if got, _ := o.revoked(t, from); !slices.Equal(got, tt.want) {
					t.Errorf("since %d: got %q, want %q", from, got, tt.want)
				}
			}
		})
	}
}

func (o *orders) enable(e *directory.Editor, enabled bool) error {
	_, err := e.ServicePrincipals().Edit(contoso, o.appPrincipal.ID, func(p *directory.ServicePrincipal) error { p.Enabled = enabled; return nil })
	return err
}

func (o *orders) editRole(e *directory.Editor, f func(*directory.AppRole)) error {
	_, err := e.Applications().Edit(contoso, o.api.ID, func(a *directory.Application) error { f(&a.AppRoles[0]); return nil })
	return err
}

func TestRevocationOfUsersTokens(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(e *directory.Editor, id directory.ObjectID) error{
		"disabled": func(e *directory.Editor, id directory.ObjectID) error {
			_, err := e.Users().Edit(contoso, id, func(u *directory.User) error { u.Enabled = false; return nil })
			return err
		},
		"deleted":        func(e *directory.Editor, id directory.ObjectID) error { return e.Users().Delete(contoso, id) },
		"sessions ended": func(e *directory.Editor, id directory.ObjectID) error { return e.Users().EndSessions(contoso, id) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrders(t, memory.New())
			var user *directory.User
			change(t, o.Directory, func(e *directory.Editor) (err error) {
				user, err = e.Users().Create(directory.User{Tenant: contoso, PrincipalName: "dev@contoso.test"}, nil)
				return err
			})
			change(t, o.Directory, func(e *directory.Editor) error { return do(e, user.ID) })
			if got, _ := o.revoked(t, 0); !slices.Equal(got, []string{"principal user"}) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestRevocationOfKey(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	set := func(ring, revoked string) {
		t.Helper()
		if err := o.SetKeyring(t.Context(), ring, 0, []byte("{}"), audit.Event{Actor: "system:keyring", ActorKind: "system", Action: "keyring.revoke"}, revoked); err != nil {
			t.Fatal(err)
		}
	}
	set(string(contoso), "stolen")
	set(string(contoso)+"/workload", "other") // signs no access tokens
	if got, _ := o.revoked(t, 0); !slices.Equal(got, []string{"key allstolen"}) {
		t.Errorf("got %q", got)
	}
}

// What was issued until the change is known everywhere is revoked, and what is issued later
// is not.
func TestRevocationCutOff(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	began := time.Now()
	change(t, o.Directory, func(e *directory.Editor) error { return o.enable(e, false) })
	all, _, err := o.Revocations().Since(t.Context(), contoso, 0)
	if err != nil || len(all) != 1 {
		t.Fatalf("got %v, %v", all, err)
	}
	r := all[0]
	if lag := r.Before.Sub(began); lag < 2*time.Second || lag > 5*time.Second || r.Before.Nanosecond() != 0 {
		t.Errorf("the cut-off is %v later, at %v", lag, r.Before)
	}
	if r.Client != ordersApp || r.Until.Sub(r.Before) != directory.RevocationsKept {
		t.Errorf("got %+v", r)
	}
}

// A reader whom the feed has left behind is told everything, and so is one of another store.
func TestRevocationsAfresh(t *testing.T) {
	t.Parallel()
	store := &counting{Store: memory.New()}
	o := newOrders(t, store)
	change(t, o.Directory, func(e *directory.Editor) error { return o.enable(e, false) })
	_, newest := o.revoked(t, 0)
	if got, _ := o.revoked(t, newest); got != nil {
		t.Errorf("nothing is new, got %q", got)
	}
	store.skip.Store(newest - 1) // the feed is forgotten but for its end
	for _, since := range []int64{0, 1, newest + 1000, -1} {
		if got, next := o.revoked(t, since); !slices.Equal(got, []string{"principal app"}) || next != newest {
			t.Errorf("since %d: got %q, next %d, want it by %d", since, got, next, newest)
		}
	}
}

func TestRevocationsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		o := newOrders(t, store)
		toggle := func() {
			change(t, o.Directory, func(e *directory.Editor) error { return o.enable(e, false) })
			change(t, o.Directory, func(e *directory.Editor) error { return o.enable(e, true) })
		}
		for range 6 {
			toggle()
		}
		_, since := o.revoked(t, 0)
		time.Sleep(directory.RevocationsKept + 10*time.Second)
		if got, _ := o.revoked(t, since-1); got != nil {
			t.Errorf("after a day there are still %q", got)
		}
		kept := func() int {
			objects, _, err := store.List(t.Context(), string(contoso), directory.KindRevocation, "until/", "", 0)
			if err != nil {
				t.Fatal(err)
			}
			return len(objects)
		}
		for i, want := range []int{3, 2, 3} { // four go with each that comes
			if toggle(); kept() != want {
				t.Errorf("after %d more, %d are kept, want %d", i+1, kept(), want)
			}
		}
	})
}

// Whoever waits is woken by a change that was made elsewhere, once it is taken in.
func TestRevokingWakes(t *testing.T) {
	t.Parallel()
	store := memory.New()
	o, other := newOrders(t, store), open(t, store)
	woken := other.Revocations().Next()
	change(t, o.Directory, func(e *directory.Editor) error { return o.enable(e, true) })
	if _, err := other.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-woken:
		t.Error("woken by nothing")
	default:
	}
	change(t, o.Directory, func(e *directory.Editor) error { return o.enable(e, false) })
	if _, err := other.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-woken:
	default:
		t.Error("not woken")
	}
}

// Tokens of whoever got back what was revoked begin after that, for as long as tokens of before
// may be there. It takes no query.
func TestTokensFrom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &counting{Store: memory.New()}
		o := newOrders(t, store)
		subject := directory.TokenSubject{Tenant: contoso, Principal: o.appPrincipal.ID, Client: ordersApp, Resource: o.apiPrincipal.ID, Roles: []string{"Orders.Read"}}
		if from := o.Revocations().TokensFrom(t.Context(), subject); !from.IsZero() {
			t.Errorf("nothing was revoked, from %v", from)
		}
		change(t, o.Directory, func(e *directory.Editor) error {
			return e.Assignments().Remove(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, o.read)
		})
		from := o.Revocations().TokensFrom(t.Context(), subject)
		if lag := time.Until(from); lag < 2*time.Second || lag > 3*time.Second {
			t.Errorf("from %v", from)
		}
		for name, other := range map[string]func(*directory.TokenSubject){
			"without the role":        func(s *directory.TokenSubject) { s.Roles = []string{"Orders.Write"} },
			"of another API":          func(s *directory.TokenSubject) { s.Resource = o.appPrincipal.ID },
			"of another principal":    func(s *directory.TokenSubject) { s.Principal = o.apiPrincipal.ID },
			"of a tenant not there":   func(s *directory.TokenSubject) { s.Tenant = "nowhere" },
			"of nobody in the tenant": func(s *directory.TokenSubject) { *s = directory.TokenSubject{Tenant: contoso} },
		} {
			s := subject
			other(&s)
			if from := o.Revocations().TokensFrom(t.Context(), s); !from.IsZero() {
				t.Errorf("%s: from %v", name, from)
			}
		}
		reads := store.reads.Load()
		if o.Revocations().TokensFrom(t.Context(), subject) != from || store.reads.Load() != reads {
			t.Errorf("%d more reads", store.reads.Load()-reads)
		}
		time.Sleep(directory.RevocationsKept - time.Minute)
		other := open(t, store) // which has nothing in memory
		if got := other.Revocations().TokensFrom(t.Context(), subject); !got.Equal(from) {
			t.Errorf("a day later, from %v, want %v", got, from)
		}
		time.Sleep(2 * time.Minute)
		for _, d := range []*directory.Directory{o.Directory, other, open(t, store)} {
			if from := d.Revocations().TokensFrom(t.Context(), subject); !from.IsZero() {
				t.Errorf("when the last token has ended, from %v", from)
			}
		}
		if from := openThenDown(t, store).Revocations().TokensFrom(t.Context(), subject); !from.IsZero() {
			t.Errorf("the store is down, from %v", from)
		}
	})
}

// openThenDown opens a directory whose store goes down right away.
func openThenDown(t *testing.T, store *counting) *directory.Directory {
	t.Helper()
	store.down.Store(false)
	d := open(t, store)
	store.down.Store(true)
	return d
}

// A client that loses a scope, for a user or for all, loses the tokens that carry it.
func TestRevocationOfScopes(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	var user *directory.User
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		if user, err = e.Users().Create(directory.User{Tenant: contoso, PrincipalName: "dev@contoso.test"}, nil); err != nil {
			return err
		}
		_, err = e.Applications().Edit(contoso, o.api.ID, func(a *directory.Application) error {
			a.Scopes = []directory.Scope{{Value: "Orders.See", Enabled: true}, {Value: "Orders.Do", Enabled: true}}
			return nil
		})
		if err != nil {
			return err
		}
		if _, err = e.DelegatedGrants().Add(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, "", []string{"Orders.See"}); err != nil {
			return err
		}
		_, err = e.DelegatedGrants().Add(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, user.ID, []string{"Orders.Do", "Orders.See"})
		return err
	})
	_, since := o.revoked(t, 0)
	for _, tt := range []struct {
		name string
		do   func(e *directory.Editor) error
		want []string
	}{
		{"for a user", func(e *directory.Editor) error {
			return e.DelegatedGrants().Remove(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, user.ID, []string{"Orders.Do"})
		}, []string{"scope userOrders.Do"}},
		{"for all", func(e *directory.Editor) error {
			return e.DelegatedGrants().Remove(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, "", nil)
		}, []string{"scope allOrders.See"}},
		{"disabled", func(e *directory.Editor) error {
			_, err := e.Applications().Edit(contoso, o.api.ID, func(a *directory.Application) error { a.Scopes[1].Enabled = false; return nil })
			return err
		}, []string{"scope allOrders.Do"}},
		{"described otherwise", func(e *directory.Editor) error {
			_, err := e.Applications().Edit(contoso, o.api.ID, func(a *directory.Application) error { a.Scopes[0].Description = "All"; return nil })
			return err
		}, nil},
	} {
		change(t, o.Directory, tt.do)
		var got []string
		if got, since = o.revoked(t, since); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	found, _, err := o.Revocations().Since(t.Context(), contoso, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := directory.TokenSubject{Tenant: contoso, Principal: user.ID, Client: ordersApp, Resource: o.apiPrincipal.ID, Scopes: []string{"Orders.Do"}}
	for _, r := range found {
		if got, want := r.Concerns(s), r.Scope == "Orders.Do"; got != want {
			t.Errorf("%+v concerns it: %t", r, got)
		}
	}
	s.Client = ordersAPI
	for _, r := range found {
		if r.Client != "" && r.Concerns(s) {
			t.Errorf("another client's tokens are meant by %+v", r)
		}
	}
}
