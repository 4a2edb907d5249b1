package launch

import (
	"slices"
	"strings"
	"testing"
)

func TestEnvironmentDropsWhatContradicts(t *testing.T) {
	t.Parallel()
	got := Environment([]string{
		"HOME=/home/dev", "AZURE_CLIENT_SECRET=old", "AZURE_TENANT_ID=old", "IDENTITY_ENDPOINT=old", "IMDS_ENDPOINT=old", "ARM_CLIENT_ID=old",
		"AzureServicesAuthConnectionString=old", "MSAL_FORCE_REGION=old", "AZURE_STORAGE_ACCOUNT=kept", "SSL_CERT_FILE=old", "JAVA_TOOL_OPTIONS=-Xmx1g", "=C:=odd",
	}, []Variable{{"AZURE_TENANT_ID", "t"}, {"SSL_CERT_FILE", "bundle"}, {"JAVA_TOOL_OPTIONS", "-Dtrust"}})
	want := []string{"HOME=/home/dev", "AZURE_STORAGE_ACCOUNT=kept", "=C:=odd", "AZURE_TENANT_ID=t", "SSL_CERT_FILE=bundle", "JAVA_TOOL_OPTIONS=-Xmx1g -Dtrust"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	again := Environment(got, []Variable{{"JAVA_TOOL_OPTIONS", "-Xmx1g -Dtrust"}})
	if again[len(again)-1] != "JAVA_TOOL_OPTIONS=-Xmx1g -Dtrust" {
		t.Errorf("a run inside a run repeats Java's options: %q", again)
	}
}

func TestContradicting(t *testing.T) {
	t.Parallel()
	inherited := []string{"HOME=/home/dev", "IDENTITY_ENDPOINT=old", "AZURE_CLIENT_SECRET=old", "AZURE_TENANT_ID=old", "ARM_CLIENT_SECRET=old", "AZURE_STORAGE_ACCOUNT=kept"}
	got := Contradicting(inherited, []Variable{{"AZURE_TENANT_ID", "t"}})
	if want := []string{"ARM_CLIENT_SECRET", "AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Where a proxy of ours leads, a cloud's name or another proxy would lead elsewhere.
func TestContradictingAProxy(t *testing.T) {
	t.Parallel()
	inherited := []string{"AZURE_CLOUD_NAME=rolecall", "ALL_PROXY=http://corp.test", "NO_PROXY=*", "https_proxy=http://corp.test", "AZURE_AUTHORITY_HOST=https://left.over.test", "HOME=/"}
	ours := []Variable{{"HTTPS_PROXY", "http://127.0.0.1:1"}, {"https_proxy", "http://127.0.0.1:1"}, {"NO_PROXY", "localhost"}}
	if got, want := strings.Join(Contradicting(inherited, ours), " "), "ALL_PROXY AZURE_AUTHORITY_HOST AZURE_CLOUD_NAME"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := strings.Join(Contradicting(inherited[:1], nil), " "); got != "" {
		t.Errorf("without a proxy of ours: %s", got)
	}
}

// Programs reach some hosts without the proxy.
func TestProxyVariablesWithExceptions(t *testing.T) {
	t.Parallel()
	variables, lost, err := ProxyVariables(t.TempDir(), []string{"NO_PROXY=db.corp.test,localhost"}, "http://run:x@172.17.0.1:1", []string{"login.microsoftonline.com"}, "host.docker.internal", "172.17.0.1", "localhost")
	if err != nil || len(lost) > 0 {
		t.Fatalf("%v, lost %q", err, lost)
	}
	found := map[string]string{}
	for _, v := range variables {
		found[v.Name] = v.Value
	}
	if want := "db.corp.test,localhost,127.0.0.1,::1,[::1],host.docker.internal,172.17.0.1"; found["NO_PROXY"] != want || found["no_proxy"] != want {
		t.Errorf("the exceptions are %q and %q, want %q", found["NO_PROXY"], found["no_proxy"], want)
	}
	if found["https_proxy"] != "http://run:x@172.17.0.1:1" || found["NODE_USE_ENV_PROXY"] != "1" || !strings.Contains(found[javaOptions], "-Dhttp.nonProxyHosts=db.corp.test|localhost|127.0.0.1|::1|[::1]|host.docker.internal|172.17.0.1|") {
		t.Errorf("got %q", found)
	}
}

func TestNoProxy(t *testing.T) {
	t.Parallel()
	got := NoProxy([]string{"HTTPS_PROXY=http://proxy.corp.test:3128", "no_proxy=.corp.test"})
	if want := []Variable{{"NO_PROXY", ".corp.test,localhost,127.0.0.1,::1,[::1]"}, {"no_proxy", ".corp.test,localhost,127.0.0.1,::1,[::1]"}}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, inherited := range [][]string{nil, {"NO_PROXY=.corp.test"}, {"HTTP_PROXY=x", "NO_PROXY=localhost,127.0.0.1,::1,[::1]", "no_proxy=localhost,127.0.0.1,::1,[::1]"}} {
		if got := NoProxy(inherited); got != nil {
			t.Errorf("%q: got %q, want nothing", inherited, got)
		}
	}
}

func TestFirstInPath(t *testing.T) {
	t.Parallel()
	if got := FirstInPath(nil, "/shims"); got != (Variable{"PATH", "/shims"}) {
		t.Errorf("without a path: %q", got)
	}
	if got := FirstInPath([]string{"HOME=/", "PATH=/bin"}, "/shims"); got.Value[:len("/shims")] != "/shims" || len(got.Value) != len("/shims:/bin") {
		t.Errorf("with a path: %q", got)
	}
}

func TestEnvironmentKeepsThisMachineFromProxies(t *testing.T) {
	t.Parallel()
	got := Environment([]string{"HTTPS_PROXY=http://proxy.corp.test:3128", "NO_PROXY=.corp.test"}, nil)
	want := []string{
		"HTTPS_PROXY=http://proxy.corp.test:3128",
		"NO_PROXY=.corp.test,localhost,127.0.0.1,::1,[::1]", "no_proxy=.corp.test,localhost,127.0.0.1,::1,[::1]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if again := Environment(got, nil); !slices.Equal(again, want) {
		t.Errorf("again: got %q, want %q", again, want)
	}
	if got := Environment([]string{"NO_PROXY=.corp.test"}, nil); !slices.Equal(got, []string{"NO_PROXY=.corp.test"}) {
		t.Errorf("without a proxy: got %q", got)
	}
	if got := Environment([]string{"HTTP_PROXY=", "NO_PROXY=.corp.test"}, nil); !slices.Equal(got, []string{"HTTP_PROXY=", "NO_PROXY=.corp.test"}) {
		t.Errorf("with an empty proxy: got %q", got)
	}
	// Where no host has a proxy there is none, because .NET does not know the asterisk.
	for _, exceptions := range [][]string{{"no_proxy=*"}, {"NO_PROXY= * "}, {"NO_PROXY=*", "no_proxy=*"}, {"NO_PROXY=*", "no_proxy="}} {
		proxied := append([]string{"A=b", "http_proxy=http://proxy.corp.test:3128", "HTTPS_PROXY=http://proxy.corp.test:3128", "ALL_PROXY=x"}, exceptions...)
		if got := Environment(proxied, nil); !slices.Equal(got, []string{"A=b"}) {
			t.Errorf("%q: got %q, want no proxies", exceptions, got)
		}
		if got := Contradicting(proxied, nil); !slices.Contains(got, "http_proxy") || !slices.Contains(got, "HTTPS_PROXY") || !slices.Contains(got, "ALL_PROXY") || slices.Contains(got, "A") {
			t.Errorf("%q: %q are to be unset, want the proxies", exceptions, got)
		}
		if got := NoProxy(proxied); got != nil {
			t.Errorf("%q: got %q, want nothing", exceptions, got)
		}
	}
	if got := Contradicting(want, nil); got != nil {
		t.Errorf("%q are to be unset, want nothing", got)
	}
	// It means every host only while it stands alone, to curl and Python.
	some := Environment([]string{"http_proxy=x", "no_proxy=*,.corp.test"}, nil)
	if !slices.Contains(some, "http_proxy=x") || !slices.Contains(some, "no_proxy=*,.corp.test,"+thisMachine) {
		t.Errorf("some hosts have none: got %q", some)
	}
}

func TestServiceFabricsVariablesAreLeftToNobody(t *testing.T) {
	t.Parallel()
	if got := Environment([]string{"IDENTITY_API_VERSION=2020-05-01", "IDENTITY_SERVER_THUMBPRINT=x"}, nil); len(got) != 0 {
		t.Errorf("%q are left", got)
	}
}
