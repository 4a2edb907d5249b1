package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/remote"
)

// reads asks Graph who the client is, in the server's words.
func reads(t *testing.T, s *remote.Server) error {
	t.Helper()
	var app struct {
		DisplayName string `json:"displayName"`
	}
	err := s.GraphClient().Get(t.Context(), "applications(appId='"+string(fixture.ClientID)+"')", &app)
	if err == nil && app.DisplayName == "" {
		t.Error("the application has no name")
	}
	return err
}

// From another machine, with the URL and the certificates alone: a user.
func TestAUserSignsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	signedIn, err := w.login(remote.Login{Name: "team", CABundle: w.bundle})
	if err != nil {
		t.Fatal(err)
	}
	if signedIn.Who != admin || signedIn.Tenant != string(fixture.TenantID) || signedIn.Graph != w.server.Endpoints().Graph {
		t.Errorf("got %+v", signedIn.Record)
	}
	if err := os.Remove(w.bundle); err != nil { // it was copied
		t.Fatal(err)
	}
	opened, err := w.open(nil).Open("team") // another process
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	if err := reads(t, opened); err != nil {
		t.Error(err)
	}
	answer, err := opened.ManagerClient().Get(opened.ResourceManager + "/subscriptions?api-version=2022-12-01")
	if page := w.page(answer, err); !strings.Contains(page, directory.Subscription(fixture.TenantID)) {
		t.Errorf("the resource manager: %s", page)
	}
	checkModes(t, w.state)
	if until := opened.Until(); until.Before(time.Now().Add(89 * 24 * time.Hour)) {
		t.Errorf("signed in until %s", until)
	}
}

// The server does not say for how long it keeps a sign-in; this program knows.
func TestSignInsLastAsLongAsTheServerKeepsThem(t *testing.T) {
	t.Parallel()
	if remote.RefreshLife != records.RefreshLife {
		t.Errorf("%v here, %v there", remote.RefreshLife, records.RefreshLife)
	}
}

// checkModes holds the folder and its files to be the user's alone.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if seen++; info.Mode().Perm() != want {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return nil
	})
	if err != nil || seen < 4 {
		t.Errorf("%d files, %v", seen, err)
	}
}

