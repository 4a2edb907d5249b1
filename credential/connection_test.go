package credential

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"pgregory.net/rapid"
)

const connectionApp = "RunAs=App;AppId=" + testClient + ";TenantId=" + testTenant + ";"

func TestParseSecret(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	quoted := `"` + strings.ReplaceAll(testSecret, `"`, `""`) + `"`
	for name, text := range map[string]string{
		"plain":       connectionApp + "AppKey=" + quoted,
		"any case":    "runas=APP;APPID=" + testClient + ";tenantid=" + testTenant + ";appkey=" + quoted,
		"white space": " ; RunAs = App ;\n AppId\t= " + testClient + "; TenantId =" + testTenant + ";; AppKey = " + quoted + " ; \x00\x00",
		"any order":   "AppKey=" + quoted + ";TenantId=" + testTenant + ";AppId=" + testClient + ";RunAs=App",
	} {
		t.Run(name, func(t *testing.T) {
			cred, err := Parse(text, a.options(t))
			if err != nil {
				t.Fatal(err)
			}
			before := len(a.seen())
			if _, err := cred.GetToken(t.Context(), scoped(testScope)); err != nil {
				t.Fatal(err)
			}
			if got := a.seen()[before].form.Get("client_secret"); got != testSecret {
				t.Errorf("the secret arrived as %q", got)
			}
		})
	}
}

// The original put its instance and the tenant together, and so wanted a slash at the end.
func TestParseTakesAnInstanceAsTheOriginalDid(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	for _, instance := range []string{a.URL, a.URL + "/", strings.Replace(a.URL, "https", "HTTPS", 1) + "/"} {
		opts := a.options(t)
		opts.AuthorityHost = instance
		cred, err := Parse(connectionApp+"AppKey=x", opts)
		if err == nil {
			_, err = cred.GetToken(t.Context(), scoped(testScope))
		}
		if err != nil {
			t.Errorf("%s: %v", instance, err)
		}
	}
}

func TestParseCertificate(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	dir := t.TempDir()
	now := time.Now()
	expired := newCertificate(t, "orders-client", now.Add(-48*time.Hour))
	older := newCertificate(t, "orders-client", now.Add(-2*time.Hour))
	newer := newCertificate(t, "orders-client", now.Add(-time.Hour))
	for name, content := range map[string][]byte{
		"expired.pem": pemOf(t, expired), "older.PEM": pemOf(t, older), "newer.pem": pemOf(t, newer),
		"public-only.pem": certificatePEM(newer.Chain[0]), "notes.txt": []byte("no certificate"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	digest := thumbprint(older.Chain[0])
	for name, text := range map[string]string{
		"thumbprint":            fmt.Sprintf("CertificateThumbprint=%x;CertificateStoreLocation=CurrentUser", digest),
		"thumbprint as copied":  fmt.Sprintf("CertificateThumbprint='\u200e% X';CertificateStoreLocation=localmachine", digest),
		"thumbprint wins":       fmt.Sprintf("CertificateThumbprint=%x;CertificateSubjectName=CN=other;CertificateStoreLocation=CurrentUser", digest),
		"distinguished name":    "CertificateSubjectName=CN=orders-client;CertificateStoreLocation=CurrentUser",
		"common name":           "CertificateSubjectName=Orders-Client;CertificateStoreLocation=LocalMachine",
		"file":                  "CertificateFile=" + filepath.Join(dir, "newer.pem"),
		"file with a semicolon": `CertificateFile="` + writeFile(t, "a;b.pem", pemOf(t, newer)) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			opts := a.options(t)
			opts.CertificateDir = dir
			cred, err := Parse(connectionApp+text, opts)
			if err != nil {
				t.Fatal(err)
			}
			before := len(a.seen())
			if _, err := cred.GetToken(t.Context(), scoped(testScope)); err != nil {
				t.Fatal(err)
			}
			want := newer
			if strings.HasPrefix(name, "thumbprint") {
				want = older
			}
			var header struct {
				Thumbprint string   `json:"x5t#S256"`
				Chain      []string `json:"x5c"`
			}
			decode(t, strings.Split(a.seen()[before].form.Get("client_assertion"), ".")[0], &header)
			digest := sha256.Sum256(want.Chain[0].Raw)
			if header.Thumbprint != base64.StdEncoding.EncodeToString(digest[:]) {
				t.Error("signed with another certificate")
			}
			if withChain := !strings.HasPrefix(name, "file"); (len(header.Chain) > 0) != withChain {
				t.Errorf("chain of %d sent, want one: %t", len(header.Chain), withChain)
			}
		})
	}
}

