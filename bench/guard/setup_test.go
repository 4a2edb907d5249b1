package guardbench

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

const (
	tenant = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"
	apiID  = "a9100002-5a5a-4c4c-8d8d-000000000002"
	issuer = "https://authority.test/" + tenant + "/v2.0"
	kid    = "Yk3vYp7b0cQ0nEoN0nUuH1h3m2M"
)

// rule is the one every token is checked against.
var rule = guard.Rule{Roles: []string{"Orders.Read"}}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

var ecKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// claims are those of an app-only v2.0 token as Entra shapes it.
func claims(id string) []byte {
	now := time.Now().Unix()
	b, err := json.Marshal(map[string]any{
		"aud": apiID, "iss": issuer, "iat": now, "nbf": now, "exp": now + 3900, "aio": "k2RgYFjCfWbNjuSZk2RgYFjCfWbNjuSZ",
		"azp": "c11e0001-5a5a-4c4c-8d8d-000000000001", "azpacr": "1", "idtyp": "app", "oid": "0b1ec701-5a5a-4c4c-8d8d-000000000003",
		"rh": "0.AAAAUjwdf0oKjkucYS1ejwobEQAAAA", "roles": []string{"Orders.Read", "Orders.Write"}, "sub": "0b1ec701-5a5a-4c4c-8d8d-000000000003",
		"tid": tenant, "uti": id, "ver": "2.0",
	})
	if err != nil {
		panic(err)
	}
	return b
}

// rsTokens returns n different RS256 tokens.
func rsTokens(b *testing.B, n int) []string {
	b.Helper()
	signer := token.NewSigner(kid, "", rsaKey())
	out := make([]string, n)
	for i := range out {
		var err error
		if out[i], err = signer.Sign(claims(fmt.Sprintf("u-%06d", i)), false); err != nil {
			b.Fatal(err)
		}
	}
	return out
}

// esTokens returns n different tokens of the length of RS256 ones. A seen
// token costs the same whatever signed it, and these are made in a fraction
// of the time.
func esTokens(b *testing.B, n int) []string {
	b.Helper()
	const missing = 342 - 86 // characters of the two signatures
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"` + kid + `","typ":"JWT"}`))
	out := make([]string, n)
	for i := range out {
		body := strings.Replace(string(claims(fmt.Sprintf("u-%06d", i))), `"ver"`, `"pad":"`+strings.Repeat("p", missing*3/4-9)+`","ver"`, 1)
		signed := header + "." + base64.RawURLEncoding.EncodeToString([]byte(body))
		digest := sha256.Sum256([]byte(signed))
		r, s, err := ecdsa.Sign(rand.Reader, ecKey(), digest[:])
		if err != nil {
			b.Fatal(err)
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		out[i] = signed + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	return out
}

// keysDocument publishes key.
func keysDocument(key crypto.PublicKey) []byte {
	document, err := token.KeysDocument([]token.Key{{ID: kid, Use: "sig", Public: key}})
	if err != nil {
		panic(err)
	}
	return document
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// newGuard returns a guard that fetches its keys from memory.
func newGuard(b *testing.B, key crypto.PublicKey, alg string, cacheBytes int) *guard.Guard {
	b.Helper()
	g, err := guard.New(b.Context(), guard.Config{
		Issuers:    []guard.Issuer{{Issuer: issuer, Keys: "https://authority.test/keys"}},
		Audience:   []string{"api://orders", apiID},
		Algorithms: []string{alg},
		CacheBytes: cacheBytes,
		HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(strings.NewReader(string(keysDocument(key))))}, nil
		})},
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := g.Ready(context.Background()); err != nil {
		b.Fatal(err)
	}
	return g
}

// cpu returns the processor time this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
