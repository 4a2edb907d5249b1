package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// maxAnswer bounds what is read of an authority's answer.
const maxAnswer = 256 << 10

// ADALConfig says who asks the v1 endpoint, and how it proves who it is: by Secret or
// by Certificate, not both.
type ADALConfig struct {
	TenantID    string // required: GUID or domain
	ClientID    string // required
	Secret      string
	Certificate Certificate
	Options     *Options // nil means the defaults; plain http is accepted for an authority on this machine
}

// An ADAL credential asks the v1 endpoint, with resource= in place of scope=, just as
// the Active Directory Authentication Library did. The library is retired; this small
// replacement lets old code be tried next to its successor.
//
// A scope "api://orders/.default" asks for the resource "api://orders"; anything else is
// taken as the resource itself. It keeps no token: see [Cached].
//
// Deprecated: the v1 endpoint is for applications that cannot change yet. Use
// [NewSecret] or [NewCertificate], which differ only in asking for a scope.
type ADAL struct {
	cfg      ADALConfig
	at       endpoint
	tokenURL string
}

// NewADAL returns a credential that asks the v1 endpoint.
//
// Deprecated: use [NewSecret] or [NewCertificate].
func NewADAL(cfg ADALConfig) (*ADAL, error) {
	at, err := cfg.Options.resolve()
	if err == nil {
		err = checkIdentity(cfg.TenantID, cfg.ClientID)
	}
	byCertificate := cfg.Certificate.Chain != nil || cfg.Certificate.Key != nil
	switch {
	case err != nil:
	case byCertificate && cfg.Secret != "":
		err = errors.New("there are both a secret and a certificate; give one of them")
	case byCertificate:
		err = cfg.Certificate.check()
	case cfg.Secret == "":
		err = errors.New("there is neither a secret nor a certificate; give one of them")
	}
	if err != nil {
		return nil, fmt.Errorf("ADAL credential: %w", err)
	}
	// The library named its version of the protocol in the query, and signed assertions
	// for the whole URL.
	return &ADAL{cfg: cfg, at: at, tokenURL: at.host + "/" + cfg.TenantID + "/oauth2/token?api-version=1.0"}, nil
}

// GetToken implements azcore.TokenCredential. The first scope names the resource.
func (a *ADAL) GetToken(ctx context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(opts.Scopes) != 1 {
		return azcore.AccessToken{}, errors.New("ADAL credential: the v1 endpoint gives a token for exactly one resource; ask for one scope")
	}
	if opts.TenantID != "" && !strings.EqualFold(opts.TenantID, a.cfg.TenantID) {
		return azcore.AccessToken{}, fmt.Errorf("ADAL credential: it is for tenant %s and does not ask tenant %q", a.cfg.TenantID, opts.TenantID)
	}
	form := url.Values{
		"grant_type": {"client_credentials"},
		"client_id":  {a.cfg.ClientID},
		"resource":   {strings.TrimSuffix(opts.Scopes[0], "/.default")},
	}
	if opts.Claims != "" {
		form.Set("claims", opts.Claims)
	}
	if err := a.prove(form); err != nil {
		return azcore.AccessToken{}, fmt.Errorf("ADAL credential: %w", err)
	}
	token, err := a.post(ctx, form)
	if err != nil {
		return azcore.AccessToken{}, diagnose("ADAL", a.at.host, a.hide(), err)
	}
	return token, nil
}

func (a *ADAL) hide() []string { return hidden(a.cfg.TenantID, a.cfg.ClientID, a.cfg.Secret) }

// prove adds the secret or an assertion signed with the certificate's key.
func (a *ADAL) prove(form url.Values) error {
	if a.cfg.Secret != "" {
		form.Set("client_secret", a.cfg.Secret)
		return nil
	}
	assertion, err := certificateAssertion(a.cfg.ClientID, a.tokenURL, a.cfg.Certificate, time.Now())
	if err != nil {
		return fmt.Errorf("sign assertion: %w", err)
	}
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return nil
}

func (a *ADAL) post(ctx context.Context, form url.Values) (azcore.AccessToken, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.tokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return azcore.AccessToken{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := a.at.client.Do(req)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return azcore.AccessToken{}, fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return azcore.AccessToken{}, refused("ADAL", a.at.host, a.hide(), resp, body, nil)
	}
	return v1Answer(body, time.Now())
}

// v1Answer reads a success of the v1 endpoint, where numbers are strings.
func v1Answer(body []byte, now time.Time) (azcore.AccessToken, error) {
	var answer struct {
		AccessToken string  `json:"access_token"`
		TokenType   string  `json:"token_type"`
		ExpiresOn   seconds `json:"expires_on"`
		ExpiresIn   seconds `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return azcore.AccessToken{}, fmt.Errorf("the authority's answer is not the JSON of a token: %w", unquoted(err))
	}
	if answer.AccessToken == "" || !strings.EqualFold(answer.TokenType, "Bearer") {
		return azcore.AccessToken{}, errors.New("the authority's answer holds no bearer token")
	}
	token := azcore.AccessToken{Token: answer.AccessToken}
	switch {
	case answer.ExpiresIn > 0: // as the library did: it is right whatever this machine's clock says
		token.ExpiresOn = now.Round(0).Add(time.Duration(min(answer.ExpiresIn, seconds(longest/time.Second))) * time.Second).UTC()
	case answer.ExpiresOn > 0:
		token.ExpiresOn = time.Unix(int64(answer.ExpiresOn), 0).UTC()
	default:
		return azcore.AccessToken{}, errors.New("the authority's answer does not say when the token expires")
	}
	return token, nil
}

// seconds is a JSON number, or a string with one.
type seconds int64

// UnmarshalJSON implements json.Unmarshaler.
func (s *seconds) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return errors.New("expires_on and expires_in are whole seconds")
	}
	*s = seconds(n)
	return nil
}

// unquoted keeps what a decoder says and drops what it read, which could be a token.
func unquoted(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("syntax error at byte %d", syntax.Offset)
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("member %s has the wrong type", kind.Field)
	}
	return err
}