func TestParseErrorsNameThePart(t *testing.T) {
	t.Parallel()
	startAuthority(t)
	thumb := strings.Repeat("ab", 20)
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "it is empty"},
		{"blank", " ; ;\n", "it is empty"},
		{"no RunAs", "AppId=a", "RunAs is missing"},
		{"unknown RunAs", "RunAs=Canary", "value of RunAs is not known"},
		{"forgotten semicolon", "RunAs=App AppKey=canary", "value of RunAs is not known"},
		{"no equals sign", "RunAs=App;AppId", "part 2 is not of the form"},
		{"no key", "RunAs=App;=canary", "part 2 has no key"},
		{"unknown key", "RunAs=App;AppKy=canary", `part 2 has the unknown key "AppKy"`},
		{"a value gone astray", "RunAs=App;canary-value with blanks=x", "part 2 has no known key"},
		{"twice", "RunAs=App;AppId=canary;APPID=canary", "AppId is given twice"},
		{"empty value", "RunAs=App;AppId=;TenantId=t", "AppId is empty"},
		{"empty quoted value", `RunAs=App;AppId="";TenantId=t`, "AppId is empty"},
		{"open quote", `RunAs="App`, `closing "`},
		{"text after quote", `RunAs="App"canary`, "part 1 goes on after the closing"},
		{"control character in value", "RunAs=App;AppKey=can\x01ary", "part 2 has a control character"},
		{"bare value that ends with a quote", connectionApp + `AppKey=canary"`, "ends with a quote"},
		{"blank value in quotes", connectionApp + `AppKey="  "`, "AppKey is empty"},
		{"control character in key", "RunAs=App;App\x01Key=canary", "part 2 has a control character"},
		{"secret with a bare semicolon", connectionApp + "AppKey=x;canary", "part 5 is not of the form"},
		{"secret with a semicolon and an equals sign", connectionApp + "AppKey=x;canary=y", "belongs to the value of AppKey"},
		{"no AppId", "RunAs=App;TenantId=t;AppKey=canary", "AppId is missing"},
		{"no TenantId", "RunAs=App;AppId=a;AppKey=canary", "TenantId is missing"},
		{"nothing that proves", "RunAs=App;AppId=a;TenantId=t", "one of AppKey, CertificateThumbprint"},
		{"secret and file", connectionApp + "AppKey=canary;CertificateFile=canary", "AppKey has no effect together with CertificateFile"},
		{"secret and store", connectionApp + "AppKey=canary;CertificateThumbprint=" + thumb + ";CertificateStoreLocation=CurrentUser", "AppKey has no effect"},
		{"thumbprint without location", connectionApp + "CertificateThumbprint=" + thumb, "CertificateStoreLocation is missing"},
		{"location alone", connectionApp + "CertificateStoreLocation=CurrentUser", "CertificateThumbprint or CertificateSubjectName must be present"},
		{"unknown location", connectionApp + "CertificateThumbprint=" + thumb + ";CertificateStoreLocation=canary", "value of CertificateStoreLocation is not known"},
		{"bad thumbprint", connectionApp + "CertificateThumbprint=canary;CertificateStoreLocation=CurrentUser", "CertificateThumbprint must be the SHA-1"},
		{"no store", connectionApp + "CertificateThumbprint=" + thumb + ";CertificateStoreLocation=CurrentUser", "ROLECALL_CERTIFICATES"},
		{"no such file", connectionApp + "CertificateFile=/canary", "CertificateFile: no such file"},
		{"password alone", connectionApp + "CertificatePassword=canary", "CertificateFile is missing"},
		{"key vault", "RunAs=App;AppId=a;KeyVaultCertificateSecretIdentifier=https://v/secrets/s", "not supported"},
		{"key vault before a secret", connectionApp + "AppKey=canary;KeyVaultCertificateSecretIdentifier=https://v/secrets/s", "not supported"},
		{"store before a key vault", connectionApp + "KeyVaultCertificateSecretIdentifier=canary;CertificateThumbprint=" + thumb + ";CertificateStoreLocation=CurrentUser", "KeyVaultCertificateSecretIdentifier has no effect together with CertificateStoreLocation"},
		{"subject without location before a key vault", connectionApp + "KeyVaultCertificateSecretIdentifier=canary;CertificateSubjectName=CN=x", "CertificateStoreLocation is missing"},
		{"blank location", connectionApp + "CertificateThumbprint=" + thumb + ";CertificateStoreLocation=' '", "CertificateStoreLocation is empty"},
		{"current user with other keys", "RunAs=CurrentUser;AppId=a", ".NET Framework only"},
		{"in double quotes", `"RunAs=App;AppKey=canary"`, "the quotes stand around the whole string: leave them out"},
		{"in single quotes", `'RunAs=App;AppKey="canary"' ` + "\x00", "the quotes stand around the whole string: leave them out"},
		{"in typographic quotes", "“RunAs=App;AppKey=canary”", "the quotes stand around the whole string: leave them out"},
		{"in quotes of which one is lost", `"RunAs=App;AppKey=canary`, "a quote stands before the whole string"},
		{"in quotes that end with a quoted value", `"RunAs=App;AppKey="canary""`, "the quotes stand around the whole string: leave them out"},
		{"quote at the end alone", `RunAs=App;AppKey=canary"`, "ends with a quote"},
		{"byte order mark", byteOrderMark + "RunAs=App;AppKey=canary", "byte order mark"},
		{"byte order mark in quotes", byteOrderMark + `"RunAs=App;AppKey=canary"`, "byte order mark"},
		{"with the variable's name", "AzureServicesAuthConnectionString=RunAs=App;AppKey=canary", "give what follows its equals sign"},
		{"as a shell's export", "export AzureServicesAuthConnectionString='RunAs=App;AppKey=canary'", "give what follows its equals sign"},
		{"tenant in braces", "RunAs=App;AppId=a;TenantId={11111111-1111-4111-8111-111111111111};AppKey=canary", "TenantId has characters that no tenant has"},
		{"tenant as a URL", "RunAs=App;AppId=a;TenantId=https://login.microsoftonline.com/t;AppKey=canary", "TenantId has characters that no tenant has"},
		{"no managed identity", "RunAs=App", "IDENTITY_ENDPOINT"},
		{"no user-assigned identity", "RunAs=App;AppId=a", "IDENTITY_ENDPOINT"},
		{"bad time-out", "RunAs=App;MsiRetryTimeout=-1", "whole number of seconds"},
		{"time-out in words", "RunAs=App;AppId=a;MsiRetryTimeout=5s", "whole number of seconds"},
		{"no tool", "RunAs=Developer", "DeveloperTool is missing"},
		{"unknown tool", "RunAs=Developer;DeveloperTool=canary", "value of DeveloperTool is not known"},
		{"Visual Studio", "RunAs=Developer;DeveloperTool=VisualStudio", "Windows only"},
		{"tool with a key", "RunAs=Developer;DeveloperTool=AzureCli;AppKey=canary", "AppKey has no effect"},
		{"current user", "RunAs=CurrentUser", ".NET Framework only"},
		{"too long", "RunAs=App;AppKey=" + strings.Repeat("x", maxConnection), "plausible"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.text, nil)
			if c := Describe(tt.text); err != nil && (c.Err == nil || !strings.HasSuffix(err.Error(), c.Err.Error())) && (c.Here == nil || !strings.HasSuffix(err.Error(), c.Here.Error())) {
				t.Errorf("Describe says %v and %v where Parse says %v", c.Err, c.Here, err)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "\n") {
				t.Errorf("repeats a value or is longer than a line: %v", err)
			}
		})
	}
}

