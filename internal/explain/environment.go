package explain

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/loopback"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// EnvironmentInput is an environment, and what it is checked against.
type EnvironmentInput struct {
	Lookup    func(string) (string, bool) // required: the variables
	Directory *directory.Directory        // required
	Authority string                      // of the running server; empty: none runs
	CA        string                      // file of the data folder's certificate authority
	// Reach tries to connect to an address of this machine.
	Reach func(ctx context.Context, address string) error
}

// environment is an environment that is being looked at.
type environment struct {
	EnvironmentInput
	report   *Report
	tenant   *directory.Tenant   // nil: none is named, or it is not there
	client   *directory.Instance // nil: none is named, or it is not there
	endpoint string              // of managed identities; empty: none is named
	proof    string              // what it would be used with: "secret" …; empty: nothing
}

// The variables that are looked at more than once.
const (
	variableTenant   = "AZURE_TENANT_ID"
	variableClient   = "AZURE_CLIENT_ID"
	variableSecret   = "AZURE_CLIENT_SECRET" //nolint:gosec // a name
	variableEndpoint = "IDENTITY_ENDPOINT"
	variableHost     = "AZURE_AUTHORITY_HOST"
)

// Environment explains with what credential a program would ask in an environment, and what
// would go wrong. The first thing that would is the verdict. No value of a secret is in the
// report.
func Environment(ctx context.Context, in EnvironmentInput) (*Report, error) {
	e := &environment{EnvironmentInput: in, report: &Report{Accepted: true}}
	for _, look := range []func(context.Context) error{e.connection, e.credential, e.names, e.files, e.secret, e.reachEndpoint, e.authority, e.trust} {
		if err := look(ctx); err != nil {
			return nil, err
		}
	}
	if e.report.Accepted {
		e.report.Verdict = fmt.Sprintf("as it is: a program asks with %s", e.proof)
	}
	return e.report, nil
}

func (e *environment) get(name string) string {
	value, _ := e.Lookup(name)
	return strings.TrimSpace(value)
}

// passed and failed add the outcome of a check; the first failure is the verdict.
func (e *environment) passed(name, format string, args ...any) {
	e.report.add(name, true, text.Line(fmt.Sprintf(format, args...), text.MaxQuoted))
}

func (e *environment) failed(name, what string, fix Fix) {
	e.report.add(name, false, text.Line(what, 2*text.MaxQuoted))
	if e.report.Accepted {
		e.report.Accepted, e.report.Verdict, e.report.Fix, e.report.Reason = false, text.Line(what, 2*text.MaxQuoted), &fix, "environment"
	}
}

// connection looks at a connection string of the App Authentication library.
func (e *environment) connection(context.Context) error {
	const name = "AzureServicesAuthConnectionString"
	value := e.get(name)
	if value == "" {
		return nil
	}
	if r := Connection(value); !r.Accepted {
		e.failed(name, "the connection string is refused: "+r.Problem, Fix{What: "rolecall explain --connection-string - explains it; give it on standard input."})
	} else {
		e.passed(name, "%s", r.Means)
	}
	return nil
}

// credential finds out with what a program asks, in the order of DefaultAzureCredential.
func (e *environment) credential(context.Context) error {
	e.endpoint = e.get(variableEndpoint)
	for _, name := range []string{"MSI_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "IMDS_ENDPOINT"} {
		if e.endpoint == "" {
			e.endpoint = e.get(name)
		}
	}
	switch {
	case e.get(variableSecret) != "":
		e.proof = "a secret"
	case e.get("AZURE_CLIENT_CERTIFICATE_PATH") != "":
		e.proof = "a certificate"
	case e.get("AZURE_FEDERATED_TOKEN_FILE") != "":
		e.proof = "a federated token"
	case e.endpoint != "":
		e.proof = "a managed identity"
	case e.get("AzureServicesAuthConnectionString") != "":
		e.proof = "a connection string"
	default:
		e.proof = "nothing"
		e.failed("credential", "no variable names a credential", Fix{What: "Run the program as somebody: rolecall run --as NAME -- PROGRAM. Or, in a shell: eval \"$(rolecall env --as NAME)\""})
		return nil
	}
	e.passed("credential", "%s", e.proof)
	return nil
}

