package launch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const testTenant = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"

// shimFor returns a function that calls the shims of an account whose endpoint answers
// with the handler.
func shimFor(t *testing.T, answer http.HandlerFunc) func(args ...string) (code int, out, errOut string) {
	t.Helper()
	return shimAs(t, Account{ClientID: "c11e0001-5a5a-4c4c-8d8d-000000000001"}, answer)
}

// shimAs does so for whoever the account says.
func shimAs(t *testing.T, account Account, answer http.HandlerFunc) func(args ...string) (code int, out, errOut string) {
	t.Helper()
	endpoint := httptest.NewServer(answer)
	t.Cleanup(endpoint.Close)
	folder := t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	account.Tenant, account.TenantNames, account.Endpoint, account.Key = testTenant, []string{"contoso", "contoso.test"}, endpoint.URL, "the-key"
	if err := WriteShims(folder, program, account); err != nil {
		t.Fatal(err)
	}
	return func(args ...string) (int, string, string) {
		var out, errOut bytes.Buffer
		code := RunShim(t.Context(), append([]string{filepath.Join(folder, shimFile)}, args...), &out, &errOut)
		return code, out.String(), errOut.String()
	}
}

func TestShimsAskAsTheToolsDo(t *testing.T) {
	t.Parallel()
	expires := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	var asked string
	shim := shimFor(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = r.Method + " " + r.URL.RequestURI() + " " + r.Header.Get("Authorization") + " " + string(body)
		fmt.Fprintf(w, `{"status":"success","token":"t0k3n","expiresOn":%q}`, expires.Format(time.RFC3339))
	})
	want := `POST /token?api-version=2023-07-12-preview Bearer the-key {"scopes":["api://orders/.default"],"tenantId":"` + testTenant + `"}`
	for _, line := range []string{
		"az account get-access-token -o json --resource api://orders",
		"az account get-access-token --output json --resource api://orders --tenant " + testTenant,
		"az account get-access-token --output=json --resource=api://orders --tenant=contoso.test",
		"az account get-access-token -ojson --resource api://orders/.default -t CONTOSO.test --only-show-errors",
		"az account get-access-token --scope api://orders/.default -o=json --subscription " + testTenant,
		"az account get-access-token --scope api://orders/.default -o=json --tenant " + testTenant,
		"azd auth token -o json --no-prompt --scope api://orders/.default",
		"azd auth token --output json --no-prompt --scope api://orders/.default --tenant-id contoso --claims e30=",
		"azd auth token --output=json --scope=api://orders/.default --tenant-id=contoso.test --claims=e30=",
		"azd auth token --output=json --scope=api://orders/.default --claims=e30",
	} {
		want := want
		if strings.Contains(line, "--claims") {
			want = strings.Replace(want, `{"scopes"`, `{"claims":"{}","scopes"`, 1)
		}
		code, out, errOut := shim(strings.Fields(line)...)
		if code != 0 || asked != want || errOut != "" {
			t.Errorf("%s: code %d, asked %s, said %q", line, code, asked, errOut)
		}
		if strings.HasPrefix(line, "azd ") {
			if want := `{"expiresOn":"2026-12-01T10:00:00Z","token":"t0k3n"}` + "\n"; out != want {
				t.Errorf("%s: got %s, want %s", line, out, want)
			}
			continue
		}
		var answer struct {
			AccessToken, ExpiresOn, TokenType, Tenant, Subscription string
			Epoch                                                   int64 `json:"expires_on"` // Go's library takes a number alone
		}
		if err := json.Unmarshal([]byte(out), &answer); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		local, err := time.ParseInLocation("2006-01-02 15:04:05.000000", answer.ExpiresOn, time.Local)
		if err != nil || !local.Equal(expires) || answer.Epoch != expires.Unix() || answer.AccessToken != "t0k3n" || answer.TokenType != "Bearer" || answer.Tenant != testTenant {
			t.Errorf("%s: got %+v (%v)", line, answer, err)
		}
	}
	if code, out, _ := shim("az", "account", "get-access-token", "--resource", "api://orders", "--query", "accessToken", "-o", "tsv"); code != 0 || out != "t0k3n\n" {
		t.Errorf("a query: code %d, %q", code, out)
	}
	if code, out, _ := shim("az", "--version"); code != 0 || out != "azure-cli  "+azVersion+"\n" {
		t.Errorf("the version for people: code %d, %q", code, out)
	}
	if code, out, _ := shim("azd", "auth", "token", "--scope", "api://orders/.default"); code != 0 || out != "t0k3n\n" {
		t.Errorf("azd for people: code %d, %q", code, out)
	}
}

// azd refuses what it cannot pass on, before it asks.
func TestAzdRefuses(t *testing.T) {
	t.Parallel()
	shim := shimFor(t, func(http.ResponseWriter, *http.Request) { t.Error("the endpoint was asked") })
	for line, want := range map[string]string{
		"azd auth token --scope api://orders":                               "AADSTS1002012",
		"azd auth token --scope api://orders/Orders.Read":                   "AADSTS1002012",
		"azd auth token --scope api://orders/.default --claims !":           "base64",
		"azd auth token --scope api://orders/.default --claims bm90IGpzb24": "base64", // no JSON
	} {
		if code, out, errOut := shim(strings.Fields(line)...); code == 0 || out != "" || !strings.Contains(errOut, want) {
			t.Errorf("%s: code %d, said %q, want %s", line, code, errOut, want)
		}
	}
}