// The rules are those of ADO.NET.
func TestConnectionGrammar(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]pair{
		"a=b":                           {{"a", "b"}},
		"a=b;c=d":                       {{"a", "b"}, {"c", "d"}},
		" ; a = b ;; c\t=\nd ; ":        {{"a", "b"}, {"c", "d"}},
		"a b=c  d":                      {{"a b", "c  d"}},
		"a=b=c":                         {{"a", "b=c"}},
		"a==b=c":                        {{"a=b", "c"}},
		"a====b=c":                      {{"a==b", "c"}},
		"a=b\x00\x00":                   {{"a", "b"}},
		"a=b \x00 \x00\n":               {{"a", "b"}},
		`a="b"` + "\x00":                {{"a", "b"}},
		`a="b;c"`:                       {{"a", "b;c"}},
		`a=" b "`:                       {{"a", " b "}},
		`a="b""c"`:                      {{"a", `b"c`}},
		`a='b''c'`:                      {{"a", "b'c"}},
		`a='b"c' ; d="e'f"`:             {{"a", `b"c`}, {"d", "e'f"}},
		"a=\"b\x01\tc\"":                {{"a", "b\x01\tc"}},
		"a=b\tc\nd":                     {{"a", "b\tc\nd"}},
		`a=b"c'd`:                       {{"a", `b"c'd`}},
		"a=;b=''":                       {{"a", ""}, {"b", ""}},
		"a=b;" + strings.Repeat(";", 9): {{"a", "b"}},
	} {
		got, err := lexConnection(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"a", "a;b=c", "=b", " =b", "==", "a==b", `a="b`, `a='b`, `a="b"c`, `a='b' 'c'`, `a=b"`, "a=b'", "a=\x00b", "a=b\x00c", "a\x01=b"} {
		if got, err := lexConnection(text); err == nil {
			t.Errorf("%q is read as %q", text, got)
		}
	}
}