// An application signs in by each of its credentials, and goes on by it without anybody there.
func TestAnApplicationSignsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	user, err := w.login(remote.Login{Name: "admin", CABundle: w.bundle})
	if err != nil {
		t.Fatal(err)
	}
	lent, err := user.GraphClient().IdentityToken(t.Context(), string(fixture.IdentityPrincipal), graphclient.IdentityTokenRequest{Resource: directory.ExchangeAudience})
	if err != nil {
		t.Fatal(err)
	}
	federated := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(federated, []byte(lent.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.edit(func(e *directory.Editor) error {
		client, err := e.Applications().Find(fixture.TenantID, string(fixture.ClientID))
		if err != nil {
			return err
		}
		_, err = e.Credentials().AddFederated(fixture.TenantID, client.ID, directory.FederatedCredential{
			Name: "mi", Issuer: w.url() + "/" + string(fixture.TenantID) + "/v2.0", Subject: string(fixture.IdentityPrincipal), Audience: directory.ExchangeAudience,
		})
		return err
	})
	for name, l := range map[string]remote.Login{
		"secret":      {Secret: w.secret},
		"certificate": {CertificateFile: w.certificate()},
		"federated":   {FederatedTokenFile: federated},
	} {
		l.Name, l.URL, l.CABundle, l.ClientID = name, w.url()+"/contoso", w.bundle, string(fixture.ClientID)
		signedIn, err := w.login(l)
		if err != nil {
			t.Errorf("%s: %v; %s", name, err, fix.Of(err))
			continue
		}
		if signedIn.Who != string(fixture.ClientID) || !signedIn.Until().IsZero() {
			t.Errorf("%s: %+v", name, signedIn.Record)
		}
		opened, err := w.store.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(opened.Close)
		if err := reads(t, opened); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	checkModes(t, w.state)
}

// A token that the server takes no more in the middle is replaced, and the call sent once more;
// a sign-in that has ended says so, with the command that begins another one.
func TestATokenEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	s, err := w.login(remote.Login{Name: "team", CABundle: w.bundle})
	if err != nil {
		t.Fatal(err)
	}
	graph := "https://graph.microsoft.com/.default"
	before, _, err := s.Token(t.Context(), graph)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	s.Through(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if !strings.HasPrefix(r.URL.String(), s.Graph) {
				return next.RoundTrip(r)
			}
			bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			seen = append(seen, bearer)
			if bearer == before { // the server has taken it back
				r.Header.Set("Authorization", "Bearer gone")
			}
			return next.RoundTrip(r)
		})
	})
	var made struct {
		ID string `json:"id"`
	}
	if err := s.GraphClient().Do(t.Context(), http.MethodPost, "applications", map[string]string{"displayName": "made"}, &made); err != nil || made.ID == "" {
		t.Fatalf("got %+v, %v", made, err)
	}
	after, _, err := s.Token(t.Context(), graph)
	if err != nil || len(seen) != 2 || seen[0] != before || seen[1] != after || before == after {
		t.Errorf("sent %d requests, %v", len(seen), err)
	}
	other, err := w.open(nil).Open("team") // another process goes on with the new token
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	if kept, _, err := other.Token(t.Context(), graph); err != nil || kept != after {
		t.Errorf("the new token was not kept: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Many processes that renew at once do not end the sign-in: a refresh token is good for once.
func TestManyRenewAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	if _, err := w.login(remote.Login{Name: "team", CABundle: w.bundle}); err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error {
			s, err := w.open(nil).Open("team")
			if err != nil {
				return err
			}
			defer s.Close()
			for _, scope := range []string{"https://management.azure.com/.default", "https://graph.microsoft.com/.default"} {
				if _, _, err := s.Token(t.Context(), scope); err != nil {
					return fmt.Errorf("%d: %s: %w", i, scope, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func TestASignInEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	s, err := w.login(remote.Login{Name: "team", CABundle: w.bundle})
	if err != nil {
		t.Fatal(err)
	}
	w.edit(func(e *directory.Editor) error { return e.Users().EndSessions(fixture.TenantID, w.admin) })
	_, _, err = s.Token(t.Context(), "https://management.azure.com/.default")
	if want := "sign in again: `rolecall login " + w.url() + " --name team`"; !errors.Is(err, remote.ErrEnded) || fix.Of(err) != want {
		t.Errorf("got %v, %q, want %q", err, fix.Of(err), want)
	}
	all, err := w.store.List()
	if err != nil || len(all) != 1 || all[0].Ended == "" {
		t.Errorf("the list: %+v, %v", all, err)
	}
	if s, err = w.login(remote.Login{Name: "team"}); err != nil { // certificates are kept
		t.Fatal(err)
	}
	if err := reads(t, s); err != nil {
		t.Error(err)
	}
	if all, err := w.store.List(); err != nil || len(all) != 1 || all[0].Ended != "" {
		t.Errorf("signed in anew: %+v, %v", all, err)
	}
}

func TestSignInsThatFail(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	gone := "https://127.0.0.1:1"
	for _, tt := range []struct {
		name  string
		login remote.Login
		what  string
		fix   string
		is    error
	}{
		{"certificates that nobody trusts", remote.Login{}, "is signed by nobody that this machine trusts", "--ca-bundle FILE", remote.ErrUnreachable},
		{"nobody there", remote.Login{URL: gone}, "cannot reach " + gone + ": connect: connection refused", "check that the server runs", remote.ErrUnreachable},
		{"not the authority", remote.Login{URL: w.server.Endpoints().Graph, CABundle: w.bundle}, "is no Rolecall server", "give the URL of the authority", nil},
		{"no TLS", remote.Login{URL: strings.Replace(w.server.Endpoints().Ops, "http:", "https:", 1)}, "does not speak TLS", "", remote.ErrUnreachable},
		{"no URL", remote.Login{URL: "http://auth.test"}, "is no URL of a server", "https://auth.corp.test:8443", nil},
		{"no name", remote.Login{Name: "../x"}, "is no name for a server", "--name team", nil},
		{"no tenant", remote.Login{CABundle: w.bundle, ClientID: string(fixture.ClientID), Secret: "x"}, "signs in to a tenant", "--tenant TENANT", nil},
		{"another tenant", remote.Login{CABundle: w.bundle, Tenant: "nowhere.test"}, `has no tenant "nowhere.test"`, "", nil},
		{"a wrong secret", remote.Login{CABundle: w.bundle, Tenant: "contoso", ClientID: string(fixture.ClientID), Secret: "no-such-secret"}, "AADSTS7000215", "", remote.ErrRefused},
		{"two credentials", remote.Login{Tenant: "contoso", ClientID: string(fixture.ClientID), Secret: "x", CertificateFile: "y"}, "by one credential, and 2 are given", "", nil},
		{"no certificate", remote.Login{CABundle: w.bundle, Tenant: "contoso", ClientID: string(fixture.ClientID), CertificateFile: w.bundle}, "holds no certificate with its key", "", remote.ErrRefused},
	} {
		_, err := w.login(tt.login)
		if err == nil || !strings.Contains(err.Error(), tt.what) || !strings.Contains(fix.Of(err), tt.fix) || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v; fix %q", tt.name, err, fix.Of(err))
		}
		if err != nil && tt.login.Secret != "" && strings.Contains(err.Error(), "no-such-secret") {
			t.Errorf("%s: the error holds the secret", tt.name)
		}
	}
	if all, err := w.store.List(); err != nil || len(all) > 0 {
		t.Errorf("kept %v, %v", all, err)
	}
	declined := remote.Login{URL: w.url(), CABundle: w.bundle, Show: func(code remote.DeviceCode) { w.approve(code, "cancel") }}
	if _, err := w.store.Login(t.Context(), declined); !errors.Is(err, remote.ErrRefused) || !strings.Contains(err.Error(), "cancelled") {
		t.Errorf("declined: %v", err)
	}
	if _, err := w.store.Open("team"); !errors.Is(err, remote.ErrUnknown) || !strings.Contains(fix.Of(err), "rolecall login URL --name team") {
		t.Errorf("unknown: %v, %q", err, fix.Of(err))
	}
}

// Tokens go to the server's own Graph, and nowhere else.
func TestTokensStayWithTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	s, err := w.login(remote.Login{Name: "team", CABundle: w.bundle})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{w.url() + "/v1.0/applications", s.Graph + "0/v1.0/applications", "https://graph.microsoft.com/v1.0/me", strings.Replace(s.Graph, "https:", "http:", 1) + "/v1.0/me"} {
		answer, err := s.GraphClient().HTTP.Get(at)
		if err == nil {
			answer.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "not a place for the tokens of team") {
			t.Errorf("%s: %v", at, err)
		}
	}
	if _, err := s.GraphClient().HTTP.Do((&http.Request{}).WithContext(context.Background())); err == nil {
		t.Error("a request to nowhere went out")
	}
}

// memoryKeyring is a keyring of this process.
type memoryKeyring map[string]string

func (m memoryKeyring) Set(name, secret string) error { m[name] = secret; return nil }
func (m memoryKeyring) Delete(name string) error      { delete(m, name); return nil }
func (m memoryKeyring) Get(name string) (string, error) {
	if secret, ok := m[name]; ok {
		return secret, nil
	}
	return "", errors.New("nothing of that name")
}

// Where there is a keyring, the files alone are worth nothing, and signing out empties both.
func TestSecretsAreInTheKeyring(t *testing.T) {
	t.Parallel()
	keyring := memoryKeyring{}
	w := newWorld(t, keyring)
	l := remote.Login{Name: "team", Tenant: "contoso", CABundle: w.bundle, ClientID: string(fixture.ClientID), Secret: w.secret}
	if _, err := w.login(l); err != nil {
		t.Fatal(err)
	}
	for _, file := range w.files() {
		b, err := os.ReadFile(filepath.Join(w.state, file))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), w.secret) || strings.Contains(string(b), "access_token") || strings.Contains(string(b), "eyJ") {
			t.Errorf("%s holds a secret or a token", file)
		}
	}
	s, err := w.store.Open("team")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := reads(t, s); err != nil {
		t.Error(err)
	}
	if without, err := w.open(nil).Open("team"); err != nil || !errors.Is(reads(t, without), remote.ErrEnded) {
		t.Errorf("without the keyring it works, or: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(s.Folder(), "credentials"), 0o700); err != nil { // with keys of what was lent
		t.Fatal(err)
	}
	if err := w.store.Remove(t.Context(), "team"); err != nil {
		t.Fatal(err)
	}
	if files := w.files(); len(keyring) > 0 || len(files) != 2 {
		t.Errorf("left: %d keys, %v", len(keyring), files)
	}
	if err := w.store.Remove(t.Context(), "team"); !errors.Is(err, remote.ErrUnknown) {
		t.Errorf("once more: %v", err)
	}
}

func (w *world) files() []string {
	w.Helper()
	entries, err := os.ReadDir(w.state)
	if err != nil {
		w.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
