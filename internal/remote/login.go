package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A Login says where to sign in, and as whom: a user, unless ClientID names an application.
type Login struct {
	URL      string // of the authority; a tenant may follow
	Name     string // to remember it by; empty: its host
	Tenant   string // by id, domain or name; empty: the user's, or as before under this name
	CABundle string // file of certificates to trust beside the system's; empty: as before under this name

	ClientID           string // an application proves itself by one of the following
	Secret             string
	CertificateFile    string // PEM with the private key
	FederatedTokenFile string // read anew for each token

	Show func(DeviceCode) // tells a user what to do
}

// A DeviceCode is what a user types into a page of the server.
type DeviceCode struct {
	Page, Code string
	Expires    time.Time
}

// The resources that tokens are requested for.
const (
	graphScope   = "https://graph.microsoft.com/.default"
	managerScope = "https://management.azure.com/.default"
)

// Login signs in and remembers the server, in place of what had its name. Nothing is kept of a
// sign-in that fails.
func (s *Store) Login(ctx context.Context, l Login) (*Server, error) {
	r, bundle, err := s.prepare(&l)
	if err != nil {
		return nil, err
	}
	web, err := client(bundle)
	if err != nil {
		return nil, err
	}
	defer web.CloseIdleConnections()
	found, err := discover(ctx, web, r.URL, r.again())
	if err != nil {
		return nil, err
	}
	r.URL, r.Graph, r.ResourceManager = found.Authority, found.Graph, found.ResourceManager
	if l.Tenant != "" {
		if r.Tenant, err = tenantID(ctx, web, r.URL, l.Tenant, r.again()); err != nil {
			return nil, err
		}
	}
	kept := secrets{Secret: l.Secret}
	if r.By == ByDeviceCode {
		err = signInUser(ctx, web, r, &kept, l.Show)
	} else {
		err = signInApplication(ctx, web, r, &kept)
	}
	if err != nil {
		return nil, refusedLogin(r, err)
	}
	r.SignedIn = s.cfg.Now().UTC().Truncate(time.Second)
	r.Renewed = r.SignedIn
	if *r, err = s.put(ctx, *r, bundle, kept); err != nil {
		return nil, fmt.Errorf("keep the sign-in: %w", err)
	}
	return s.open(*r)
}

// prepare checks what was said, and completes it by what is kept under the name.
func (s *Store) prepare(l *Login) (*Record, []byte, error) {
	at, tenant, err := readURL(l.URL)
	if err != nil {
		return nil, nil, err
	}
	r := &Record{URL: at, Name: l.Name, trusting: l.CABundle}
	if r.Name == "" {
		u, err := parseOrigin(at)
		if err != nil {
			return nil, nil, err
		}
		r.Name = u.Hostname()
	}
	if err := CheckName(r.Name); err != nil {
		return nil, nil, err
	}
	switch {
	case tenant != "" && l.Tenant != "" && tenant != l.Tenant:
		return nil, nil, failure(ErrInvalid, "name one of them", "the URL names the tenant %q, and --tenant %q", text.Shown(tenant), text.Shown(l.Tenant))
	case l.Tenant == "":
		l.Tenant = tenant
	}
	if err := l.readProof(r); err != nil {
		return nil, nil, err
	}
	before, err := s.before(r)
	if err != nil {
		return nil, nil, err
	}
	if before != nil && l.Tenant == "" {
		l.Tenant = before.Tenant
	}
	if r.By != ByDeviceCode && l.Tenant == "" {
		return nil, nil, failure(ErrInvalid, "name its tenant: `"+r.again()+" --tenant TENANT`", "an application signs in to a tenant, and none is named")
	}
	bundle, err := s.readBundle(l, before)
	return r, bundle, err
}

// before returns what is kept of the same server under the same name, or nil.
func (s *Store) before(r *Record) (*Record, error) {
	kept, err := s.read()
	if err != nil {
		return nil, err
	}
	if before := kept.find(r.Name); before != nil && before.URL == r.URL {
		return before, nil
	}
	return nil, nil //nolint:nilnil // there is none
}