// A user's tools ask for what the user may do, in as many scopes as it takes.
func TestShimsOfAUser(t *testing.T) {
	t.Parallel()
	var asked string
	shim := shimAs(t, Account{ClientID: "04b07795-8ddb-461a-bbee-02f9e1bf7b46", User: "dev@contoso.test"}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = string(body)
		fmt.Fprint(w, `{"status":"success","token":"t0k3n","expiresOn":"2026-12-01T10:00:00Z"}`)
	})
	for line, scopes := range map[string]string{
		"az account get-access-token --resource api://orders":                                           `"api://orders/.default"`,
		"az account get-access-token --scope api://orders/Orders.List":                                  `"api://orders/Orders.List"`,
		"az account get-access-token --scope api://orders/Orders.List --scope api://orders/Orders.Ship": `"api://orders/Orders.List","api://orders/Orders.Ship"`,
		"az account get-access-token --scope api://orders/Orders.List api://orders/Orders.Ship -o json": `"api://orders/Orders.List","api://orders/Orders.Ship"`,
		"azd auth token --scope api://orders/Orders.List --scope api://orders/Orders.Ship":              `"api://orders/Orders.List","api://orders/Orders.Ship"`,
	} {
		code, out, errOut := shim(strings.Fields(line)...)
		if want := `{"scopes":[` + scopes + `],"tenantId":"` + testTenant + `"}`; code != 0 || asked != want || !strings.Contains(out, "t0k3n") {
			t.Errorf("%s: code %d, asked %s, said %q", line, code, asked, errOut)
		}
	}
	for _, line := range []string{"az account show", "az account list"} {
		code, out, _ := shim(append(strings.Fields(line), "-o", "json")...)
		if code != 0 || !strings.Contains(out, `"name": "dev@contoso.test"`) || !strings.Contains(out, `"type": "user"`) {
			t.Errorf("%s: code %d, %s", line, code, out)
		}
	}
	if code, _, errOut := shim("azd", "auth", "token"); code != 1 || !strings.Contains(errOut, "--scope") {
		t.Errorf("without a scope: code %d, said %q", code, errOut)
	}
}

func TestShimsFailAsTheToolsDo(t *testing.T) {
	t.Parallel()
	shim := shimFor(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "signed-out") {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"status":"error","code":"NotSignedInError","message":"Who are you?"}`)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"status":"error","code":"GetTokenError","message":"AADSTS500011: no such API."}`)
	})
	for _, tt := range []struct {
		line string
		code int
		want string
	}{
		{"az account get-access-token --resource api://nothing", 1, "ERROR: AADSTS500011: no such API.\n"},
		{"az account get-access-token --resource api://signed-out", 1, "Please run 'az login' to setup account"},
		{"az account get-access-token", 1, "say which API"},
		{"az account get-access-token --resource a --scope b", 1, "not both"},
		{"az account get-access-token --scope a --scope b", 1, "exactly one"},
		{"az account get-access-token --scope a b", 1, "exactly one"},
		{"az account get-access-token --resource a --tenant contoso --subscription " + testTenant, 1, "not both"},
		{"az account get-access-token --resource-type arm", 1, "say which API"},
		{"az account get-access-token --resource a --tenant other", 1, "not to other"},
		{"az account get-access-token --resource a --subscription other", 1, "doesn't exist"},
		{"az account get-access-token --resource", 2, "expected one argument"},
		{"az account show --unknown", 2, "unrecognized arguments"},
		{"az account show --query [].x", 2, "this az knows queries"},
		{"az account show -o tsv", 2, "single values"},
		{"az account show -o yaml", 2, "formats json, tsv and none"},
		{"az login", 2, "rolecall stands in for it"},
		{"azd auth token -o json --scope api://nothing/.default", 1, `{"error":"AADSTS500011: no such API."`},
		{"azd auth token -o json --scope api://signed-out/.default", 1, "not logged in, run `azd auth login` to login"},
		{"azd auth token -o json", 1, "exactly one --scope"},
		{"azd auth token --scope a --tenant-id other", 1, "not to other"},
		{"azd up", 1, "rolecall stands in for azd"},
		{"azd --unknown", 1, "unrecognized"},
		{"pwsh", 2, "no shim"},
	} {
		code, out, errOut := shim(strings.Fields(tt.line)...)
		if code != tt.code || out != "" || !strings.Contains(errOut, tt.want) {
			t.Errorf("%s: code %d, printed %q, said %q; want %d and %q", tt.line, code, out, errOut, tt.code, tt.want)
		}
	}
}

func TestShimsWithoutTheirFile(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	code := RunShim(t.Context(), []string{filepath.Join(t.TempDir(), shimFile), "az", "account", "show"}, &out, &errOut)
	if code != 1 || !strings.Contains(errOut.String(), "az login") {
		t.Errorf("code %d, said %q", code, &errOut)
	}
	if code := RunShim(t.Context(), nil, &out, &errOut); code != 2 {
		t.Errorf("without arguments: code %d", code)
	}
}

func TestAccountsAreNotPrinted(t *testing.T) {
	t.Parallel()
	if text := fmt.Sprintf("%v %+v %#v", Account{Key: "canary"}, Account{Secret: "canary"}, Account{Key: "canary"}); strings.Contains(text, "canary") {
		t.Error(text)
	}
}

// The account holds secrets: nobody else reads it, whatever the folder lets them.
func TestShimsKeepTheirAccountToThemselves(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no modes here")
	}
	folder := t.TempDir()
	if err := WriteShims(folder, "/bin/rolecall", Account{Tenant: testTenant, Key: "the-key"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{shimFile: 0o600, "az": 0o700, "azd": 0o700} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != want {
			t.Errorf("%s has mode %04o, want %04o", name, mode, want)
		}
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if name != shimFile && strings.Contains(string(content), "the-key") {
			t.Errorf("%s would show the key among its arguments", name)
		}
	}
}
