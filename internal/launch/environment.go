package launch

import (
	"cmp"
	"os"
	"runtime"
	"slices"
	"strings"
)

// A Variable is one of an environment.
type Variable struct{ Name, Value string }

// OnlyCredential is the variable that names the one credential that DefaultAzureCredential
// is to try, which spares it its probes. All languages take the names in any case; of dev
// and prod, Go takes that spelling alone.
const OnlyCredential = "AZURE_TOKEN_CREDENTIALS" //nolint:gosec // G101: the name of a variable

// identityVariables are those by which Azure's libraries, of all languages, find out who
// they act as and where to get tokens. An inherited one would conflict with ours, or be
// tried first. It is never written to.
var identityVariables = []string{
	"AZURE_ADDITIONALLY_ALLOWED_TENANTS", "AZURE_AUTHORITY_HOST", "AZURE_CERTIFICATE_PASSWORD", "AZURE_CERTIFICATE_PATH",
	"AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET",
	"AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_IDENTITY_DISABLE_MULTITENANTAUTH",
	"AZURE_KUBERNETES_CA_DATA", "AZURE_KUBERNETES_CA_FILE", "AZURE_KUBERNETES_SNI_NAME", "AZURE_KUBERNETES_TOKEN_PROXY",
	"AZURE_PASSWORD", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "AZURE_REGIONAL_AUTHORITY_NAME", "AZURE_TENANT_ID",
	OnlyCredential, "AZURE_USERNAME",
	"ARM_CLIENT_CERTIFICATE", "ARM_CLIENT_CERTIFICATE_PASSWORD", "ARM_CLIENT_CERTIFICATE_PATH", "ARM_CLIENT_ID", "ARM_CLIENT_ID_FILE_PATH",
	"ARM_CLIENT_SECRET", "ARM_CLIENT_SECRET_FILE_PATH", "ARM_MSI_ENDPOINT", "ARM_OIDC_REQUEST_TOKEN", "ARM_OIDC_REQUEST_URL",
	"ARM_OIDC_TOKEN", "ARM_OIDC_TOKEN_FILE_PATH", "ARM_TENANT_ID", "ARM_USE_AKS_WORKLOAD_IDENTITY", "ARM_USE_CLI", "ARM_USE_MSI",
	"ARM_USE_OIDC", // of Terraform
	"AZD_AUTH_CERT", "AZD_AUTH_ENDPOINT", "AZD_AUTH_KEY", CLIPath, "AzureServicesAuthConnectionString",
	"DEFAULT_IDENTITY_CLIENT_ID", "IDENTITY_API_VERSION", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT",
	"MSAL_FORCE_REGION", "MSAL_MANAGED_IDENTITY_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET", "USE_AZURE_IDENTITY_CLIENT_LIBRARY_LEGACY_MI",
}