// isApplication reports whether the credential is one of an application, which names itself
// and its tenant.
func (e *environment) isApplication() bool {
	return slices.Contains([]string{"a secret", "a certificate", "a federated token"}, e.proof)
}

// names looks up whom the variables name.
func (e *environment) names(ctx context.Context) error {
	tenants, err := e.Directory.Tenants(ctx)
	if err != nil {
		return err
	}
	if ref := e.get(variableTenant); ref != "" {
		e.tenant, err = e.Directory.Tenant(ctx, ref)
		switch {
		case errors.Is(err, directory.ErrNotFound):
			names := tenantNames(tenants)
			e.failed(variableTenant, fmt.Sprintf("%s is %s, which is no tenant here", variableTenant, text.Quote(ref)), Fix{What: "There is " + strings.Join(names[:min(len(names), readableTenants)], "; ") + "."})
			return nil
		case err != nil:
			return err
		}
		e.passed(variableTenant, "%s", e.tenant.Name)
	} else if e.isApplication() {
		e.failed(variableTenant, variableTenant+" is not set, and "+e.proof+" needs it", Fix{What: "Set it to the id or the domain of the tenant."})
	}
	if e.tenant != nil {
		tenants = []*directory.Tenant{e.tenant}
	}
	return e.nameClient(ctx, tenants)
}

