package orders_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// binding is one of function.json.
type binding struct {
	Type         string   `json:"type"`
	Direction    string   `json:"direction"`
	Name         string   `json:"name"`
	AuthLevel    string   `json:"authLevel"`
	Methods      []string `json:"methods"`
	Schedule     string   `json:"schedule"`
	RunOnStartup bool     `json:"runOnStartup"`
	UseMonitor   bool     `json:"useMonitor"`
}

// The names of functions and bindings in these files are those the handlers know.
func TestFunctionFiles(t *testing.T) {
	t.Parallel()
	request := []binding{
		{Type: "httpTrigger", Direction: "in", Name: "req", AuthLevel: "anonymous", Methods: []string{"get"}},
		{Type: "http", Direction: "out", Name: "res"},
	}
	timer := []binding{{Type: "timerTrigger", Direction: "in", Name: "timer", Schedule: "0 */10 * * * *", UseMonitor: true}}
	for path, want := range map[string][]binding{
		"server/GetOrders": request, "client/ProcessOrders": request, "client/ProcessOrdersTimer": timer,
	} {
		var got struct {
			Bindings []binding `json:"bindings"`
		}
		readJSON(t, filepath.Join(path, "function.json"), &got)
		if !slices.EqualFunc(got.Bindings, want, equalBinding) {
			t.Errorf("%s: %+v", path, got.Bindings)
		}
	}
}

func equalBinding(a, b binding) bool {
	methods := slices.Equal(a.Methods, b.Methods)
	a.Methods, b.Methods = nil, nil
	one, _ := json.Marshal(a) // plain values: cannot fail
	two, _ := json.Marshal(b)
	return methods && bytes.Equal(one, two)
}

func TestHostFiles(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"server", "client"} {
		var host struct {
			Version       string `json:"version"`
			CustomHandler struct {
				Description struct {
					Executable string   `json:"defaultExecutablePath"`
					Directory  string   `json:"workingDirectory"`
					Arguments  []string `json:"arguments"`
				} `json:"description"`
				Forwarding bool `json:"enableForwardingHttpRequest"`
			} `json:"customHandler"`
			Bundle struct {
				ID      string `json:"id"`
				Version string `json:"version"`
			} `json:"extensionBundle"`
		}
		readJSON(t, filepath.Join(program, "host.json"), &host)
		if host.Version != "2.0" || host.CustomHandler.Description.Executable != "orders-"+program || host.Bundle.ID == "" {
			t.Errorf("%s: %+v", program, host)
		}
		var local struct {
			IsEncrypted bool
			Values      map[string]string
			Host        struct{ LocalHttpPort int } //nolint:revive // the host's own spelling
		}
		readJSON(t, filepath.Join(program, "local.settings.json"), &local)
		if local.Values["FUNCTIONS_WORKER_RUNTIME"] != "Custom" || local.Values["ORDERS_SERVER_APP_ID"] == "" || local.Host.LocalHttpPort == 0 {
			t.Errorf("%s: %+v", program, local)
		}
	}
}

// What the README starts the authority with registers the applications it names.
func TestDirectoryFile(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("rolecall.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Parse("rolecall.yaml", content, os.LookupEnv, os.ReadFile); err != nil {
		t.Error(err)
	}
}

// readJSON reads a file strictly: a member that this test does not know is a mistake.
func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}
