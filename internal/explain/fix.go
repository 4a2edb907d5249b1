package explain

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// fix returns the next step for the first check that failed, nil when none did.
func fix(r *Report, f *facts, advice map[string]string) *Fix {
	first := slices.IndexFunc(r.Steps, func(step Step) bool { return step.Outcome == Failed })
	if first < 0 {
		return nil
	}
	switch guard.Reason(r.Steps[first].Reason) {
	case guard.RoleMissing, guard.NoPermissions:
		return f.fixRole()
	case guard.TokenExpired, guard.SignatureInvalid, guard.TokenMalformed, guard.HeaderInvalid, guard.ClaimsInvalid, guard.AudienceMismatch:
		return &Fix{What: or(advice[r.Steps[first].Name], "Get a new token."), Command: f.newToken()}
	case guard.KeyUnknown:
		return &Fix{What: or(advice[r.Steps[first].Name], "Get a token that a present key has signed."), Command: "rolecall keys list"}
	default:
		return f.fixStep(r.Steps[first].Name, advice)
	}
}

// fixStep is fix for the steps whose name says more than a reason.
func (f *facts) fixStep(name string, advice map[string]string) *Fix {
	switch name {
	case stepClient:
		return &Fix{What: "Register the client; it gets no new tokens.", Command: f.fragment("my-client", "appId: "+quote(f.claims.client))}
	case stepEnabled:
		m := &Fix{What: "Enable the client; it gets no new tokens."}
		if f.client.Application != nil {
			m.Command = f.fragment(f.client.Application.Name, "enabled: true")
		}
		return m
	case stepUser:
		return &Fix{What: "Enable or create the user; until then, there are no new tokens for the user."}
	case stepAPI, stepOffered, stepUsable, stepGranted, stepCarried:
		return f.fixRole()
	}
	return &Fix{What: advice[name]}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// fixRole finds the first thing that keeps a role out of the token: the API does not
// offer it, it is disabled, nobody granted it, or the token is older than the grant.
func (f *facts) fixRole() *Fix {
	switch {
	case !f.known:
		return &Fix{What: "Register both the API and the client in the tenant."}
	case len(f.offered) == 0:
		role := "Tasks.Read"
		if len(f.required) > 0 {
			role = f.required[0]
		}
		return &Fix{
			What:    fmt.Sprintf("Let %s offer the role %s.", f.api.Application.Name, role),
			Command: f.fragment(f.api.Application.Name, "appRoles: [{value: "+quote(role)+", members: [Application]}]"),
		}
	case len(f.usable) == 0 && len(f.granted) > 0:
		role := f.granted[0]
		return &Fix{
			What:    fmt.Sprintf("Enable the role %s of %s, for applications.", role, f.api.Application.Name),
			Command: f.fragment(f.api.Application.Name, "appRoles: [{value: "+quote(role)+", enabled: true, members: [Application]}]"),
		}
	case len(f.granted) == 0:
		client, api, role := nameOf(f.client, ""), f.api.Application.Name, f.offered[0].Value
		return &Fix{
			What:    fmt.Sprintf("Grant %s of %s to %s; its next token has it.", role, api, client),
			Command: grantCommand(client, api, role),
		}
	default:
		return &Fix{What: "The role is granted, but the token is older than the grant. Get a new one.", Command: f.newToken()}
	}
}

// newToken is the command that gets the client a token for the API.
func (f *facts) newToken() string {
	if f.client == nil || f.api == nil {
		return ""
	}
	return fmt.Sprintf("rolecall token --as %s --scope %s/.default", shellQuote(nameOf(f.client, "")), identifier(f.api.Application))
}

// identifier is how clients call an API.
func identifier(app *directory.Application) string {
	if len(app.IdentifierURIs) > 0 {
		return app.IdentifierURIs[0]
	}
	return string(app.AppID)
}

// grantCommand is the command that grants a role to an application or a managed identity.
func grantCommand(principal, api, role string) string {
	return fmt.Sprintf("rolecall grant %s %s", shellQuote(principal), shellQuote(api+"/"+role))
}

// shellQuote writes a word so that a shell reads it literally.
func shellQuote(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// fragment is the command that applies one member of one application.
func (f *facts) fragment(application, member string) string {
	return Fragment(f.tenant.Name, application, member)
}

// Fragment is the command that applies members of one application, each in YAML.
func Fragment(tenant, application string, members ...string) string {
	lines := []string{
		"rolecall apply -f - <<'END'",
		"tenants:",
		"  - name: " + quote(tenant),
		"    applications:",
		"      - name: " + quote(application),
	}
	for _, member := range members {
		lines = append(lines, "        "+strings.ReplaceAll(member, "\n", "\n        "))
	}
	return strings.Join(append(lines, "END"), "\n")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@-]+$`)

var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]*$`)

// quote writes a value so that YAML and the shell's here-document read it literally.
func quote(s string) string {
	if plain.MatchString(s) {
		return s
	}
	b, _ := json.Marshal(s) // a string always encodes
	return string(b)
}