func (e *environment) nameClient(ctx context.Context, tenants []*directory.Tenant) error {
	id := e.get(variableClient)
	if id == "" {
		if e.isApplication() {
			e.failed(variableClient, variableClient+" is not set, and "+e.proof+" needs it", Fix{What: "Set it to the client id of the application."})
		}
		return nil
	}
	for _, t := range tenants {
		named, err := e.Directory.Named(ctx, t.ID, id)
		if errors.Is(err, directory.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		e.client, e.tenant = named, t
		e.checkClient(id)
		return nil
	}
	e.failed(variableClient, fmt.Sprintf("%s is %s, which is no application or managed identity here", variableClient, text.Quote(id)), Fix{What: "Correct it, or remove it."})
	return nil
}

// checkClient judges the client that the variable names by what it is to ask with.
func (e *environment) checkClient(id string) {
	p := e.client.Principal
	switch {
	case p == nil:
		e.failed(variableClient, fmt.Sprintf("%s has no service principal in the tenant %s", nameOf(e.client, id), e.tenant.Name), Fix{What: "rolecall apply with the application in its file creates one."})
	case !strings.EqualFold(string(p.AppID), id):
		e.failed(variableClient, fmt.Sprintf("%s is not the client id of %s, but another of its ids or its name", variableClient, p.Called()), Fix{What: fmt.Sprintf("The client id of %s is %s: set %s to that.", p.Called(), p.AppID, variableClient)})
	case e.client.Application != nil && !e.isApplication() && e.endpoint != "":
		e.failed(variableClient, fmt.Sprintf("%s names the application %s, and the environment offers a managed identity", variableClient, p.Called()),
			Fix{What: fmt.Sprintf("It is left over: remove it, as by unset %s, or set it to the client id of the identity.", variableClient)})
	case e.client.Application == nil && (e.proof == "a secret" || e.proof == "a certificate"):
		e.failed(variableClient, fmt.Sprintf("%s names the managed identity %s, which has no %s", variableClient, p.Called(), strings.TrimPrefix(e.proof, "a ")),
			Fix{What: fmt.Sprintf("Remove the credential, and run the program as the identity: rolecall run --as %s -- PROGRAM", shellQuote(p.Called()))})
	case !p.Enabled:
		e.failed(variableClient, p.Called()+" is switched off", Fix{What: "Switch it on: enabled: true in rolecall.yaml, and rolecall apply -f rolecall.yaml."})
	default:
		e.report.Client = p.Called()
		e.passed(variableClient, "%s of %s", p.Called(), e.tenant.Name)
	}
	e.report.Tenant = e.tenant.Name
}

// files looks into the files that the variables name.
func (e *environment) files(context.Context) error {
	if path := e.get("AZURE_CLIENT_CERTIFICATE_PATH"); path != "" {
		e.certificateFile(path)
	}
	if path := e.get("AZURE_FEDERATED_TOKEN_FILE"); path != "" {
		const name = "AZURE_FEDERATED_TOKEN_FILE"
		content, err := os.ReadFile(path)
		switch {
		case err != nil:
			e.failed(name, fmt.Sprintf("the file of %s cannot be read: %v", name, err), Fix{What: "It goes with the program that rolecall run started; run the program anew."})
		case !readClaims(strings.TrimSpace(string(content))).read:
			e.failed(name, fmt.Sprintf("the file of %s holds no token", name), Fix{What: "Let the platform write it: rolecall run --via workload does."})
		default:
			e.passed(name, "a token of %s", readClaims(strings.TrimSpace(string(content))).issuer)
		}
	}
	return nil
}

func (e *environment) certificateFile(path string) {
	const name = "AZURE_CLIENT_CERTIFICATE_PATH"
	certificate, err := credential.LoadCertificate(path, e.get("AZURE_CLIENT_CERTIFICATE_PASSWORD"))
	if err != nil {
		e.failed(name, err.Error(), Fix{What: "Name a file with the certificate and its private key, in PEM or PKCS#12. A file that rolecall env made goes when its time is over."})
		return
	}
	if e.client != nil && e.client.Application != nil && !slices.ContainsFunc(e.client.Application.Certificates, func(c directory.Certificate) bool {
		return bytes.Equal(c.DER, certificate.Chain[0].Raw)
	}) {
		e.failed(name, fmt.Sprintf("the certificate in %s is not registered for %s", path, nameOf(e.client, "")),
			Fix{What: "Register it, without its key, in rolecall.yaml: certificates: [{name: NAME, file: client.pem}]; then rolecall apply -f rolecall.yaml."})
		return
	}
	e.passed(name, "%s", certificate.Chain[0].Subject)
}

// secret checks the secret itself, which takes no request.
func (e *environment) secret(ctx context.Context) error {
	value, _ := e.Lookup(variableSecret)
	if value == "" || e.client == nil || e.client.Application == nil {
		return nil
	}
	_, err := e.Directory.CheckSecret(ctx, e.client.Application, value)
	if err == nil {
		e.passed(variableSecret, "it is a secret of %s", e.client.Application.Called())
		return nil
	}
	if !errors.Is(err, directory.ErrWrongSecret) && !errors.Is(err, directory.ErrExpiredSecret) {
		return err
	}
	what := fmt.Sprintf("%s is no secret of %s", variableSecret, e.client.Application.Called())
	told := e.Directory.DescribeSecret(e.client.Application, value)
	switch {
	case errors.Is(err, directory.ErrExpiredSecret):
		what = fmt.Sprintf("%s is a secret of %s that has ended", variableSecret, e.client.Application.Called())
	case told.Slip == directory.SlipID:
		what += ": it is the id of one, not its value"
	case told.Slip != "":
		what += fmt.Sprintf(" as it is: without its %s it would be", strings.ReplaceAll(string(told.Slip), "-", " "))
	}
	e.failed(variableSecret, what, Fix{What: fmt.Sprintf("Run the program with one of its own: rolecall run --as %s -- PROGRAM. Or make one for a day:", e.client.Application.Called()),
		Command: "rolecall env --as " + shellQuote(e.client.Application.Called())})
	return nil
}

// reachEndpoint finds out whether anything listens where managed identities are to be. It asks
// this machine alone.
func (e *environment) reachEndpoint(ctx context.Context) error {
	if e.endpoint == "" || e.isApplication() {
		return nil
	}
	u, err := url.Parse(e.endpoint)
	if err != nil || u.Host == "" {
		e.failed(variableEndpoint, fmt.Sprintf("the identity endpoint %s is no URL", text.Quote(e.endpoint)), Fix{What: "Let rolecall run set it: rolecall run --as NAME -- PROGRAM"})
		return nil
	}
	if !loopback.Is(u.Hostname()) {
		e.passed(variableEndpoint, "%s, which is not on this machine", e.endpoint)
		return nil
	}
	if err := e.Reach(ctx, addressOf(u)); err != nil {
		e.failed(variableEndpoint, fmt.Sprintf("nothing listens at %s: the program or server that set it has ended", u.Redacted()),
			Fix{What: "It is left over. Start a new shell, or run the program anew: rolecall run --as NAME -- PROGRAM"})
		return nil
	}
	e.passed(variableEndpoint, "something listens at %s", u.Redacted())
	return nil
}

func addressOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// authority compares where applications ask with where the data folder's server is.
func (e *environment) authority(context.Context) error {
	if !e.isApplication() {
		return nil
	}
	host := strings.TrimSuffix(e.get(variableHost), "/")
	switch {
	case host == "" && e.tenant != nil:
		e.failed(variableHost, variableHost+" is not set, so programs ask at login.microsoftonline.com", Fix{What: e.hostFix()})
	case host != "" && e.Authority == "":
		e.passed(variableHost, "%s; no server runs on this data folder", host)
	case host != "" && host != e.Authority:
		e.failed(variableHost, fmt.Sprintf("%s is %s, and the server of this data folder is %s", variableHost, text.Quote(host), e.Authority), Fix{What: e.hostFix()})
	case host != "":
		e.passed(variableHost, "the server of this data folder")
	}
	return nil
}

func (e *environment) hostFix() string {
	if e.Authority == "" {
		return "Start a server with rolecall serve, and set it to the address that the server prints."
	}
	return "Set it to " + e.Authority + "/"
}

// trust finds out whether programs trust the server's certificate, by language.
func (e *environment) trust(context.Context) error {
	if !e.isApplication() || e.CA == "" || e.get(variableHost) == "" {
		return nil
	}
	own, err := os.ReadFile(e.CA)
	if err != nil {
		return nil //nolint:nilerr // a folder whose server has another certificate has none
	}
	block, _ := pem.Decode(own)
	if block == nil {
		return nil
	}
	trusted := 0
	for _, v := range []struct{ name, of string }{
		{"SSL_CERT_FILE", "Go, .NET, Ruby and OpenSSL"}, {"NODE_EXTRA_CA_CERTS", "Node"}, {"REQUESTS_CA_BUNDLE", "Python"}, {"CURL_CA_BUNDLE", "curl"},
	} {
		path := e.get(v.name)
		if path == "" {
			continue
		}
		content, err := os.ReadFile(path)
		switch {
		case err != nil:
			e.failed(v.name, fmt.Sprintf("the file of %s cannot be read: %v", v.name, err), Fix{What: "Set it to the file that rolecall env prints for it, or start the server anew, which makes the file."})
		case !holds(content, block.Bytes):
			e.failed(v.name, fmt.Sprintf("the file of %s does not hold the certificate authority of this data folder, so %s refuse its server", v.name, v.of), Fix{What: "Set it to the file that rolecall env prints for it, or add " + e.CA + " to the file."})
		default:
			trusted++
			e.passed(v.name, "%s trust the server", v.of)
		}
	}
	if trusted == 0 {
		e.failed("trust", "no variable names a file with the certificate authority of this data folder, so programs refuse its server", Fix{What: "Set SSL_CERT_FILE and its like as rolecall env prints them: eval \"$(rolecall env --as NAME)\""})
	}
	return nil
}

// holds reports whether a bundle of PEM blocks has a certificate.
func holds(bundle, der []byte) bool {
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if bytes.Equal(block.Bytes, der) {
			return true
		}
	}
	return false
}
