package remote

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// A heldCache is the cache of Microsoft's library, held for one request of a token.
type heldCache struct {
	content []byte
	changed bool
}

// Replace gives the library what there is.
func (h *heldCache) Replace(_ context.Context, into cache.Unmarshaler, _ cache.ReplaceHints) error {
	if len(h.content) == 0 {
		return nil
	}
	return into.Unmarshal(h.content)
}

// Export takes what the library has now.
func (h *heldCache) Export(_ context.Context, from cache.Marshaler, _ cache.ExportHints) error {
	b, err := from.Marshal()
	if err == nil {
		h.changed = h.changed || string(b) != string(h.content)
		h.content = b
	}
	return err
}

// drop takes an access token out, so that the library asks for another one: it does not know that
// a server took back what has not expired. Everything else is left as it is.
func (h *heldCache) drop(token string) {
	if token == "" {
		return
	}
	var all map[string]json.RawMessage
	var tokens map[string]json.RawMessage
	if json.Unmarshal(h.content, &all) != nil || json.Unmarshal(all["AccessToken"], &tokens) != nil {
		return
	}
	for name, raw := range tokens {
		var one struct {
			Secret string `json:"secret"`
		}
		if json.Unmarshal(raw, &one) == nil && one.Secret == token {
			delete(tokens, name)
		}
	}
	kept, err := json.Marshal(tokens)
	if err != nil {
		return
	}
	all["AccessToken"] = kept
	if b, err := json.Marshal(all); err == nil {
		h.content = b
	}
}

// A token is an access token until it expires.
type token struct {
	value   string
	expires time.Time
}

// acquire gets a token as who signed in: the one in the cache, or a new one.
func acquire(ctx context.Context, web *http.Client, r *Record, secret string, held *heldCache, scope string) (token, error) {
	if r.By == ByDeviceCode {
		return acquireForUser(ctx, web, r, held, scope)
	}
	credential, err := r.credential(secret)
	if err != nil {
		return token{}, err
	}
	app, err := confidential.New(r.URL+"/"+r.Tenant, r.Who, credential, confidential.WithHTTPClient(web),
		confidential.WithInstanceDiscovery(false), confidential.WithCache(held))
	if err != nil {
		return token{}, err
	}
	result, err := app.AcquireTokenByCredential(ctx, []string{scope})
	return token{result.AccessToken, result.ExpiresOn}, err
}

// errSignedOut says that there is nothing to renew a token with.
var errSignedOut = errors.New("there is no refresh token")

func acquireForUser(ctx context.Context, web *http.Client, r *Record, held *heldCache, scope string) (token, error) {
	app, err := publicClient(web, r.URL+"/"+r.Tenant, held)
	if err != nil {
		return token{}, err
	}
	accounts, err := app.Accounts(ctx)
	if err != nil {
		return token{}, errSignedOut // the cache cannot be read
	}
	for _, account := range accounts {
		if account.HomeAccountID != r.Account {
			continue
		}
		result, err := app.AcquireTokenSilent(ctx, []string{scope}, public.WithSilentAccount(account))
		if err != nil && err.Error() == "no token found" {
			err = errSignedOut
		}
		return token{result.AccessToken, result.ExpiresOn}, err
	}
	return token{}, errSignedOut
}

// credential is how an application proves itself. Files are read anew each time: they are
// renewed, too.
func (r *Record) credential(secret string) (confidential.Credential, error) {
	switch r.By {
	case BySecret:
		return confidential.NewCredFromSecret(secret)
	case ByCertificate:
		pem, err := os.ReadFile(r.File)
		if err != nil {
			return confidential.Credential{}, failure(ErrEnded, "put it back, or sign in again: `"+r.again()+"`", "the certificate cannot be read: %v", err)
		}
		chain, key, err := confidential.CertFromPEM(pem, "")
		if err == nil {
			var credential confidential.Credential
			if credential, err = confidential.NewCredFromCert(chain, key); err == nil {
				return credential, nil
			}
		}
		return confidential.Credential{}, failure(ErrRefused, "name a PEM file with the certificate and its private key, not encrypted", "%s holds no certificate with its key", r.File)
	default:
		return confidential.NewCredFromAssertionCallback(func(context.Context, confidential.AssertionRequestOptions) (string, error) {
			b, err := os.ReadFile(r.File)
			if err != nil {
				return "", failure(ErrEnded, "put it back, or sign in again: `"+r.again()+"`", "the federated token cannot be read: %v", err)
			}
			return strings.TrimSpace(string(b)), nil
		}), nil
	}
}
