package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/peer"
)

// namesOf asks for Microsoft's names of a host as `rolecall env --on --public-names` does.
func (s *Server) namesOfHost(t *testing.T, name string) BindingState {
	t.Helper()
	state, err := NamesOfHost(t.Context(), s.cfg.Dir, "", name, "")
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// through asks for a URL by a host's proxy, with the trust that its programs are given. Nothing is
// the status when there is no proxy, or it refuses.
func through(t *testing.T, names *HostNames, address string) (status int, problem string) {
	t.Helper()
	at, err := url.Parse(names.Proxy)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if bundle, err := os.ReadFile(names.Bundle); err == nil && !roots.AppendCertsFromPEM(bundle) {
		t.Fatal("the bundle cannot be read")
	}
	transport := &http.Transport{Proxy: http.ProxyURL(at), TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Get(address)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, ""
}

const discovery = "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration"

// The programs of a host are led to the server by Microsoft's names, those that know its own
// address go on as before, and both end with the host.
func TestNamesOfAHost(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir(), Prepare: populate})
	at := freeAddress(t)
	s.putHost(t, directory.Host{Name: "agent", Listen: at, Names: []string{"localhost"}}, "orders-client-mi")
	own := s.lineOf(t, "agent")
	line := s.namesOfHost(t, "AGENT")
	if strings.Contains(line.Names.Proxy, "@") == peer.Tells() {
		t.Error("a credential is for systems that do not tell whose a connection is, and for those alone")
	}
	if status, problem := through(t, line.Names, discovery); status != http.StatusOK {
		t.Errorf("through the proxy: %d %s", status, problem)
	}
	if status, problem := through(t, line.Names, "https://graph.windows.net/"); status != 0 || !strings.Contains(problem, "Forbidden") {
		t.Errorf("the older Graph, at which nothing answers: %d %s", status, problem)
	}
	if status, problem := through(t, line.Names, "https://graph.microsoft.com/v1.0/applications"); status != http.StatusUnauthorized {
		t.Errorf("Graph, without a token: %d %s", status, problem)
	}
	for endpoint, want := range map[string]string{line.Endpoint: "https://login.microsoftonline.com/", own.Endpoint: s.Endpoints().Authority + "/"} {
		secret := line.Header
		if endpoint == own.Endpoint {
			secret = own.Header
		}
		status, body := ask(t, endpoint, secret, "")
		_, rest, _ := strings.Cut(body["access_token"], ".")
		payload, _, _ := strings.Cut(rest, ".")
		claims, err := base64.RawURLEncoding.DecodeString(payload)
		if err != nil || status != http.StatusOK || !strings.Contains(string(claims), `"iss":"`+want) {
			t.Errorf("at %s: %d, claims %s", endpoint, status, claims)
		}
	}
	if own.Header == line.Header || own.Endpoint == line.Endpoint {
		t.Error("the host's own endpoint and that of the names are the same")
	}
	if status, _ := ask(t, line.Endpoint, own.Header, ""); status != http.StatusUnauthorized {
		t.Errorf("with the secret of the host's own endpoint: %d", status)
	}
	if again := s.namesOfHost(t, "agent"); again.Names.Proxy != line.Names.Proxy || again.Header != line.Header {
		t.Error("who asks again gets something else")
	}

	// A change of identities reaches both,
	s.putHost(t, directory.Host{Name: "agent", Listen: at, Names: []string{"localhost"}}, "orders-user-mi")
	if status, _ := ask(t, line.Endpoint, line.Header, "&client_id="+string(line.ClientID)); status != http.StatusBadRequest {
		t.Errorf("the identity that was taken away: got %d", status)
	}
	if status, _ := ask(t, line.Endpoint, line.Header, "&client_id="+s.clientID(t, "orders-user-mi")); status != http.StatusOK {
		t.Errorf("the one that was added: got %d", status)
	}
	// and the end of the host ends both.
	s.edit(t, func(e *directory.Editor, tenant directory.TenantID) error {
		host, err := e.Hosts().Find(tenant, "agent")
		if err != nil {
			return err
		}
		return e.Hosts().Delete(tenant, host.ID)
	})
	if status, _ := through(t, line.Names, discovery); status != 0 {
		t.Errorf("after the host's end: got %d", status)
	}
	if status, _ := ask(t, line.Endpoint, line.Header, ""); status != 0 {
		t.Errorf("after the host's end, for a token: got %d", status)
	}
	if _, err := os.Stat(line.Names.Folder); !os.IsNotExist(err) {
		t.Errorf("the certificate is left: %v", err)
	}
}

// What is written is certificates, and they go with the server.
func TestNamesOfAHostEndWithTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stale := filepath.Join(dir, publicFolder, "of-a-killed-server")
	if err := os.MkdirAll(stale, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), Config{NewKey: fixture.NewKeys(), Dir: dir, Prepare: populate})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("what a killed server left is there: %v", err)
	}
	s.putHost(t, directory.Host{Name: "agent", Listen: freeAddress(t)}, "orders-client-mi")
	names := s.namesOfHost(t, "agent").Names
	files, err := os.ReadDir(names.Folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(names.Folder, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), "PRIVATE") {
			t.Errorf("%s holds a key", file.Name())
		}
	}
	if len(files) != 2 {
		t.Errorf("there are %d files", len(files))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _ := through(t, names, discovery); status != 0 {
		t.Errorf("after the server's end: got %d", status)
	}
	if _, err := os.Stat(filepath.Dir(names.Folder)); !os.IsNotExist(err) {
		t.Errorf("the certificate is left: %v", err)
	}
}

// A host of another user is that for its proxy, too.
func TestNamesOfAHostBelongToItsUser(t *testing.T) {
	t.Parallel()
	if !peer.Tells() {
		t.Log("this system does not tell whose a connection is")
		return
	}
	s := startWith(t, Config{Dir: t.TempDir(), Prepare: populate})
	s.putHost(t, directory.Host{Name: "agent", Listen: freeAddress(t), User: "4711"}, "orders-client-mi")
	if status, problem := through(t, s.namesOfHost(t, "agent").Names, discovery); status != 0 || !strings.Contains(problem, "Forbidden") {
		t.Errorf("got %d %s", status, problem)
	}
}

// There is nothing to be had for a host that is not there, in no cloud, or that speaks TLS.
func TestNamesOfNoHost(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir(), Prepare: populate})
	s.putHost(t, directory.Host{Name: "agent", Listen: freeAddress(t), Platform: directory.PlatformServiceFabric}, "orders-client-mi")
	for _, tt := range []struct{ name, cloud, want string }{
		{"nobody", "", "there is no host"},
		{"agent", "mooncake", "there is no cloud"},
		{"agent", "", "speak TLS to its address"},
	} {
		if _, err := NamesOfHost(t.Context(), s.cfg.Dir, "", tt.name, tt.cloud); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s in %q: %v", tt.name, tt.cloud, err)
		}
	}
	if _, err := os.Stat(filepath.Join(s.cfg.Dir, publicFolder)); !os.IsNotExist(err) {
		t.Errorf("something was written: %v", err)
	}
}
