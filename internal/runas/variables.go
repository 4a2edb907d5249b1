package runas

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// A Lasting is an environment for programs that are run later: it is not cleaned up but
// expires.
type Lasting struct {
	Source Source
	App    lookup.Actor  // an application
	Via    string        // one of LastingVias
	Life   time.Duration // of the credential
	Set    []Setting     // variables of the program's own
	Say    func(format string, args ...any)
	Issuer Credentials
	Path   string                                   // the search path, which begins with the shims
	Gave   func(kind, id string, expires time.Time) // is told of the credential
	Bundle string                                   // where the program will have the CA bundle; empty: the one of this machine
}

// Variables makes the credential and returns all that a program needs to use it.
func (l Lasting) Variables(ctx context.Context) ([]launch.Variable, error) {
	if err := checkSettings(l.Set, l.App, &l.App, l.Via); err != nil { // what can fail comes before the credential
		return nil, &usageError{err}
	}
	trust, err := l.trust()
	if err != nil {
		return nil, err
	}
	var credential []launch.Variable
	switch l.Via {
	case None:
	case Certificate:
		credential, err = l.certificate(ctx)
	case CLI:
		credential, err = l.tools(ctx)
	default:
		var value string
		value, err = l.secret(ctx)
		credential = []launch.Variable{{Name: "AZURE_CLIENT_SECRET", Value: value}, onlyEnvironment()}
		credential = append(credential, connectionString(l.App, credential))
	}
	if err != nil {
		return nil, err
	}
	credential = append(credential, settingVariables(l.Set, l.Source.Endpoints().Authority, l.App, credential)...)
	return slices.Concat(names(l.Source.Endpoints().Authority, l.App, l.Via), credential, trust, launch.NoProxy(os.Environ()), places(l.Source.Endpoints().Authority, l.Source.Endpoints().Graph)), nil
}

func (l Lasting) trust() ([]launch.Variable, error) {
	if l.Bundle != "" {
		return launch.TrustAt(l.Bundle), nil
	}
	if trustedAnyway(l.Source) {
		return nil, nil
	}
	bundle, err := launch.WithTrusted(func() (string, error) { return l.Source.Dir(), nil }, l.Source.Endpoints().CABundle, os.Environ(), l.Say)
	if err != nil {
		return nil, err
	}
	return launch.Trust(l.Source.Dir(), bundle)
}

func (l Lasting) secret(ctx context.Context) (string, error) {
	secret, value, err := l.Issuer.AddSecret(ctx, l.App.Application, l.Life)
	if err == nil {
		l.Gave("secret", secret.ID, secret.Expires)
	}
	return value, err
}

func (l Lasting) certificate(ctx context.Context) ([]launch.Variable, error) {
	file, kept, err := l.Issuer.AddCertificate(ctx, l.App.Application, l.Life)
	if err != nil {
		return nil, err
	}
	l.Gave("certificate", kept.ID, kept.ValidUntil)
	return []launch.Variable{{Name: "AZURE_CLIENT_CERTIFICATE_PATH", Value: file}, onlyEnvironment()}, nil
}

// tools keeps shims for az and azd in the data folder, which sign in with a secret, and
// puts them first in the search path.
func (l Lasting) tools(ctx context.Context) ([]launch.Variable, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	folder, err := l.Issuer.ToolsFolder(l.App.Application)
	if err != nil {
		return nil, err
	}
	value, err := l.secret(ctx)
	if err != nil {
		return nil, err
	}
	if err := launch.WriteShims(folder, program, withSecret(l.App, l.Source.Endpoints(), value)); err != nil {
		return nil, err
	}
	return []launch.Variable{
		launch.FirstInPath([]string{"PATH=" + l.Path}, folder), {Name: launch.CLIPath, Value: folder}, only("AzureCLICredential"),
	}, nil
}

// A Host says for which programs of a host of the directory variables are.
type Host struct {
	Session      *server.Session
	Tenant, Name string // without a tenant, the host is looked for in all
	Public       bool   // they come here by Microsoft's own names
	Cloud        string // whose, as the Azure CLI names it; empty means AzureCloud
	Bundle       string // path at which they have the CA bundle; empty: they have the files of this machine
	Say          func(format string, args ...any)
}

