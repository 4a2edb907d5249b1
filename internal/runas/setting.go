package runas

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/lookup"
)

// A Setting is a variable of the program's own that has one of the values it is given, such as
// AppSettings__ClientAppSecret=secret.
type Setting struct{ Name, What string }

// What a setting can be, besides what is found without the program.
const (
	whatSecret      = "secret"
	whatClientID    = "client-id"
	whatTenantID    = "tenant-id"
	whatCertificate = "certificate"
	whatAuthority   = "authority"
	whatTokenFile   = "token-file"
)

// Values are what a setting can be.
func Values() []string {
	return []string{whatSecret, whatClientID, whatTenantID, whatCertificate, whatAuthority, whatTokenFile}
}

// ParseSettings reads texts such as AppSettings__ClientAppSecret=secret.
func ParseSettings(texts []string) ([]Setting, error) {
	var settings []Setting
	for _, text := range texts {
		name, what, ok := strings.Cut(text, "=")
		switch {
		case !ok || name == "":
			return nil, fmt.Errorf("--set %q is not NAME=WHAT: write it as AppSettings__ClientSecret=secret", text)
		case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }):
			return nil, fmt.Errorf("--set %q has a name that no variable can have", text)
		case !slices.Contains(Values(), what):
			return nil, fmt.Errorf("--set %s=%s: unknown value; there are %s", name, what, strings.Join(Values(), ", "))
		case slices.ContainsFunc(settings, func(s Setting) bool { return s.Name == name }):
			return nil, fmt.Errorf("--set %s is given twice", name)
		}
		settings = append(settings, Setting{name, what})
	}
	return settings, nil
}

// checkSettings refuses settings for which a program gets no value. The application is the one
// whose credential it gets; nil means none.
func checkSettings(settings []Setting, actor lookup.Actor, application *lookup.Actor, via string) error {
	for _, s := range settings {
		var missing, fix string
		switch {
		case s.What == whatSecret && (application == nil || via == Certificate || via == CLI || via == Workload || via == Identity || via == None):
			missing, fix = "a secret", "use --via secret, or for a managed identity --also APPLICATION"
		case s.What == whatCertificate && via != Certificate:
			missing, fix = "a certificate", "use --via certificate"
		case s.What == whatTokenFile && via != Workload:
			missing, fix = "a token file", "use --via workload"
		case s.What == whatClientID && actor.User != nil:
			missing, fix = "a client id", "a user is no client"
		default:
			continue
		}
		return fmt.Errorf("--set %s=%s: the program gets no such value (%s) with --via %s: %s", s.Name, s.What, missing, via, fix)
	}
	return nil
}

// settingVariables returns the variables of settings that checkSettings accepts. Variables are
// those that the program gets otherwise.
func settingVariables(settings []Setting, authority string, client lookup.Actor, variables []launch.Variable) []launch.Variable {
	named := func(name string) (value string) {
		for _, v := range variables {
			if v.Name == name {
				value = v.Value
			}
		}
		return value
	}
	var made []launch.Variable
	for _, setting := range settings {
		v := launch.Variable{Name: setting.Name}
		switch setting.What {
		case whatSecret:
			v.Value = named("AZURE_CLIENT_SECRET")
		case whatClientID:
			v.Value = string(client.Principal.AppID)
		case whatTenantID:
			v.Value = string(client.Tenant.ID)
		case whatCertificate:
			v.Value = named("AZURE_CLIENT_CERTIFICATE_PATH")
		case whatAuthority:
			v.Value = authority
		case whatTokenFile:
			v.Value = named("AZURE_FEDERATED_TOKEN_FILE")
		}
		made = append(made, v)
	}
	return made
}