// While a certificate is being replaced, the authority may know the old one only, or no
// longer.
func TestParseTriesTheNewestCertificateFirst(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	dir, now := t.TempDir(), time.Now()
	older, newer := newCertificate(t, "orders-client", now.Add(-2*time.Hour)), newCertificate(t, "orders-client", now.Add(-time.Hour))
	for name, c := range map[string]Certificate{"a.pem": newer, "b.pem": older} {
		if err := os.WriteFile(filepath.Join(dir, name), pemOf(t, c), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var known *Certificate // the one that is registered
	var asked []string
	a.answer = func(w http.ResponseWriter, r tokenRequest) {
		var header struct {
			Thumbprint string `json:"x5t#S256"`
		}
		decode(t, strings.Split(r.form.Get("client_assertion"), ".")[0], &header)
		for name, c := range map[string]*Certificate{"older": &older, "newer": &newer} {
			if digest := sha256.Sum256(c.Chain[0].Raw); header.Thumbprint == base64.StdEncoding.EncodeToString(digest[:]) {
				asked = append(asked, name)
				if c == known {
					fmt.Fprint(w, `{"token_type":"Bearer","expires_in":1,"access_token":"`+name+`"}`) // too short to be kept
					return
				}
			}
		}
		refuse(http.StatusUnauthorized, 700027, "invalid_client", "The certificate is not registered.")(w, r)
	}
	opts := a.options(t)
	opts.CertificateDir = dir
	cred, err := Parse(connectionApp+"CertificateSubjectName=CN=orders-client;CertificateStoreLocation=CurrentUser", opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		known *Certificate
		want  []string
	}{
		{&older, []string{"newer", "older"}},
		{&older, []string{"older"}},
		{&newer, []string{"older", "newer"}},
		{&newer, []string{"newer"}},
		{nil, []string{"newer", "newer", "older"}},
	} {
		known, asked = step.known, nil
		token, err := cred.GetToken(t.Context(), scoped(testScope))
		if !slices.Equal(asked, step.want) || (err == nil) != (known != nil) || known != nil && token.Token != step.want[len(step.want)-1] {
			t.Errorf("asked with %q, got %q, %v; want %q", asked, token.Token, err, step.want)
		}
	}
}

func TestMSIRetryTimeoutOfZeroSetsNoLimit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		limit time.Duration
		given bool
	}{
		"RunAs=App":                   {0, false},
		"RunAs=App;MsiRetryTimeout=0": {0, true},
		"RunAs=App;msiretrytimeout=7": {7 * time.Second, true},
	} {
		parts, err := readConnection(text)
		if err != nil {
			t.Fatal(err)
		}
		if limit, given := parts.retryTimeout(); limit != want.limit || given != want.given {
			t.Errorf("%s: got %v, %t", text, limit, given)
		}
	}
}

func TestParseDeveloper(t *testing.T) {
	t.Parallel()
	startAuthority(t)
	if _, err := Parse("RunAs=Developer;DeveloperTool=azurecli", nil); err != nil {
		t.Error(err)
	}
}