func (s *Store) readBundle(l *Login, before *Record) ([]byte, error) {
	path := l.CABundle
	if path == "" && before != nil && before.Bundle {
		path = s.path(before.Name + bundleSuffix)
	}
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the CA bundle: %w", err)
	}
	return b, nil
}

// readProof notes how an application proves itself.
func (l *Login) readProof(r *Record) error {
	proofs := 0
	for by, value := range map[string]string{BySecret: l.Secret, ByCertificate: l.CertificateFile, ByFederatedToken: l.FederatedTokenFile} {
		if value != "" {
			proofs++
			r.By = by
		}
	}
	const how = "give --client-id and one of --secret-stdin, --secret-file, --certificate and --federated-token-file"
	id, is := guid.Parse(l.ClientID)
	switch {
	case l.ClientID == "" && proofs == 0:
		r.By = ByDeviceCode
		return nil
	case l.ClientID == "":
		return failure(ErrInvalid, how, "a credential is given, and no application")
	case !is:
		return failure(ErrInvalid, "give its app id, which `rolecall app show` prints", "%q is no app id", text.Shown(l.ClientID))
	case proofs != 1:
		return failure(ErrInvalid, how, "an application signs in by one credential, and %d are given", proofs)
	}
	r.Who = id
	for _, file := range []string{l.CertificateFile, l.FederatedTokenFile} {
		if file == "" {
			continue
		}
		whole, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		r.File = whole
	}
	return nil
}

// signInUser lets a user sign in on a page of the server.
func signInUser(ctx context.Context, web *http.Client, r *Record, kept *secrets, show func(DeviceCode)) error {
	tenant := r.Tenant
	if tenant == "" {
		tenant = "organizations" // the user's name will say which
	}
	held := &heldCache{}
	app, err := publicClient(web, r.URL+"/"+tenant, held)
	if err != nil {
		return err
	}
	code, err := app.AcquireTokenByDeviceCode(ctx, []string{graphScope})
	if err != nil {
		return err
	}
	if show != nil {
		show(DeviceCode{Page: code.Result.VerificationURL, Code: code.Result.UserCode, Expires: code.Result.ExpiresOn})
	}
	result, err := code.AuthenticationResult(ctx)
	if err != nil {
		return err
	}
	r.Tenant, r.Who, r.Account = result.IDToken.TenantID, result.Account.PreferredUsername, result.Account.HomeAccountID
	if err := r.check(); err != nil {
		return fmt.Errorf("read who signed in: %w", err)
	}
	kept.Cache = held.content
	return nil
}

// publicClient is the rolecall command at an authority, which is that of one tenant or of all.
func publicClient(web *http.Client, authority string, held *heldCache) (public.Client, error) {
	return public.New(string(directory.CLIAppID), public.WithAuthority(authority), public.WithHTTPClient(web),
		public.WithInstanceDiscovery(false), public.WithCache(held))
}

// signInApplication gets a first token, which shows that the credential is right.
func signInApplication(ctx context.Context, web *http.Client, r *Record, kept *secrets) error {
	held := &heldCache{}
	_, err := acquire(ctx, web, r, kept.Secret, held, graphScope)
	kept.Cache = held.content
	return err
}

// refusedLogin says why a sign-in did not come about.
func refusedLogin(r *Record, err error) error {
	if _, known := errors.AsType[*Error](err); known || errors.Is(err, context.Canceled) {
		return err
	}
	refused, is := refusalOf(err)
	code := refusalCode.FindStringSubmatch(err.Error())
	switch {
	case code != nil && code[1] == "authorization_declined":
		return failure(ErrRefused, "sign in again and continue on the page: `"+r.again()+"`", "the sign-in at %s was cancelled on its page", r.URL)
	case code != nil && code[1] == "expired_token", errors.Is(err, context.DeadlineExceeded):
		return failure(ErrRefused, "sign in again and be quicker: `"+r.again()+"`", "nobody entered the code at %s in time", r.URL)
	case is:
		return failure(ErrRefused, "`rolecall signins` on the server's machine lists the attempt, and `rolecall explain` says how to fix it", "%s refused the sign-in: %s", r.URL, refused.text)
	}
	return unreached(r.URL, err, r.again())
}
