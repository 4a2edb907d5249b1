package credential

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// The environment variables that fill the zero fields of Options.
const (
	envAuthorityHost = "AZURE_AUTHORITY_HOST"
	envCABundle      = "ROLECALL_CA_BUNDLE"
	envCertificates  = "ROLECALL_CERTIFICATES"
)

// Options says where a credential gets its tokens. A nil Options and the zero value
// mean Microsoft's public cloud, or what the environment names instead.
type Options struct {
	// AuthorityHost is the root of the token authority, such as
	// "https://login.microsoftonline.com" or "https://localhost:8443". Empty means
	// AZURE_AUTHORITY_HOST, and without that the public cloud.
	//
	// At a host that is not one of Microsoft's, instance discovery is switched off:
	// otherwise Microsoft's library would first ask its public cloud about the host.
	AuthorityHost string

	// HTTPClient sends the token requests. Nil means a client of the credential's own
	// that trusts CABundle. Redirects are not followed, so that a secret is sent only to
	// the host it is meant for, unless HTTPClient has a CheckRedirect of its own.
	HTTPClient *http.Client

	// CABundle is a PEM file of certificate authorities to trust besides the system's.
	// Empty means ROLECALL_CA_BUNDLE. It has no effect on an HTTPClient of yours.
	CABundle string

	// SendCertificateChain puts the certificate's chain into each assertion (x5c), as
	// registrations that trust a subject name and issuer require.
	SendCertificateChain bool

	// CertificateDir is the folder that connection strings with CertificateThumbprint
	// or CertificateSubjectName search: PEM files, each with a certificate and its
	// private key. Empty means ROLECALL_CERTIFICATES.
	CertificateDir string

	// TenantID is the tenant that a developer tool is asked for. Empty means the
	// tool's own choice.
	TenantID string
}

// endpoint is Options made definite.
type endpoint struct {
	host    string // "https://localhost:8443", without a trailing slash
	private bool   // not one of Microsoft's public hosts
	client  *http.Client
}

// resolve checks the options and fills what is empty from the environment.
func (o *Options) resolve() (endpoint, error) {
	if o == nil {
		o = &Options{}
	}
	setting, host := "Options.AuthorityHost", o.AuthorityHost
	if host == "" {
		setting, host = envAuthorityHost, os.Getenv(envAuthorityHost)
	}
	if host == "" {
		host = cloud.AzurePublic.ActiveDirectoryAuthorityHost
	}
	u, err := authorityURL(host)
	if err != nil {
		return endpoint{}, fmt.Errorf("%s: %w", setting, err)
	}
	client, err := o.httpClient()
	if err != nil {
		return endpoint{}, err
	}
	return endpoint{
		host:    u.Scheme + "://" + u.Host,
		private: !microsoftHost(u.Host),
		client:  client,
	}, nil
}

// authorityURL accepts the root of a host. Microsoft's libraries take the first path
// segment for the tenant, so an authority below a path cannot be reached.
func authorityURL(host string) (*url.URL, error) {
	if strings.Contains(host, "@") { // nor is it repeated, if it has one
		return nil, errors.New("an authority's URL holds no user name or password")
	}
	u, err := url.Parse(host)
	if err != nil {
		return nil, fmt.Errorf("%q is not a URL; use one such as https://login.microsoftonline.com", host)
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return nil, fmt.Errorf("%q is not an https URL; use one such as https://login.microsoftonline.com", host)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("%q would send secrets in clear; use https", host)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%q has more than a host; leave the tenant and any path out, as in %s://%s", host, u.Scheme, u.Host)
	}
	return u, nil
}

// microsoftHost reports whether Microsoft's library vouches for the host itself. The
// list is that of MSAL for Go.
func microsoftHost(host string) bool {
	switch strings.ToLower(host) {
	case "login.microsoftonline.com", "login.microsoft.com", "login.windows.net", "sts.windows.net",
		"login.partner.microsoftonline.cn", "login.chinacloudapi.cn",
		"login.microsoftonline.de",
		"login.microsoftonline.us", "login-us.microsoftonline.com", "login.usgovcloudapi.net",
		"login.sovcloud-identity.fr", "login.sovcloud-identity.de", "login.sovcloud-identity.sg":
		return true
	}
	return false
}

// isLoopback reports whether a host name can only mean this machine. It is exact, since
// net/http keeps "localhost" and loopback addresses from proxies but not "LOCALHOST",
// "localhost." or names below localhost.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// httpClient returns the client for token requests.
func (o *Options) httpClient() (*http.Client, error) {
	if o.HTTPClient != nil {
		client := *o.HTTPClient
		if client.CheckRedirect == nil {
			client.CheckRedirect = followNone
		}
		return &client, nil
	}
	setting, path := "Options.CABundle", o.CABundle
	if path == "" {
		setting, path = envCABundle, os.Getenv(envCABundle)
	}
	var base http.RoundTripper // nil means http.DefaultTransport
	if path != "" {
		roots, err := loadRoots(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
		base = newBase(roots)
	}
	return &http.Client{Transport: base, CheckRedirect: followNone}, nil
}

// newBase returns a transport like http.DefaultTransport that trusts these roots. Token
// requests are rare, so it keeps few connections and not for long.
func newBase(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       30 * time.Second,
	}
}

// followNone keeps a client from repeating a request, secret and all, to another host.
func followNone(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// loadRoots returns the system's certificate authorities and those in a PEM file.
func loadRoots(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path) //nolint:gosec // the path is the operator's own setting
	if err != nil {
		return nil, fmt.Errorf("read certificate authorities: %w", err)
	}
	pem = bytes.TrimPrefix(pem, []byte(byteOrderMark)) // or the first certificate would not count
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no PEM certificate; name a file with -----BEGIN CERTIFICATE----- blocks", path)
	}
	return roots, nil
}

// clientOptions is what azidentity's credentials take.
func (e endpoint) clientOptions() azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: e.host},
		Transport: e.client,
		// One more try, and none that would wait for long: a program is told soon, and an
		// authority in trouble is not asked four times by each of its clients.
		Retry: policy.RetryOptions{MaxRetries: 1, MaxRetryDelay: 5 * time.Second},
	}
}

// forMSAL checks what Microsoft's current libraries demand of an authority.
func (e endpoint) forMSAL() error {
	if strings.HasPrefix(e.host, "http:") {
		return fmt.Errorf("authority %s: only https will do for this kind of credential", e.host)
	}
	if region := os.Getenv("AZURE_REGIONAL_AUTHORITY_NAME"); e.private && region != "" {
		return fmt.Errorf("AZURE_REGIONAL_AUTHORITY_NAME is %q, which would send token requests to a regional host of Microsoft instead of %s; unset it", region, e.host)
	}
	return nil
}
