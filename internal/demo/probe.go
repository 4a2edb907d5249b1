package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"

	"github.com/rolecall-auth/rolecall/credential"
)

// ProbeCommand is the hidden command of our program that calls Probe.
const ProbeCommand = "probe"

// The libraries through which a probe can get its token.
const (
	probeManagedIdentity = "managed-identity"
	probeMetadata        = "metadata"
	probeConnection      = "connection-string"
	probeDefault         = "default"
	probeWorkload        = "workload"
	probeCLI             = "cli"
)

// libraryOf names the Go code behind a probe. Azure.Identity cannot be pointed at another
// address of the metadata service; MSAL can, with a transport that rewrites it.
func libraryOf(probe string) string {
	switch probe {
	case probeMetadata:
		return "MSAL Go"
	case probeConnection:
		return "credential.Parse"
	default:
		return "azidentity"
	}
}

// probed is what a probe saw. It passes between two of our processes and goes nowhere else.
type probed struct {
	Token    string `json:"token"`
	Endpoint string `json:"endpoint"`
}

// probe runs a process with an identity, through `rolecall run`, and returns what a library in
// it got.
func (d *Demo) probe(ctx context.Context, probe, as, via string) (found probed, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.cfg.Program, "run", "--data", d.cfg.Dir, "--as", as, "--via", via, "--", //nolint:gosec // our own program
		d.cfg.Program, ProbeCommand, probe, ordersURI+"/.default")
	// Settings of the demo's own process are not meant for the processes that it runs.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ROLECALL_") })
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	if err := cmd.Run(); err != nil {
		return found, fmt.Errorf("run a process as %s: %w: %s", as, err, strings.TrimSpace(messages.String()))
	}
	if err := json.Unmarshal(out.Bytes(), &found); err != nil {
		return found, fmt.Errorf("read what the process got: %w", err)
	}
	return found, nil
}

// Probe gets a token through a library, configured by the environment of this process, and
// writes it together with the endpoint to which the library sent its request. The process must
// be one that `rolecall run` started.
func Probe(ctx context.Context, args []string, lookup func(string) (string, bool), out io.Writer) error {
	if len(args) != 2 {
		return errors.New("give a library and a scope")
	}
	bundle, ok := lookup("ROLECALL_CA_BUNDLE")
	if !ok {
		return errors.New("there is no identity here: only `rolecall run` starts this command")
	}
	transport, err := trusting(bundle)
	if err != nil {
		return err
	}
	noted := &notingTransport{next: transport}
	cred, err := probeCredential(args[0], lookup, &http.Client{Timeout: requestLimit, Transport: noted})
	if err != nil {
		return err
	}
	token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{args[1]}})
	if err != nil {
		return err
	}
	tenant, _ := lookup("AZURE_TENANT_ID")
	found := probed{Token: token.Token, Endpoint: noted.endpoint(tenant)}
	if args[0] == probeCLI {
		found.Endpoint = endpointCLI
	}
	return json.NewEncoder(out).Encode(found)
}

func trusting(bundle string) (*http.Transport, error) {
	pem, err := os.ReadFile(bundle)
	if err != nil {
		return nil, fmt.Errorf("read the CA bundle: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}, nil
}

func probeCredential(library string, lookup func(string) (string, bool), client *http.Client) (azcore.TokenCredential, error) {
	options := azcore.ClientOptions{Transport: client, Retry: policy.RetryOptions{MaxRetries: 1}}
	switch library {
	case probeManagedIdentity:
		identity := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
		if id, ok := lookup("AZURE_CLIENT_ID"); ok {
			identity.ID = azidentity.ClientID(id)
		}
		return azidentity.NewManagedIdentityCredential(identity)
	case probeDefault:
		// Without the variable it would try one credential after another, and addresses
		// that are not on this machine.
		return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
			ClientOptions: options, DisableInstanceDiscovery: true, RequireAzureTokenCredentials: true,
		})
	case probeWorkload:
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	case probeCLI:
		return azidentity.NewAzureCLICredential(nil)
	case probeConnection:
		return credential.Parse("RunAs=App", &credential.Options{HTTPClient: client})
	case probeMetadata:
		return newMetadataCredential(lookup, client)
	}
	return nil, fmt.Errorf("there is no library %q", library)
}

// newMetadataCredential is MSAL with a transport that sends requests to the address in the
// environment, not to the one that is built into the library.
func newMetadataCredential(lookup func(string) (string, bool), client *http.Client) (azcore.TokenCredential, error) {
	host, _ := lookup("AZURE_POD_IDENTITY_AUTHORITY_HOST")
	target, err := url.Parse(host)
	if err != nil || target.Host == "" {
		return nil, errors.New("AZURE_POD_IDENTITY_AUTHORITY_HOST names no metadata service")
	}
	msal, err := managedidentity.New(managedidentity.SystemAssigned(), managedidentity.WithHTTPClient(&http.Client{
		Timeout: client.Timeout, Transport: &rewriting{to: target, next: client.Transport},
	}), managedidentity.WithRetryPolicyDisabled())
	if err != nil {
		return nil, err
	}
	return metadataCredential{msal}, nil
}

// rewriting sends every request to one host.
type rewriting struct {
	to   *url.URL
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *rewriting) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = t.to.Scheme, t.to.Host, ""
	return t.next.RoundTrip(r)
}

// metadataCredential adapts MSAL's client to azcore.TokenCredential.
type metadataCredential struct{ client managedidentity.Client }

// GetToken implements azcore.TokenCredential.
func (m metadataCredential) GetToken(ctx context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	answer, err := m.client.AcquireToken(ctx, strings.TrimSuffix(opts.Scopes[0], "/.default"))
	if err != nil {
		return azcore.AccessToken{}, err
	}
	return azcore.AccessToken{Token: answer.AccessToken, ExpiresOn: answer.ExpiresOn}, nil
}