// Variables returns what the programs need. They may be on another machine or in a container, so
// without Microsoft's names, which they have to trust, nothing names a file of this one.
func (h Host) Variables(ctx context.Context) ([]launch.Variable, error) {
	state, err := h.state(ctx)
	if err != nil {
		return nil, err
	}
	variables := []launch.Variable{{Name: "AZURE_TENANT_ID", Value: string(state.Tenant)}}
	identity, err := h.Session.Data.Directory.Instance(ctx, state.Tenant, state.ClientID)
	if err != nil {
		return nil, err
	}
	if identity.Principal.IdentityKind == directory.IdentityUser { // as for a program that is run as one
		variables = append(variables, launch.Variable{Name: "AZURE_CLIENT_ID", Value: string(state.ClientID)})
	}
	for _, name := range slices.Sorted(maps.Keys(state.Environment)) {
		variables = append(variables, launch.Variable{Name: name, Value: state.Environment[name]})
	}
	if state.Names != nil {
		return h.addNames(variables, state.Names)
	}
	if h.Bundle != "" {
		variables = append(variables, launch.TrustAt(h.Bundle)...)
	}
	return variables, nil
}

func (h Host) state(ctx context.Context) (server.BindingState, error) {
	if h.Public {
		return server.NamesOfHost(ctx, h.Session.Dir(), h.Tenant, h.Name, h.Cloud)
	}
	return server.Host(ctx, h.Session.Dir(), h.Tenant, h.Name)
}

// addNames adds what leads programs to Microsoft's names, and tells where the certificates are that
// they must trust.
func (h Host) addNames(variables []launch.Variable, names *server.HostNames) ([]launch.Variable, error) {
	ours := slices.Concat(names.Hosts, origin.Cloud(names.Cloud).UnansweredHosts())
	proxy, lost, err := launch.ProxyVariables(names.Folder, os.Environ(), names.Proxy, ours, names.Direct...)
	if err != nil {
		return nil, err
	}
	trust, err := h.trust(names)
	if err != nil {
		return nil, err
	}
	if len(lost) > 0 {
		h.Say("left out of NO_PROXY: %s, which would lead the programs past the server to Microsoft's names", strings.Join(lost, ", "))
	}
	if h.Bundle != "" {
		proxy = slices.DeleteFunc(proxy, func(v launch.Variable) bool { return v.Name == "NODE_OPTIONS" }) // names a file of this machine
		h.Say("the programs trust %s: it must be a copy of %s, which holds the certificate of %s", h.Bundle, names.Bundle, names.CA)
	} else {
		h.Say("the programs trust %s, which holds the certificate of %s", names.Bundle, names.CA)
	}
	h.Say("both files and the proxy last until the server ends or the host is removed: print the variables again after that")
	return launch.Joined(slices.Concat(variables, trust, proxy, places(names.Authority, publicGraph(names.Cloud)))), nil
}

// trust makes the programs trust Microsoft's names as the server answers them.
func (h Host) trust(names *server.HostNames) ([]launch.Variable, error) {
	if h.Bundle != "" {
		return launch.TrustAt(h.Bundle), nil
	}
	bundle, err := launch.WithTrusted(func() (string, error) { return names.Folder, nil }, names.Bundle, os.Environ(), h.Say)
	if err != nil {
		return nil, err
	}
	return launch.Trust(names.Folder, bundle)
}

// names returns the variables that say who somebody is, and where.
func names(authority string, actor lookup.Actor, via string) []launch.Variable {
	names := []launch.Variable{{Name: "AZURE_TENANT_ID", Value: string(actor.Tenant.ID)}}
	if actor.User == nil { // a user is no client
		names = append(names, launch.Variable{Name: "AZURE_CLIENT_ID", Value: string(actor.Principal.AppID)})
	}
	host := authority
	if via == Workload { // as Azure Kubernetes Service writes it, which kubelogin relies on
		host += "/"
	}
	return append(names, launch.Variable{Name: "AZURE_AUTHORITY_HOST", Value: host})
}

// places are the variables that say where the server is.
func places(authority, graph string) []launch.Variable {
	return []launch.Variable{{Name: "ROLECALL_AUTHORITY", Value: authority}, {Name: "ROLECALL_GRAPH", Value: graph}}
}

// publicGraph is where Microsoft Graph is under a cloud's names.
func publicGraph(cloud string) string { return "https://" + origin.Cloud(cloud).GraphHosts()[0] }

// onlyEnvironment spares DefaultAzureCredential what it would try besides the environment.
func onlyEnvironment() launch.Variable { return only("EnvironmentCredential") }

func only(credential string) launch.Variable {
	return launch.Variable{Name: launch.OnlyCredential, Value: credential}
}
