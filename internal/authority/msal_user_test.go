package authority

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// servedWorld serves users' sign-ins as a client library needs it: over TLS, with the
// clock of this machine.
func servedWorld(t *testing.T) (w *userWorld, client *http.Client, base string) {
	var handler http.Handler
	var mu sync.Mutex // tests change the handler's world only between requests
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w = newUserWorld(t, func(c *Config) { c.BaseURL, c.Now, c.Log = server.URL, time.Now, nil })
	handler = w.handler
	return w, server.Client(), server.URL
}

// MSAL for Go judges what users' grants answer, from the first redirect to a silent renewal.
func TestMSALForUsers(t *testing.T) {
	t.Parallel()
	w, httpClient, base := servedWorld(t)
	app, err := public.New(publicApp, public.WithAuthority(base+"/"+testTenant), public.WithHTTPClient(httpClient), public.WithInstanceDiscovery(false))
	w.must(err)
	scopes := []string{"api://orders/user_impersonation"}

	t.Run("code", func(t *testing.T) {
		link, err := app.AuthCodeURL(t.Context(), publicApp, "http://localhost:51234", scopes)
		w.must(err)
		query := link[strings.IndexByte(link, '?')+1:] + "&code_challenge=" + s256(testVerifier) + "&code_challenge_method=S256"
		b := w.browser()
		b.origin = ""
		b.do(httptestGet(base + authorizeV2Path + "?" + query))
		code := b.signIn(testUser).landed("http://localhost:51234/?").Get("code")
		got, err := app.AcquireTokenByAuthCode(t.Context(), code, "http://localhost:51234", scopes, public.WithChallenge(testVerifier))
		w.must(err)
		if got.Account.PreferredUsername != testUser || got.Account.HomeAccountID != string(w.user.ID)+"."+testTenant {
			t.Errorf("account %+v", got.Account)
		}
		for _, scope := range []string{"api://orders/user_impersonation", "api://legacy/.default"} {
			if _, err := app.AcquireTokenSilent(t.Context(), []string{scope}, public.WithSilentAccount(got.Account)); err != nil {
				t.Errorf("%s silently: %v", scope, err)
			}
		}
	})
	t.Run("device code", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		started, err := app.AcquireTokenByDeviceCode(ctx, []string{"api://orders/.default"})
		w.must(err)
		b := w.browser()
		b.origin = ""
		b.approve(started.Result.UserCode, testUser, "continue")
		got, err := started.AuthenticationResult(ctx)
		w.must(err)
		if got.Account.PreferredUsername != testUser {
			t.Errorf("account %+v", got.Account)
		}
	})
	t.Run("password", func(t *testing.T) {
		//nolint:staticcheck // deprecated, and still in use
		if _, err := app.AcquireTokenByUsernamePassword(t.Context(), scopes, testUser, testPassword); err != nil {
			t.Error(err)
		}
		//nolint:staticcheck // deprecated, and still in use
		if _, err := app.AcquireTokenByUsernamePassword(t.Context(), scopes, testUser, "wrong"); err == nil || !strings.Contains(err.Error(), "50126") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("confidential code", func(t *testing.T) {
		secret, err := confidential.NewCredFromSecret(w.webSecret)
		w.must(err)
		web, err := confidential.New(base+"/"+testTenant, webApp, secret, confidential.WithHTTPClient(httpClient), confidential.WithInstanceDiscovery(false))
		w.must(err)
		scopes := []string{"api://orders/Orders.ReadMine"}
		link, err := web.AuthCodeURL(t.Context(), webApp, webRedirect, scopes)
		w.must(err)
		b := w.browser()
		b.origin = ""
		b.do(httptestGet(link))
		b.signIn(testUser)
		code := b.allow().landed(webRedirect + "?").Get("code")
		got, err := web.AcquireTokenByAuthCode(t.Context(), code, webRedirect, scopes)
		w.must(err)
		if _, err := web.AcquireTokenSilent(t.Context(), []string{"api://orders/Orders.ReadMine"}, confidential.WithSilentAccount(got.Account)); err != nil {
			t.Error(err)
		}
	})
}
