package managedidentity

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// hostAs opens an endpoint with both identities that anybody may use.
func (w *world) hostAs(cfg EndpointConfig) *Endpoint {
	w.t.Helper()
	cfg.Tenant, cfg.Owner = fixture.TenantID, anyUser
	if cfg.Identities == nil {
		cfg.Identities = w.identities(fixture.IdentityID, fixture.UserIdentityID)
	}
	h, err := w.Open(w.t.Context(), cfg)
	w.must(err)
	return h
}

// Containers know the machine by a name that it does not have itself.
func TestNamesOfAnEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.hostAs(EndpointConfig{Platform: directory.PlatformAppService, Names: []string{"host.docker.internal", "gateway"}})
	if got := h.URL(); !strings.HasPrefix(got, "http://host.docker.internal:") || h.Environment()["IDENTITY_ENDPOINT"] != got {
		t.Errorf("programs are told %s and %s", got, h.Environment()["IDENTITY_ENDPOINT"])
	}
	for _, host := range []string{"host.docker.internal:1234", "HOST.docker.internal", "gateway", "127.0.0.1", "localhost"} {
		if got := w.ask(h, good(h).set("Host", host)); got.status != http.StatusOK {
			t.Errorf("host %s: got %d: %s", host, got.status, got.raw)
		}
	}
	for _, host := range []string{"docker.internal", "host.docker.internal.evil.test", "host.docker.internal.", "gateway.evil.test"} {
		w.ask(h, good(h).set("Host", host)).refusedWith(t, http.StatusBadRequest)
	}
	other := w.endpoint(directory.PlatformAppService)
	w.ask(other, good(other).set("Host", "host.docker.internal")).refusedWith(t, http.StatusBadRequest)
}

func TestNetworksThatMayAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.hostAs(EndpointConfig{Platform: directory.PlatformAppService, From: []netip.Prefix{netip.MustParsePrefix("172.17.0.0/16"), netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("fd00::/8")}})
	for caller, want := range map[string]int{
		"172.17.0.2:4000": 200, "172.17.255.255:1": 200, "10.0.0.1:4000": 200, "[fd00::1]:4000": 200, "[::ffff:172.17.0.2]:4000": 200,
		"172.18.0.2:4000": 400, "10.0.0.2:4000": 400, "127.0.0.1:4000": 400, "[::1]:4000": 400, "[fe80::1%eth0]:4000": 400, "@": 400, "": 400,
	} {
		t.Run(caller, func(t *testing.T) {
			q := good(h)
			r := httptest.NewRequest(q.method, q.target, nil)
			r.Host, r.RemoteAddr = "127.0.0.1:1234", caller
			for name, values := range q.header {
				r.Header[http.CanonicalHeaderKey(name)] = values
			}
			recorder := httptest.NewRecorder()
			h.serve(recorder, r)
			if got := read(t, recorder.Result()); got.status != want {
				t.Errorf("got %d, want %d: %s", got.status, want, got.raw)
			}
		})
	}
}

// A request may name the address of the listener, but no other address.
func TestOwnAddressIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformIMDS)
	response, err := http.DefaultTransport.RoundTrip(w.request(h, "127.0.0.1:1"))
	w.must(err)
	if got := read(t, response); got.status != http.StatusOK {
		t.Errorf("got %d: %s", got.status, got.raw)
	}
	response, err = http.DefaultTransport.RoundTrip(w.request(h, "172.17.0.1:1"))
	w.must(err)
	read(t, response).refusedWith(t, http.StatusBadRequest)

	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = "172.17.0.1:8450"
	r = r.WithContext(localAt(r.Context(), "172.17.0.1:8450"))
	if !h.knows(r) {
		t.Error("a request to the listener's own address is taken for one to another host")
	}
}

// All addresses of IPv4 do not include those of IPv6: an operator who allowed the former did not
// allow the latter.
func TestAllAddressesOfOneProtocol(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for listen, own := range map[string]string{"0.0.0.0:0": "127.0.0.1", "[::]:0": "::1"} {
		h, err := w.Open(t.Context(), EndpointConfig{Tenant: fixture.TenantID, Identities: w.identities(fixture.IdentityID), Platform: directory.PlatformAppService, Owner: anyUser, Listen: listen})
		if err != nil && own == "::1" {
			t.Log("this machine does not speak IPv6") // nothing to check then
			continue
		}
		w.must(err)
		_, port, err := net.SplitHostPort(h.address)
		w.must(err)
		for _, address := range []string{"127.0.0.1", "::1"} {
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", net.JoinHostPort(address, port))
			if err == nil {
				conn.Close()
			}
			if (err == nil) != (address == own) {
				t.Errorf("a host at %s is reached at %s: %t", listen, address, err == nil)
			}
		}
	}
}

func TestListeningRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	taken := w.endpoint(directory.PlatformAppService)
	for _, tt := range []struct {
		name string
		cfg  EndpointConfig
		want string
	}{
		{"at no address", EndpointConfig{Platform: directory.PlatformAppService, Listen: "localhost:8450"}, "cannot listen at"},
		{"at an address in use", EndpointConfig{Platform: directory.PlatformAppService, Listen: taken.address}, "address already in use"},
		{"open to everybody", EndpointConfig{Platform: directory.PlatformIMDS, Listen: "172.17.0.1:8450"}, "send no secret"},
		{"everywhere, open to everybody", EndpointConfig{Platform: directory.PlatformCloudShell, Listen: "0.0.0.0:8450"}, "send no secret"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Tenant, tt.cfg.Identities = fixture.TenantID, w.identities(fixture.IdentityID)
			h, err := w.Open(t.Context(), tt.cfg)
			if err == nil {
				t.Fatalf("it listens at %s", h.address)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
}

func TestIdentitiesAreReplacedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.hostAs(EndpointConfig{Platform: directory.PlatformIMDS, Identities: w.identities(fixture.UserIdentityID)})
	subject := func() string {
		t.Helper()
		got := w.ask(h, good(h))
		if got.status != http.StatusOK {
			t.Fatalf("got %d: %s", got.status, got.raw)
		}
		return got.text("client_id")
	}
	if got := subject(); got != string(fixture.UserIdentityID) {
		t.Errorf("got a token of %s", got)
	}
	h.Assign(w.identities(fixture.IdentityID))
	if got := subject(); got != string(fixture.IdentityID) {
		t.Errorf("after another was assigned: got a token of %s", got)
	}
	w.ask(h, good(h).with("client_id="+string(fixture.UserIdentityID))).refusedWith(t, http.StatusBadRequest)
	h.Assign(nil)
	w.ask(h, good(h)).refusedWith(t, http.StatusBadRequest)
}

// Programs that outlive a listener can use the next one with the same secret.
func TestSecretsMayBeGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const secret = "0123456789abcdef0123456789abcdef"
	first := w.hostAs(EndpointConfig{Platform: directory.PlatformAppService, Secret: secret})
	address := first.address
	w.must(first.Close())
	second := w.hostAs(EndpointConfig{Platform: directory.PlatformAppService, Secret: secret, Listen: address})
	q := good(first)
	if got := w.ask(second, q); got.status != http.StatusOK {
		t.Errorf("got %d: %s", got.status, got.raw)
	}
	if second.Secret() != secret || second.URL() != first.URL() {
		t.Error("the second host is another to its programs")
	}
}

// A principal created anew with the ids of a deleted identity is not assigned to its endpoints.
func TestRecycledIdentitiesAreNotAssigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, platform := range []directory.Platform{directory.PlatformAppService, directory.PlatformIMDS, directory.PlatformCLI} {
		h := w.hostAs(EndpointConfig{Platform: platform})
		if got := w.ask(h, good(h)); got.status != http.StatusOK {
			t.Fatalf("%s: got %d: %s", platform, got.status, got.raw)
		}
		old := *w.principal(fixture.IdentityID)
		w.clock.Advance(time.Second)
		w.edit(func(e *directory.Editor) error {
			if err := e.ServicePrincipals().Delete(fixture.TenantID, old.ID); err != nil {
				return err
			}
			_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{
				Tenant: fixture.TenantID, ID: old.ID, AppID: old.AppID, Name: old.Name, Type: directory.PrincipalManagedIdentity, IdentityKind: directory.IdentitySystem,
			})
			return err
		})
		if got := w.ask(h, good(h)); got.text("access_token") != "" || got.text("token") != "" {
			t.Errorf("%s: the new identity's token was given to the host of the old one", platform)
		}
		other := w.hostAs(EndpointConfig{Platform: platform})
		if got := w.ask(other, good(other)); got.status != http.StatusOK {
			t.Errorf("%s: the new one's own host: got %d: %s", platform, got.status, got.raw)
		}
	}
}