func TestParseManagedIdentity(t *testing.T) {
	startAuthority(t)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // nothing may go there
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Identity-Header") != "header-secret" || r.URL.Query().Get("resource") != "api://orders" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"statusCode":400,"message":"Not for you."}`)
			return
		}
		fmt.Fprintf(w, `{"access_token":"mi-%s","token_type":"Bearer","resource":"api://orders","expires_in":"3600","expires_on":"%d"}`,
			r.URL.Query().Get("client_id"), time.Now().Unix()+3600)
	}))
	defer endpoint.Close()
	t.Setenv("IDENTITY_ENDPOINT", endpoint.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "header-secret")
	for text, want := range map[string]string{
		"RunAs=App":                           "mi-",
		"RunAs=App;AppId=a;MsiRetryTimeout=5": "mi-a",
	} {
		cred, err := Parse(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := cred.GetToken(t.Context(), scoped(testScope))
		if err != nil || token.Token != want {
			t.Errorf("%s: got %q, %v", text, token.Token, err)
		}
	}
	t.Setenv("IDENTITY_HEADER", "wrong")
	cred, err := Parse("RunAs=App;AppId=b", nil) // MSAL keeps the other tokens for the whole process
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cred.GetToken(t.Context(), scoped(testScope)); err == nil || !strings.Contains(err.Error(), "Not for you.") {
		t.Errorf("got %v", err)
	}
}

func TestManagedIdentityIsNeverProbed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env  []string
		want bool
	}{
		"nothing":            {nil, false},
		"endpoint alone":     {[]string{"IDENTITY_ENDPOINT"}, false},
		"header alone":       {[]string{"IDENTITY_HEADER"}, false},
		"App Service":        {[]string{"IDENTITY_ENDPOINT", "IDENTITY_HEADER"}, true},
		"Arc":                {[]string{"IDENTITY_ENDPOINT", "IMDS_ENDPOINT"}, true},
		"Cloud Shell":        {[]string{"MSI_ENDPOINT"}, true},
		"metadata host only": {[]string{"AZURE_POD_IDENTITY_AUTHORITY_HOST"}, false},
	} {
		env := func(key string) string {
			if slices.Contains(tt.env, key) {
				return "x"
			}
			return ""
		}
		if got := managedIdentityNamed(env); got != tt.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

// formatConnection is the inverse of lexConnection, in the quoting that always works.
func formatConnection(pairs []pair) string {
	var b strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&b, `%s="%s";`, strings.ReplaceAll(p.key, "=", "=="), strings.ReplaceAll(p.value, `"`, `""`))
	}
	return b.String()
}

func TestConnectionRoundTrip(t *testing.T) {
	t.Parallel()
	key := rapid.StringMatching(`[A-Za-z]([A-Za-z =.-]{0,20}[A-Za-z.-])?`)
	rapid.Check(t, func(t *rapid.T) {
		pairs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pair {
			return pair{key: key.Draw(t, "key"), value: rapid.String().Draw(t, "value")}
		}), 0, 8).Draw(t, "pairs")
		got, err := lexConnection(formatConnection(pairs))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, pairs) {
			t.Fatalf("got %q, want %q", got, pairs)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		connectionApp + "AppKey=canary-secret", connectionApp + `AppKey="a;""b"`, connectionApp + "AppKey='it''s'",
		"RunAs=App", "RunAs=Developer;DeveloperTool=AzureCli", "RunAs=CurrentUser", connectionApp + "CertificateFile=x",
		connectionApp + "CertificateThumbprint=00;CertificateStoreLocation=CurrentUser", "a==b=c", ";;;", "RunAs", "\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pairs, err := lexConnection(text)
		if err == nil {
			again, err := lexConnection(formatConnection(pairs))
			if err != nil || !slices.Equal(again, pairs) {
				t.Errorf("%q reads as %q, and formatted as %q (%v)", text, pairs, again, err)
			}
		}
		for _, p := range pairs { // no file of this machine is of interest here
			if key := knownKey(p.key); key == keyFile || key == keyStoreLocation {
				return
			}
		}
		cred, err := Parse(text, &Options{AuthorityHost: "https://localhost:8443"})
		if (cred == nil) == (err == nil) {
			t.Errorf("got credential %v and error %v", cred, err)
		}
		if err == nil {
			return
		}
		for _, p := range pairs {
			if secret := p.value; len(secret) > 12 && strings.EqualFold(p.key, keyAppKey) &&
				strings.Contains(err.Error(), secret) {
				t.Errorf("%q: the error repeats a secret: %v", text, err)
			}
		}
	})
}

