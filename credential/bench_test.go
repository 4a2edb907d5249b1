package credential

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
)

// BenchmarkCachedToken is what a token costs that is already there, next to MSAL's own
// cache. Both hold as many tokens as the name says and are asked for one after the other.
func BenchmarkCachedToken(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		scopes := make([]string, n)
		for i := range scopes {
			scopes[i] = fmt.Sprintf("api://orders-%d/.default", i)
		}
		b.Run("rolecall/"+strconv.Itoa(n), func(b *testing.B) { benchmarkCache(b, scopes) })
		b.Run("rolecall-parallel/"+strconv.Itoa(n), func(b *testing.B) { benchmarkParallel(b, scopes) })
		b.Run("msal/"+strconv.Itoa(n), func(b *testing.B) { benchmarkMSAL(b, scopes) })
	}
}

func filled(b *testing.B, scopes []string) *Cache {
	b.Helper()
	cache := Cached(&script{})
	for _, scope := range scopes {
		if _, err := cache.Token(b.Context(), scope); err != nil {
			b.Fatal(err)
		}
	}
	return cache
}

func benchmarkCache(b *testing.B, scopes []string) {
	cache, ctx := filled(b, scopes), b.Context()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := cache.Token(ctx, scopes[i]); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(scopes) {
			i = 0
		}
	}
}

func benchmarkParallel(b *testing.B, scopes []string) {
	cache, ctx := filled(b, scopes), b.Context()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := cache.Token(ctx, scopes[i%len(scopes)]); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func benchmarkMSAL(b *testing.B, scopes []string) {
	proof, err := confidential.NewCredFromSecret("secret")
	if err != nil {
		b.Fatal(err)
	}
	client, err := confidential.New("https://localhost/"+testTenant, testClient, proof,
		confidential.WithInstanceDiscovery(false), confidential.WithHTTPClient(&http.Client{Transport: roundTrip(answerMSAL)}))
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	asked := make([][]string, len(scopes)) // MSAL takes slices; making them is not its cost
	for i, scope := range scopes {
		asked[i] = []string{scope}
		if _, err := client.AcquireTokenByCredential(ctx, asked[i]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs() // AcquireTokenByCredential looks into the cache first, and from here on finds everything there
	i := 0
	for b.Loop() {
		if _, err := client.AcquireTokenByCredential(ctx, asked[i]); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(asked) {
			i = 0
		}
	}
}

// answerMSAL is an authority without a network.
func answerMSAL(r *http.Request) (*http.Response, error) {
	body := `{"token_type":"Bearer","expires_in":3600,"access_token":"token"}`
	if strings.HasSuffix(r.URL.Path, "/openid-configuration") {
		const tenant = "https://localhost/" + testTenant
		body = fmt.Sprintf(`{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q,"jwks_uri":%q}`,
			tenant+"/v2.0", tenant+"/oauth2/v2.0/authorize", tenant+"/oauth2/v2.0/token", tenant+"/keys")
	}
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(bytes.NewReader([]byte(body))),
		Request:    r,
	}, nil
}
