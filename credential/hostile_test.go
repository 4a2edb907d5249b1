package credential

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// A bundle adds to whom a credential trusts and takes nothing else away: a server that
// nobody in it vouches for gets no secret.
func TestABundleTrustsNobodyElse(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	opts := &Options{AuthorityHost: a.URL, CABundle: writeFile(t, "ca.pem", certificatePEM(newCertificate(t, "another", time.Now()).Chain[0]))}
	byMSAL, err := NewSecret(testTenant, testClient, testSecret, opts)
	if err != nil {
		t.Fatal(err)
	}
	byADAL, err := NewADAL(ADALConfig{TenantID: testTenant, ClientID: testClient, Secret: testSecret, Options: opts})
	if err != nil {
		t.Fatal(err)
	}
	for _, cred := range []azcore.TokenCredential{byMSAL, byADAL} {
		if token, err := cred.GetToken(t.Context(), scoped(testScope)); err == nil || strings.Contains(err.Error(), testSecret) {
			t.Errorf("a token of %d bytes by way of a server that is not trusted, %v", len(token.Token), err)
		}
	}
	if got := len(a.seen()); got != 0 {
		t.Errorf("the server saw %d token requests", got)
	}
}

func TestABundleIsBesidesTheSystem(t *testing.T) {
	t.Parallel()
	content := certificatePEM(newCertificate(t, "ours", time.Now()).Chain[0])
	want, err := x509.SystemCertPool()
	if err != nil {
		t.Skip("this system keeps no roots")
	}
	want.AppendCertsFromPEM(content)
	if got, err := loadRoots(writeFile(t, "ca.pem", content)); err != nil || !got.Equal(want) {
		t.Errorf("the roots are not those of the system and of the bundle (%v)", err)
	}
}

// The answer of a managed identity's endpoint leads nowhere: its secret is for that one.
func TestAManagedIdentityFollowsNoRedirect(t *testing.T) {
	startAuthority(t)
	elsewhere := record(t, httptest.NewServer)
	endpoint := record(t, httptest.NewServer)
	endpoint.answer = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}
	t.Setenv("IDENTITY_ENDPOINT", endpoint.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", testSecret)
	cred, err := Parse("RunAs=App", nil)
	if err != nil {
		t.Fatal(err)
	}
	// MSAL keeps the tokens of managed identities for the whole process: this one is new to it.
	if _, err := cred.GetToken(t.Context(), scoped("api://redirected/.default")); err == nil || strings.Contains(err.Error(), testSecret) {
		t.Errorf("got %v", err)
	}
	if len(elsewhere.got) != 0 {
		t.Error("the request went on to another server")
	}
}

// askedEndpoint is set for this test's own process behind a proxy.
const askedEndpoint = "CREDENTIAL_TEST_ENDPOINT"

// Nor does a proxy get it. Go asks none for the loopback addresses, by default; 0.0.0.0 leads
// to the loopback interface too, and is not one of them.
func TestAManagedIdentityIsAskedThroughNoProxy(t *testing.T) {
	t.Parallel()
	if endpoint := os.Getenv(askedEndpoint); endpoint != "" {
		cred, err := Parse("RunAs=App", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cred.GetToken(t.Context(), scoped(testScope)); err != nil {
			t.Fatal(err)
		}
		return
	}
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"access_token":"t","token_type":"Bearer","resource":"api://orders","expires_in":"3600","expires_on":"%d"}`, time.Now().Unix()+3600)
	}))
	defer endpoint.Close()
	address := strings.Replace(endpoint.URL, "127.0.0.1", "0.0.0.0", 1)
	proxy := record(t, httptest.NewServer)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestAManagedIdentityIsAskedThroughNoProxy$")
	cmd.Env = append(os.Environ(), askedEndpoint+"="+address, "IDENTITY_ENDPOINT="+address+"/msi/token", "IDENTITY_HEADER=x",
		"HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=", "GORACE=atexit_sleep_ms=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if len(proxy.got) != 0 {
		t.Error("a proxy was asked")
	}
}

// What is read as an answer, or as a certificate, has an end.
func TestWhatIsReadIsBounded(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	a.answer = func(w http.ResponseWriter, _ tokenRequest) {
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":"3600","access_token":"v1-token"%s}`, strings.Repeat(" ", 300<<10))
	}
	cred, err := NewADAL(ADALConfig{TenantID: testTenant, ClientID: testClient, Secret: testSecret, Options: a.options(t)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cred.GetToken(t.Context(), scoped(testScope)); err == nil {
		t.Error("an answer of 300 KiB was read to its end")
	}
	large := append(pemOf(t, newCertificate(t, "large", time.Now())), make([]byte, maxCertificateFile)...)
	for name, path := range map[string]string{"a folder": t.TempDir(), "too large": writeFile(t, "large.pem", large), "no file": filepath.Join(t.TempDir(), "none")} {
		if _, err := LoadCertificate(path, ""); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error with the path", name, err)
		}
	}
}

func TestACertificateThatHasExpiredIsNotFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, begin := range map[string]time.Time{"old.pem": time.Now().Add(-25 * time.Hour), "early.pem": time.Now().Add(time.Hour)} {
		if err := os.WriteFile(filepath.Join(dir, name), pemOf(t, newCertificate(t, "orders-client", begin)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := findCertificates(dir, bySubject("CN=orders-client")); err == nil {
		t.Errorf("found %d, of which none is valid now", len(found))
	}
}

// challenged asks with claims.
func challenged(ctx context.Context, cache *Cache) (azcore.AccessToken, error) {
	return cache.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{testScope}, Claims: `{"access_token":{}}`})
}