func TestParseEnvironment(t *testing.T) {
	a := startAuthority(t)
	quoted := `"` + strings.ReplaceAll(testSecret, `"`, `""`) + `"`
	t.Setenv(envConnection, connectionApp+"AppKey="+quoted)
	cred, err := ParseEnvironment(a.options(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cred.GetToken(t.Context(), scoped(testScope)); err != nil {
		t.Error(err)
	}
	t.Setenv(envConnection, "RunAs=App;AppKey=canary")
	if _, err := ParseEnvironment(nil); err == nil || !strings.Contains(err.Error(), envConnection) || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
}

func TestParseEnvironmentDiscovers(t *testing.T) {
	startAuthority(t)
	asked := 0
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		fmt.Fprintf(w, `{"access_token":"found","token_type":"Bearer","resource":"api://discovered","expires_on":"%d"}`, time.Now().Unix()+3600)
	}))
	defer endpoint.Close()
	api := "api://" + rand.Text() // the library keeps tokens for as long as the process lives
	t.Setenv(envConnection, "  ")
	t.Setenv("IDENTITY_ENDPOINT", endpoint.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "x")
	cred, err := ParseEnvironment(nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		token, err := cred.GetToken(t.Context(), scoped(api+"/.default"))
		if err != nil || token.Token != "found" {
			t.Errorf("got %q, %v", token.Token, err)
		}
	}
	if asked == 0 {
		t.Error("the managed identity was not asked")
	}
}

