package managedidentity

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// fetch sends a request to an endpoint over the network.
func fetch(t *testing.T, h *Endpoint, transport *http.Transport) reply {
	t.Helper()
	q := good(h)
	r, err := http.NewRequestWithContext(t.Context(), q.method, "http://"+h.address+q.target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = q.header
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, response)
}

func TestOwnerOfConnections(t *testing.T) {
	w := newWorld(t)
	own, other := w.endpointOwned(directory.PlatformIMDS, os.Getuid()), w.endpointOwned(directory.PlatformIMDS, os.Getuid()+1)
	if got := fetch(t, own, &http.Transport{DisableKeepAlives: true}); got.status != http.StatusOK {
		t.Errorf("own: got %d: %s", got.status, got.raw)
	}
	fetch(t, other, &http.Transport{DisableKeepAlives: true}).refusedWith(t, http.StatusBadRequest)
}

// Java and others use IPv6 sockets even for IPv4 addresses.
func TestOwnerOfASocketOfBothProtocols(t *testing.T) {
	w := newWorld(t)
	own, other := w.endpointOwned(directory.PlatformIMDS, os.Getuid()), w.endpointOwned(directory.PlatformIMDS, os.Getuid()+1)
	if got := fetch(t, own, &http.Transport{DisableKeepAlives: true, DialContext: dialBoth}); got.status != http.StatusOK {
		t.Errorf("own: got %d: %s", got.status, got.raw)
	}
	fetch(t, other, &http.Transport{DisableKeepAlives: true, DialContext: dialBoth}).refusedWith(t, http.StatusBadRequest)
}

// dialBoth connects to an IPv4 address with an IPv6 socket.
func dialBoth(_ context.Context, _, address string) (net.Conn, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = syscall.Connect(fd, &syscall.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	socket := os.NewFile(uintptr(fd), "socket")
	defer socket.Close() // the connection has a copy
	if err != nil {
		return nil, err
	}
	return net.FileConn(socket)
}

// The same with a real user other than the test's.
func TestAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("sockets of other users take root")
	}
	w := newWorld(t)
	h := w.endpointOwned(directory.PlatformIMDS, 0)
	for uid, want := range map[int]int{0: http.StatusOK, 65534: http.StatusBadRequest} {
		transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return dialAs(ctx, address, uid)
		}}
		if got := fetch(t, h, transport); got.status != want {
			t.Errorf("user %d: got %d, want %d: %s", uid, got.status, want, got.raw)
		}
	}
}

// An admitted network, such as that of containers, contains an address of this machine, from which
// other users of the machine could send requests too. With a secret they are admitted. (Here it is
// the network of the loopback, which contains no other machine.)
func TestAnotherUserAtAnAddressOfANetwork(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("sockets of other users take root")
	}
	network := netip.MustParsePrefix("127.0.0.0/8")
	w := newWorld(t)
	for platform, want := range map[directory.Platform]map[int]int{
		directory.PlatformIMDS:       {0: http.StatusOK, 65534: http.StatusBadRequest},
		directory.PlatformAppService: {0: http.StatusOK, 65534: http.StatusOK},
	} {
		h := w.hostAs(EndpointConfig{Platform: platform, From: []netip.Prefix{network}})
		for uid, status := range want {
			got := fetch(t, h, &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				return dialAs(ctx, address, uid)
			}})
			if got.status != status {
				t.Errorf("%s, user %d: got %d, want %d", platform, uid, got.status, status)
			}
		}
	}
}

func TestRequestsFromHere(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true, "": true, "@": true, // an unknown address counts as this machine
		"192.0.2.77:1": false, "[2001:db8::77]:1": false, "[::ffff:192.0.2.77]:1": false,
	} {
		if got := fromHere(&http.Request{RemoteAddr: address}); got != want {
			t.Errorf("%q: got %t, want %t", address, got, want)
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range own {
		ip := netip.MustParsePrefix(address.String()).Addr()
		if !fromHere(&http.Request{RemoteAddr: netip.AddrPortFrom(ip, 1).String()}) {
			t.Errorf("%s, this machine's own, is taken for another's", ip)
		}
	}
}

// asked is set to the address to call, for this test's own process as another user.
const asked = "MANAGEDIDENTITY_TEST_ASKED"

// The same with a process of another user that knows everything: the secret, the address and the
// name of an identity.
func TestAProcessOfAnotherUser(t *testing.T) {
	if address := os.Getenv(asked); address != "" {
		askAsAnother(t, address)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("processes of other users take root")
	}
	w := newWorld(t)
	for uid, want := range map[uint32]string{0: "200", 65534: "400"} {
		for _, platform := range []directory.Platform{directory.PlatformIMDS, directory.PlatformAppService} {
			h := w.endpointOwned(platform, 0)
			endpoints := []string{h.address}
			if platform == directory.PlatformAppService {
				common := httptest.NewUnstartedServer(w.Handler())
				common.Config.ConnContext = ConnContext
				common.Start()
				defer common.Close()
				endpoints = append(endpoints, common.Listener.Addr().String())
			}
			for _, address := range endpoints {
				// The folder of the test's own file is closed to others; the file is not.
				cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestAProcessOfAnotherUser$", "-test.v")
				cmd.Env = append(os.Environ(), asked+"=http://"+address+good(h).target+"&client_id="+string(fixture.IdentityID), "SECRET="+h.secret, "GORACE=atexit_sleep_ms=0")
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				if !strings.Contains(string(out), "answered "+want) {
					t.Errorf("%s, user %d: want %s: %s", platform, uid, want, out)
				}
			}
		}
	}
}

func askAsAnother(t *testing.T, target string) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Metadata", "true")
	r.Header.Set("X-IDENTITY-HEADER", os.Getenv("SECRET"))
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	fmt.Println("answered", response.StatusCode)
}

// dialAs connects with a socket of another user, which requires root.
func dialAs(ctx context.Context, address string, uid int) (*net.TCPConn, error) {
	return dialFrom(ctx, net.Dialer{}, address, uid)
}

func dialFrom(ctx context.Context, dialer net.Dialer, address string, uid int) (*net.TCPConn, error) {
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	socket := conn.(*net.TCPConn)
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = syscall.Fchown(int(fd), uid, -1) })
	return socket, errors.Join(err, failed)
}
