package launch

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// inside is set for this test's own process in a namespace.
const inside = "LAUNCH_TEST_INSIDE"

func TestNamespaceHasTheMetadataAddressAlone(t *testing.T) {
	t.Parallel()
	if address := os.Getenv(inside); address != "" {
		askInside(t, address)
		return
	}
	namespace, err := NewNamespace()
	if err != nil {
		t.Skipf("no network namespace can be made here: %v", err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello "+r.Host) }))
	defer server.Close()
	if err := namespace.Relay(MetadataAddress+":80", server.Listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestNamespaceHasTheMetadataAddressAlone$")
	cmd.Env = append(os.Environ(), inside+"="+server.Listener.Addr().String(), "GORACE=atexit_sleep_ms=0")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := namespace.start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("in the namespace: %v\n%s", err, &out)
	}
	if err := namespace.Close(); err != nil {
		t.Error(err)
	}
	if err := namespace.Relay("127.0.0.1:0", "127.0.0.1:1"); err == nil {
		t.Error("a closed namespace relays")
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		if strings.HasPrefix(address.String(), MetadataAddress) {
			t.Errorf("this machine has the address %s now", address)
		}
	}
}

func askInside(t *testing.T, outside string) {
	response, err := http.Get("http://" + MetadataAddress + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "hello "+MetadataAddress {
		t.Errorf("got %q, %v", body, err)
	}
	if conn, err := net.Dial("tcp", outside); err == nil {
		conn.Close()
		t.Error("the other network can be reached")
	}
}
