package guardbench

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwk"
	jwx "github.com/lestrrat-go/jwx/v3/jwt"
)

// A verifier checks one token: signature, issuer, audience, expiry, role.
type verifier struct {
	name   string
	verify func(raw string) error
}

var errRole = errors.New("the role is missing")

// verifiers returns ours, the floor, and the peers, each set up as its
// documentation says, with the keys at hand and the same demands.
func verifiers(b *testing.B) []verifier {
	b.Helper()
	g := newGuard(b, rsaKey().Public(), "RS256", -1)
	return []verifier{
		{"guard", func(raw string) error {
			if d := g.Check(context.Background(), raw, rule); !d.Allowed() {
				return errors.New(string(d.Reason))
			}
			return nil
		}},
		{"crypto-rsa-alone", rsaAlone},
		{"golang-jwt+keyfunc", golangJWT(b)},
		{"go-oidc", goOIDC()},
		{"jwx", jwxVerifier(b)},
	}
}

// rsaAlone verifies the signature and looks at nothing else.
func rsaAlone(raw string) error {
	end := strings.LastIndexByte(raw, '.')
	signature, err := base64.RawURLEncoding.DecodeString(raw[end+1:])
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(raw[:end]))
	return rsa.VerifyPKCS1v15(&rsaKey().PublicKey, crypto.SHA256, digest[:], signature)
}

type roleClaims struct {
	Roles []string `json:"roles"`
	jwt.RegisteredClaims
}

func golangJWT(b *testing.B) func(string) error {
	b.Helper()
	keys, err := keyfunc.NewJWKSetJSON(keysDocument(rsaKey().Public()))
	if err != nil {
		b.Fatal(err)
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(issuer), jwt.WithAudience(apiID), jwt.WithExpirationRequired())
	return func(raw string) error {
		var c roleClaims
		if _, err := parser.ParseWithClaims(raw, &c, keys.Keyfunc); err != nil {
			return err
		}
		if !slices.Contains(c.Roles, "Orders.Read") {
			return errRole
		}
		return nil
	}
}

func goOIDC() func(string) error {
	keys := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{rsaKey().Public()}}
	v := oidc.NewVerifier(issuer, keys, &oidc.Config{ClientID: apiID, SupportedSigningAlgs: []string{"RS256"}})
	return func(raw string) error {
		verified, err := v.Verify(context.Background(), raw)
		if err != nil {
			return err
		}
		var c struct {
			Roles []string `json:"roles"`
		}
		if err := verified.Claims(&c); err != nil {
			return err
		}
		if !slices.Contains(c.Roles, "Orders.Read") {
			return errRole
		}
		return nil
	}
}

func jwxVerifier(b *testing.B) func(string) error {
	b.Helper()
	document := strings.Replace(string(keysDocument(rsaKey().Public())), `"kty"`, `"alg":"RS256","kty"`, 1) // jwx demands an alg
	keys, err := jwk.Parse([]byte(document))
	if err != nil {
		b.Fatal(err)
	}
	return func(raw string) error {
		verified, err := jwx.ParseString(raw, jwx.WithKeySet(keys), jwx.WithIssuer(issuer), jwx.WithAudience(apiID))
		if err != nil {
			return err
		}
		var roles []any
		if err := verified.Get("roles", &roles); err != nil {
			return err
		}
		if !slices.Contains(roles, any("Orders.Read")) {
			return errRole
		}
		return nil
	}
}