// A token that meets a challenge is neither shared with who asked before it, nor replaced by
// theirs when that comes in later.
func TestATokenForAChallengeStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plain, claims := make(chan struct{}), make(chan struct{})
		cred := &script{}
		cred.set(func(n int, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
			if opts.Claims != "" {
				<-claims
				return azcore.AccessToken{Token: "challenged", ExpiresOn: time.Now().Add(time.Hour)}, nil
			}
			<-plain
			return azcore.AccessToken{Token: "plain", ExpiresOn: time.Now().Add(time.Hour)}, nil
		})
		for _, first := range []chan struct{}{plain, claims} {
			cache := Cached(cred)
			var waiting sync.WaitGroup
			waiting.Go(func() {
				if got, err := cache.Token(t.Context(), testScope); err != nil || got != "plain" {
					t.Errorf("plain: got %s, %v", got, err)
				}
			})
			synctest.Wait()
			waiting.Go(func() {
				if got, err := challenged(t.Context(), cache); err != nil || got.Token != "challenged" {
					t.Errorf("challenged: got %s, %v", got.Token, err)
				}
			})
			synctest.Wait()
			if got := cred.count() % 2; got != 0 {
				t.Error("both shared one request")
			}
			first <- struct{}{}
			synctest.Wait()
			second := claims
			if first == claims {
				second = plain
			}
			second <- struct{}{}
			waiting.Wait()
			wantToken(t, cache, "challenged")
		}
	})
}

// However long an authority wants to be left alone, it is asked again within the hour.
func TestNoPauseIsForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cred := &script{answer: func(int, policy.TokenRequestOptions) (azcore.AccessToken, error) {
			return azcore.AccessToken{}, &Error{Credential: "test", Status: 429, RetryAfter: 240 * time.Hour}
		}}
		cache := Cached(cred)
		if _, err := cache.Token(t.Context(), testScope); err == nil {
			t.Fatal("no error")
		}
		cred.set(hourly)
		time.Sleep(59 * time.Minute)
		if _, err := cache.Token(t.Context(), testScope); err == nil {
			t.Error("it was asked within the hour")
		}
		time.Sleep(2 * time.Minute)
		wantToken(t, cache, "token-2")
	})
}

// Making room forgets neither whom to leave alone nor what is under way.
func TestMakingRoomForgetsNothingThatMatters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan struct{})
		cred := &script{}
		cred.set(func(n int, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
			switch opts.Scopes[0] {
			case "slow":
				<-slow
			case "throttled":
				return azcore.AccessToken{}, &Error{Credential: "test", Status: 429, RetryAfter: 30 * time.Minute}
			case "lasting":
			default:
				return azcore.AccessToken{Token: "short", ExpiresOn: time.Now().Add(time.Second)}, nil
			}
			return azcore.AccessToken{Token: opts.Scopes[0], ExpiresOn: time.Now().Add(time.Hour)}, nil
		})
		cache := Cached(cred)
		ask := func(scope string) (string, error) { return cache.Token(t.Context(), scope) }
		if _, err := ask("throttled"); err == nil {
			t.Fatal("no error")
		}
		if _, err := ask("lasting"); err != nil {
			t.Fatal(err)
		}
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if got, err := ask("slow"); err != nil || got != "slow" {
				t.Errorf("got %s, %v", got, err)
			}
		})
		synctest.Wait()
		for i := range 3 * minSweep {
			if _, err := ask(fmt.Sprint("short-", i)); err != nil {
				t.Fatal(err)
			}
			if i%minSweep == 0 {
				time.Sleep(2 * time.Second) // those before are dead now
			}
		}
		close(slow)
		waiting.Wait()
		before := cred.count()
		if _, err := ask("throttled"); err == nil {
			t.Error("no error")
		}
		for _, scope := range []string{"slow", "lasting"} {
			if got, err := ask(scope); err != nil || got != scope {
				t.Errorf("got %s, %v", got, err)
			}
		}
		if got := cred.count() - before; got != 0 {
			t.Errorf("%d of 3 were asked for again", got)
		}
		if len(cache.slots) > 2*minSweep {
			t.Errorf("%d entries are kept", len(cache.slots))
		}
	})
}

// What a caller does with its own list afterwards is nothing to the request under way.
func TestARequestKeepsItsScopes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cred := &script{gate: make(chan struct{})}
		cache := Cached(cred)
		ctx, leave := context.WithCancel(t.Context())
		opts := policy.TokenRequestOptions{Scopes: []string{"a", "b"}}
		leave()
		if _, err := cache.GetToken(ctx, opts); err == nil {
			t.Error("it did not leave")
		}
		opts.Scopes[0] = "another"
		close(cred.gate)
		synctest.Wait()
		if got := cred.calls[0].Scopes[0]; got != "a" {
			t.Errorf("the request is for %s now", got)
		}
	})
}

func TestKeysOfSeveralScopesDiffer(t *testing.T) {
	t.Parallel()
	one := cacheKey(policy.TokenRequestOptions{Scopes: []string{"ab", "c"}})
	if other := cacheKey(policy.TokenRequestOptions{Scopes: []string{"a", "bc"}}); one == other {
		t.Error("different scopes share a token")
	}
}