// Contradicting lists what of an environment is to be unset where ours are set.
func Contradicting(inherited []string, ours []Variable) []string {
	var names []string
	proxied := hasProxy(ours)
	for _, entry := range inherited {
		name, _, _ := strings.Cut(entry, "=")
		same := func(other string) bool { return sameName(other, name) }
		contradicts := slices.ContainsFunc(identityVariables, same) || proxied && (isProxyVariable(name) || slices.ContainsFunc(cloudVariables, same))
		if contradicts && !slices.ContainsFunc(ours, func(v Variable) bool { return same(v.Name) }) {
			names = append(names, name)
		}
	}
	if proxied {
		slices.Sort(names)
		return names
	}
	if kept := withoutProxy(inherited); len(kept) < len(inherited) {
		for _, entry := range inherited {
			if name, _, _ := strings.Cut(entry, "="); isProxyVariable(name) && !slices.Contains(kept, entry) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// hasProxy reports whether variables name a proxy.
func hasProxy(ours []Variable) bool {
	return slices.ContainsFunc(ours, func(v Variable) bool { return v.Name == "HTTPS_PROXY" })
}

func isProxyVariable(name string) bool {
	switch strings.ToUpper(name) {
	case "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY":
		return true
	}
	return false
}

// NoProxy returns the variables that keep requests to this machine from the proxies of an
// environment; none where it names no proxy.
func NoProxy(inherited []string) []Variable {
	var variables []Variable
	for _, entry := range withoutProxy(inherited) {
		if name, value, _ := strings.Cut(entry, "="); strings.ToUpper(name) == "NO_PROXY" && !slices.Contains(inherited, entry) {
			variables = append(variables, Variable{name, value})
		}
	}
	return variables
}

// cloudVariables choose one of Microsoft's clouds, and with it other names than ours.
var cloudVariables = []string{"AZURE_CLOUD_NAME", "AZURE_ENVIRONMENT", "ARM_ENVIRONMENT", "ARM_METADATA_HOST", "ARM_METADATA_HOSTNAME"}

// WithoutWays is an environment without proxies and without a choice of cloud, for a program in whose
// network Microsoft's names lead here by themselves.
func WithoutWays(inherited []string) []string {
	return slices.DeleteFunc(slices.Clone(inherited), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return isProxyVariable(name) || slices.ContainsFunc(cloudVariables, func(other string) bool { return sameName(other, name) })
	})
}

// Environment returns the inherited environment as a process is to find it: without what
// would conflict, and with our variables in place of others of that name. The options of Java and
// of Node are added to those there are. With a proxy among ours, there is no other.
func Environment(inherited []string, ours []Variable) []string {
	proxied := hasProxy(ours)
	var kept []string
	for _, entry := range inherited {
		name, _, _ := strings.Cut(entry, "=")
		same := func(other string) bool { return sameName(other, name) }
		switch {
		case slices.ContainsFunc(ours, func(v Variable) bool { return same(v.Name) }), slices.ContainsFunc(identityVariables, same):
		case proxied && (isProxyVariable(name) || slices.ContainsFunc(cloudVariables, same)):
		default:
			kept = append(kept, entry)
		}
	}
	if !proxied {
		kept = withoutProxy(kept)
	}
	for _, v := range ours {
		if theirs := valueOf(inherited, v.Name); (v.Name == javaOptions || v.Name == nodeOptions) && theirs != "" && theirs != v.Value {
			v.Value = theirs + " " + v.Value
		}
		kept = append(kept, v.Name+"="+v.Value)
	}
	return kept
}

// Joined has each variable once: of those that hold options, with all of them.
func Joined(variables []Variable) []Variable {
	var joined []Variable
	for _, v := range variables {
		i := slices.IndexFunc(joined, func(other Variable) bool { return other.Name == v.Name })
		switch {
		case i < 0:
			joined = append(joined, v)
		case v.Name == javaOptions || v.Name == nodeOptions:
			joined[i].Value += " " + v.Value
		default:
			joined[i] = v
		}
	}
	return joined
}

// thisMachine is what no proxy is for: the endpoints of tokens are on the loopback
// interface, and libraries of some languages would go to a proxy for those too. .NET knows the
// address of IPv6 in brackets only.
const thisMachine = "localhost,127.0.0.1,::1,[::1]"

// withoutProxy keeps requests to this machine from the proxies of an environment. Where no host
// is reached through them, there is no proxy: .NET does not know that * means every host.
func withoutProxy(environ []string) []string {
	var proxied bool
	exceptions := map[string]string{"NO_PROXY": "", "no_proxy": ""}
	rest := slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, value, _ := strings.Cut(entry, "=")
		switch strings.ToUpper(name) {
		case "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY":
			proxied = proxied || value != ""
		case "NO_PROXY":
			exceptions[name] = value
			return true
		}
		return false
	})
	if !proxied {
		return environ
	}
	if everyHost(cmp.Or(exceptions["NO_PROXY"], exceptions["no_proxy"])) && everyHost(cmp.Or(exceptions["no_proxy"], exceptions["NO_PROXY"])) {
		return slices.DeleteFunc(rest, func(entry string) bool {
			name, _, _ := strings.Cut(entry, "=")
			return isProxyVariable(name)
		})
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		value := exceptions[name]
		if value == "" { // either spelling stands for the other
			value = exceptions["NO_PROXY"] + exceptions["no_proxy"]
		}
		switch {
		case value == "":
			value = thisMachine
		case !strings.Contains(value, thisMachine):
			value += "," + thisMachine
		}
		exceptions[name] = value
		rest = append(rest, name+"="+value)
	}
	return rest
}

// everyHost reports whether a list of exceptions stands for every host. An asterisk among
// others does not, to curl and Python.
func everyHost(exceptions string) bool { return strings.TrimSpace(exceptions) == "*" }

// FirstInPath returns the search path of an environment with a folder before the others.
func FirstInPath(environ []string, folder string) Variable {
	v := Variable{"PATH", folder}
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); sameName(name, v.Name) && value != "" {
			v = Variable{name, folder + string(os.PathListSeparator) + value}
		}
	}
	return v
}

// sameName compares names of variables as the system does.
func sameName(a, b string) bool {
	if runtime.GOOS == "windows" {
		return strings.EqualFold(a, b)
	}
	return a == b
}
