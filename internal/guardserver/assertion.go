package guardserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// headerAssertion is the one header of the identity "signed": a short-lived token of the guard's
// own, by which an upstream knows who calls and that the request came by way of the guard.
const headerAssertion = "X-Guard-Assertion"

const (
	assertionIssuer = "urn:rolecall:guard"
	assertionLife   = time.Minute
	assertionFresh  = 30 * time.Second // how long one is used again
	assertionBytes  = 4 << 20
	assertionFile   = "assertion-key.pem"
)

// assertionKeys is the key that signs.
type assertionKeys struct {
	key *ecdsa.PrivateKey
	kid string
	now func() time.Time
}

// openAssertionKeys returns the key of the state folder, which it makes if need be, or one for
// as long as the process lives.
func openAssertionKeys(f *guardfile.File, now func() time.Time) (*assertionKeys, error) {
	var key *ecdsa.PrivateKey
	var err error
	if f.StateDir == "" {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		key, err = keptKey(f.StateDir)
	}
	if err != nil {
		return nil, fmt.Errorf("the key of the header %s: %w", headerAssertion, err)
	}
	return &assertionKeys{key, token.Key{Public: key.Public()}.Thumbprint(), now}, nil
}

func keptKey(folder string) (*ecdsa.PrivateKey, error) {
	name := filepath.Join(folder, assertionFile)
	content, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(folder, name)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM: remove it to have a new key made", name)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s holds no key of the curve P-256: remove it to have a new one made", name)
	}
	return key, nil
}

// makeKey makes the key and keeps it. Where another process was faster, its key counts.
func makeKey(folder, name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	whole, err := os.CreateTemp(folder, assertionFile+".*") // 0600
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(whole.Name()) }() // it has another name by then, or is of no use
	err = pem.Encode(whole, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := errors.Join(err, whole.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(whole.Name(), name); errors.Is(err, fs.ErrExist) {
		return keptKey(folder)
	} else if err != nil {
		return nil, err
	}
	return key, nil
}

// document is the keys document by which upstreams check the header.
func (k *assertionKeys) document() ([]byte, error) {
	return token.KeysDocument([]token.Key{{ID: k.kid, Use: "sig", Public: k.key.Public()}})
}

// assertions writes the signed header.
type assertions struct {
	keys     *assertionKeys
	audience string
	headers  []told
	made     *remembered[assertion]
}

// An assertion is a header that was made, and until when it is used again.
type assertion struct {
	headers []told
	until   time.Time
}

func (a *assertions) nobody() []told { return a.headers }

func (a *assertions) caller(caller guard.Caller, raw string) []told {
	now := a.keys.now()
	made, ok := a.made.get(raw)
	if !ok || !now.Before(made.until) {
		value, err := a.sign(caller, now)
		if err != nil {
			return nil
		}
		made = assertion{saying(a.headers, value), now.Add(assertionFresh)}
		a.made.put(raw, made, len(value))
	}
	return made.headers
}

// assertionClaims are what the header says.
type assertionClaims struct {
	Issuer   string   `json:"iss"`
	Audience string   `json:"aud"`
	IssuedAt int64    `json:"iat"`
	Expires  int64    `json:"exp"`
	Subject  string   `json:"sub"`
	Kind     string   `json:"kind"`
	Tenant   string   `json:"tid"`
	Client   string   `json:"azp"`
	Object   string   `json:"oid,omitempty"`
	Roles    []string `json:"roles,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	TokenID  string   `json:"token_id,omitempty"`
	Origin   string   `json:"token_iss"`
}

func (a *assertions) sign(caller guard.Caller, now time.Time) (string, error) {
	claims, err := json.Marshal(assertionClaims{
		Issuer: assertionIssuer, Audience: a.audience, IssuedAt: now.Unix(), Expires: min(now.Add(assertionLife).Unix(), max(caller.Expires.Unix(), now.Unix()+1)),
		Subject: principalID(caller), Kind: string(caller.Kind), Tenant: caller.TenantID, Client: caller.ClientID, Object: caller.ObjectID,
		Roles: caller.Roles, Scopes: caller.Scopes, TokenID: caller.TokenID, Origin: caller.Issuer,
	})
	if err != nil {
		return "", err
	}
	return token.SignES256(a.keys.kid, claims, a.keys.key)
}