func TestDiscoveryKeepsToWhatWorked(t *testing.T) {
	t.Parallel()
	var asked []string
	one := func(name string, works *bool) azcore.TokenCredential {
		return credentialFunc(func() (azcore.AccessToken, error) {
			asked = append(asked, name)
			if !*works {
				return azcore.AccessToken{}, errors.New(name + " does not work")
			}
			return azcore.AccessToken{Token: name}, nil
		})
	}
	never, works := false, false
	chain := &discovery{all: []azcore.TokenCredential{one("first", &never), one("second", &works)}}
	if _, err := chain.GetToken(t.Context(), scoped(testScope)); err == nil || !strings.Contains(err.Error(), "first") || !strings.Contains(err.Error(), "second") {
		t.Errorf("got %v, want what each says", err)
	}
	works = true
	for range 2 {
		if token, err := chain.GetToken(t.Context(), scoped(testScope)); err != nil || token.Token != "second" {
			t.Errorf("got %q, %v", token.Token, err)
		}
	}
	if want := []string{"first", "second", "first", "second", "second"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

type credentialFunc func() (azcore.AccessToken, error)

func (f credentialFunc) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return f()
}

func TestMSIRetryTimeoutEndsTheTries(t *testing.T) {
	startAuthority(t)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer endpoint.Close()
	t.Setenv("IDENTITY_ENDPOINT", endpoint.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "x")
	cred, err := Parse("RunAs=App;AppId=never;MsiRetryTimeout=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cred.GetToken(t.Context(), scoped(testScope)); err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
		t.Errorf("got %v, want that the time is over", err)
	}
}

func TestDescribeKeepsNoSecret(t *testing.T) {
	t.Parallel()
	c := Describe(connectionApp + "AppKey=canary")
	if c.Err != nil || c.Kind != ConnectionSecret || c.Value("appid") != testClient || c.Value("AppKey") != "" {
		t.Errorf("got %+v", c)
	}
	if strings.Contains(fmt.Sprintf("%+v", c), "canary") {
		t.Error("the secret is in the description")
	}
	if c := Describe("RunAs=App;KeyVaultCertificateSecretIdentifier=x;KeyVaultUserAssignedManagedIdentityId=y"); c.Kind != ConnectionKeyVault || c.Err == nil {
		t.Errorf("got %+v", c)
	}
}

// The verdict of Describe is that of Parse, down to the file that a string names.
func TestDescribeLooksIntoTheFile(t *testing.T) {
	a := startAuthority(t)
	good := writeFile(t, "good.pem", pemOf(t, newCertificate(t, "orders-client", time.Now())))
	for text, accepted := range map[string]bool{
		"CertificateFile=" + good:                           true,
		"CertificateFile=" + writeFile(t, "empty.pem", nil): false,
		"CertificateFile=" + t.TempDir():                    false,
		"CertificateFile=testdata/certificates/openssl3.p12;CertificatePassword=" + filePassword:  true,
		"CertificateFile=testdata/certificates/openssl3.p12;CertificatePassword=canary":           false,
		"CertificateFile=testdata/certificates/openssl3.p12":                                      false,
		"CertificateFile=testdata/certificates/client.cer":                                        false,
		"CertificateFile=testdata/certificates/aes256.pem;CertificatePassword=" + filePassword:    true,
		"CertificateFile=testdata/certificates/traditional.pem;CertificatePassword=" + "canary":   false,
		"CertificateFile=testdata/certificates/none.pem;CertificatePassword=" + filePassword:      false,
		"CertificateThumbprint=canary;CertificateStoreLocation=CurrentUser":                       false,
		"CertificateThumbprint=" + strings.Repeat("ab", 20) + ";CertificateStoreLocation=Nowhere": false,
	} {
		_, err := Parse(connectionApp+text, a.options(t))
		c := Describe(connectionApp + text)
		if (err == nil) != accepted || (c.Err == nil) != accepted {
			t.Errorf("%s: Parse says %v, Describe %v; want accepted %t", text, err, c.Err, accepted)
		}
		if strings.Contains(fmt.Sprint(err, c.Err), "canary") {
			t.Errorf("%s: the password is in %v, %v", text, err, c.Err)
		}
	}
	t.Setenv(envCertificates, "")
	if c := Describe(connectionApp + "CertificateSubjectName=CN=x;CertificateStoreLocation=CurrentUser"); c.Err != nil || c.Here == nil {
		t.Errorf("no store: got %v, %v; want that this machine is in the way", c.Err, c.Here)
	}
	t.Setenv(envCertificates, filepath.Dir(good))
	if c := Describe(connectionApp + "CertificateSubjectName=orders-client;CertificateStoreLocation=CurrentUser"); c.Err != nil || c.Here != nil {
		t.Errorf("in the store: got %v, %v", c.Err, c.Here)
	}
	t.Setenv("IDENTITY_ENDPOINT", "")
	t.Setenv("MSI_ENDPOINT", "")
	if c := Describe("RunAs=App"); c.Err != nil || c.Here == nil {
		t.Errorf("no managed identity: got %v, %v", c.Err, c.Here)
	}
}

// Strings for .NET alone are none of Parse's, and the other way round.
func TestDescribeTellsWhatDotNetWouldDo(t *testing.T) {
	t.Parallel()
	store := connectionApp + "CertificateThumbprint=" + strings.Repeat("ab", 20) + ";CertificateStoreLocation="
	for _, tt := range []struct {
		text  string
		takes map[string]bool // by system; all others: no
	}{
		{connectionApp + "AppKey=x", map[string]bool{"linux": true, "darwin": true, "windows": true}},
		{"RunAs=App", map[string]bool{"linux": true, "darwin": true, "windows": true}},
		{"RunAs=Developer;DeveloperTool=AzureCli", map[string]bool{"linux": true, "darwin": true, "windows": true}},
		{"RunAs=App;AppId=a;KeyVaultCertificateSecretIdentifier=https://v/secrets/s", map[string]bool{"linux": true, "darwin": true, "windows": true}},
		{store + "CurrentUser", map[string]bool{"linux": true, "darwin": true, "windows": true}},
		{store + "LocalMachine", map[string]bool{"darwin": true, "windows": true}},
		{"RunAs=Developer;DeveloperTool=VisualStudio", map[string]bool{"windows": true}},
		{"RunAs=CurrentUser", map[string]bool{"windows": true}},
		{connectionApp + "CertificateFile=x", nil},
	} {
		parts, err := readConnection(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, system := range []string{"linux", "darwin", "windows"} {
			if err := parts.dotNet(parts.kind(), system); (err == nil) != tt.takes[system] {
				t.Errorf("%s on %s: %v", tt.text, system, err)
			}
		}
	}
	if c := Describe("RunAs=Canary"); c.DotNet == nil {
		t.Error("an unknown kind is taken")
	}
}
