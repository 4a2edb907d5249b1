package compat

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// environment is what the runner tells every suite, whatever its language.
type environment struct {
	authority, tenant      string
	clientID, secret       string
	noRoleID, noRoleSecret string
	certificate, chain     certificate
	v1, v2                 api
	results                string

	rolecall, data, log string   // the command, its data folder and the server's log
	faulty              []string // data folders of servers that fail once, one for each client
	probeProgram        string
	alone               bool // nothing but this machine can be reached
	system, assigned    identity
	stranger            string // client id of an identity that is not for us

	appID              string // of the program that users sign in to
	user, userWithRole string
	password           string
}

// An identity is a managed identity.
type identity struct{ name, clientID, objectID, resourceID string }

// An api is a resource that wants access tokens of one version, and the Orders
// server that accepts them.
type api struct {
	version  string // of the access token: "1.0" or "2.0"
	issuer   string
	resource string // what a client asks for
	audience string // what the token must say
	url      string // of GetOrders
}

// A certificate proves a client: its key and its certificates, leaf first.
type certificate struct {
	key   *rsa.PrivateKey
	certs []*x509.Certificate
}

// load reads the environment that the runner made.
func load(t *testing.T) environment {
	t.Helper()
	if os.Getenv("COMPAT_AUTHORITY") == "" {
		t.Skip("COMPAT_AUTHORITY is not set: start this suite with compat/run go")
	}
	get := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			t.Fatalf("%s is not set: start this suite with compat/run go", name)
		}
		return value
	}
	env := environment{
		authority:    get("COMPAT_AUTHORITY"),
		tenant:       get("COMPAT_TENANT"),
		clientID:     get("COMPAT_CLIENT_ID"),
		secret:       get("COMPAT_SECRET"),
		noRoleID:     get("COMPAT_NOROLE_ID"),
		noRoleSecret: get("COMPAT_NOROLE_SECRET"),
		certificate:  readCertificate(t, get("COMPAT_CERT")),
		chain:        readCertificate(t, get("COMPAT_CHAIN")),
		results:      get("COMPAT_RESULTS"),
		rolecall:     get("COMPAT_ROLECALL"),
		data:         get("COMPAT_DATA"),
		log:          get("COMPAT_LOG"),
		faulty:       strings.Split(get("COMPAT_FAULTY"), ":"),
		probeProgram: get("COMPAT_PROBE"),
		alone:        os.Getenv("COMPAT_ALONE") != "",
		system:       identity{name: get("COMPAT_SYSTEM"), objectID: get("COMPAT_SYSTEM_OBJECT_ID")},
		assigned: identity{
			get("COMPAT_ASSIGNED"), get("COMPAT_ASSIGNED_CLIENT_ID"),
			get("COMPAT_ASSIGNED_OBJECT_ID"), get("COMPAT_ASSIGNED_RESOURCE_ID"),
		},
		stranger:     get("COMPAT_STRANGER_CLIENT_ID"),
		appID:        get("COMPAT_APP_ID"),
		user:         get("COMPAT_USER"),
		userWithRole: get("COMPAT_USER_WITH_ROLE"),
		password:     get("COMPAT_PASSWORD"),
	}
	root := env.authority + "/" + env.tenant
	env.v1 = api{"1.0", root + "/", get("COMPAT_V1_RESOURCE"), get("COMPAT_V1_AUDIENCE"), get("COMPAT_V1_URL")}
	env.v2 = api{"2.0", root + "/v2.0", get("COMPAT_V2_RESOURCE"), get("COMPAT_V2_AUDIENCE"), get("COMPAT_V2_URL")}
	return env
}

// readCertificate reads a PEM file of one PKCS #8 key and its certificates.
func readCertificate(t *testing.T, path string) certificate {
	t.Helper()
	contents, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var read certificate
	for block, rest := pem.Decode(contents); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			read.certs = append(read.certs, cert)
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			read.key, _ = key.(*rsa.PrivateKey)
		}
	}
	if read.key == nil || len(read.certs) == 0 {
		t.Fatalf("%s: want an RSA key in PKCS #8 and its certificates", path)
	}
	return read
}

// record adds one row for the runner's table: client, version, way, result.
func (e environment) record(t *testing.T, client, version, way, result string) {
	t.Helper()
	file, err := os.OpenFile(e.results, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := fmt.Fprintf(file, "%s\t%s\t%s\t%s\n", client, version, way, result); err != nil {
		t.Fatal(err)
	}
}

// moduleVersion tells which version of a module go.mod selects. A test binary
// carries no list of its modules.
func moduleVersion(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", path).Output()
	if err != nil {
		t.Fatalf("go list -m %s: %v", path, err)
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
}
