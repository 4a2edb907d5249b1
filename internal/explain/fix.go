package explain

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// fix returns the next step for the first check that failed, nil when none did.
func fix(r *Report, f *facts, advice map[string]string) *Fix {
	first := slices.IndexFunc(r.Steps, func(step Step) bool { return step.Outcome == Failed })
	if first < 0 {
		return nil
	}
	name := r.Steps[first].Name
	switch guard.Reason(r.Steps[first].Reason) {
	case guard.RoleMissing, guard.NoPermissions:
		return f.fixRole()
	case guard.TokenExpired, guard.SignatureInvalid, guard.TokenMalformed, guard.HeaderInvalid, guard.ClaimsInvalid, guard.AudienceMismatch:
		return &Fix{What: cmp.Or(advice[name], "Get a new token."), Command: f.newToken()}
	case guard.TokenRevoked:
		return f.fixRevoked()
	case guard.KeyUnknown:
		return &Fix{What: cmp.Or(advice[name], "Get a token that a present key has signed."), Command: "rolecall keys list"}
	default:
		return f.fixStep(name, advice)
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
			m.Command = f.fragment(f.client.Application.Called(), "enabled: true")
		}
		return m
	case stepUser:
		return &Fix{What: "Enable or create the user; until then, there are no new tokens for the user."}
	case stepAPI, stepOffered, stepUsable, stepGranted, stepCarried:
		return f.fixRole()
	}
	return &Fix{What: advice[name]}
}

// fixRole finds the first thing that keeps a role out of the token, and the least that puts
// it there: a role that was granted is made to count, one that was requested is granted, and
// of several others nobody but the API's owner knows which it must be.
func (f *facts) fixRole() *Fix {
	switch {
	case !f.known:
		return f.register()
	case len(f.offered) == 0:
		return f.offerRole()
	case len(f.usable) > 0:
		return &Fix{What: f.olderThanGrant(), Command: f.newToken()}
	case len(f.granted) > 0:
		return f.switchOn(f.granted[:1], "granted to "+f.client.Principal.Called())
	}
	asked := f.usableOf(f.requested)
	switch {
	case len(asked) > 0:
		return &Fix{
			What:    fmt.Sprintf("%s requests %s of %s, and nobody has granted it. Grant it; the next token has it.", f.client.Principal.Called(), list(asked), f.api.Application.Called()),
			Command: f.grant(asked...),
		}
	case len(f.requested) > 0:
		m := f.switchOn(f.requested[:1], "requested by "+f.client.Principal.Called())
		m.Command += "\n" + f.grant(f.requested[0])
		return m
	}
	return f.chooseRole()
}

// register says what of the two is not in the tenant.
func (f *facts) register() *Fix {
	missing := "the client"
	switch {
	case f.api == nil && f.client == nil:
		missing = "both the API and the client"
	case f.api == nil || f.api.Principal == nil:
		missing = "the API"
	}
	return &Fix{What: fmt.Sprintf("Register %s in the tenant %s.", missing, f.tenant.Name)}
}

// offerRole is for an API that does not offer the role that it requires.
func (f *facts) offerRole() *Fix {
	api := f.api.Application
	if !f.named {
		return &Fix{What: fmt.Sprintf("%s has no app roles, so no token for it can have one. Name the role that its settings require: rolecall explain --role NAME -", api.Called())}
	}
	role := f.required[0]
	for _, offered := range api.AppRoles {
		if directory.Resembles(offered.Value, role) {
			return &Fix{What: fmt.Sprintf("%s offers no role %s, but %s: correct the role in the settings of the API.", api.Called(), role, offered.Value)}
		}
	}
	return &Fix{
		What:    fmt.Sprintf("Let %s offer the role %s.", api.Called(), role),
		Command: f.fragment(api.Called(), "appRoles: [{value: "+quote(role)+", members: [Application]}]"),
	}
}

// switchOn makes roles count that applications do not get.
func (f *facts) switchOn(roles []string, how string) *Fix {
	role := f.role(roles[0])
	state := "is switched off"
	if role.Enabled {
		state = "is for users only"
	}
	members := "Application"
	if role.Allows(directory.MemberUser) {
		members = "Application, User"
	}
	return &Fix{
		What:    fmt.Sprintf("%s is %s and %s. Enable the role %s of %s, for applications.", role.Value, how, strings.TrimPrefix(state, "is "), role.Value, f.api.Application.Called()),
		Command: f.fragment(f.api.Application.Called(), "appRoles: [{value: "+quote(role.Value)+", enabled: true, members: ["+members+"]}]"),
	}
}

// usableOf keeps those roles that an application can have.
func (f *facts) usableOf(roles []string) (usable []string) {
	for _, value := range roles {
		if isUsable(f.role(value)) {
			usable = append(usable, value)
		}
	}
	return usable
}

// chooseRole is for a client that nobody gave anything, and that requests nothing.
func (f *facts) chooseRole() *Fix {
	client, api := f.client.Principal.Called(), f.api.Application.Called()
	var usable []string
	for _, role := range f.offered {
		if isUsable(role) {
			usable = append(usable, role.Value)
		}
	}
	switch {
	case len(usable) == 0:
		m := f.switchOn([]string{f.offered[0].Value}, "offered")
		m.Command += "\n" + f.grant(f.offered[0].Value)
		return m
	case len(usable) == 1 || f.named:
		return &Fix{What: fmt.Sprintf("Grant %s of %s to %s; its next token has it.", usable[0], api, client), Command: f.grant(usable[0])}
	}
	return &Fix{What: fmt.Sprintf("Grant %s the one role of %s that it needs, and no more. There are %s: %s",
		client, api, strings.Join(usable, ", "), strings.Replace(f.grant(usable[0]), usable[0], "ROLE", 1))}
}

// olderThanGrant says why a role that is granted is not in the token, and when it will be.
func (f *facts) olderThanGrant() string {
	said := "The role is granted, but the token is older than the grant."
	if !f.claims.issued.IsZero() && !f.since.IsZero() {
		said = fmt.Sprintf("%s was granted %s ago, and the token is older than the grant: issued %s ago.", list(f.usable), lasting(f.now.Sub(f.since)), lasting(f.now.Sub(f.claims.issued)))
	}
	if until := f.claims.expires.Add(-5 * time.Minute); until.After(f.now) {
		said += fmt.Sprintf(" A client keeps a token until about five minutes before its end, here for %s more, unless it is restarted.", lasting(until.Sub(f.now)))
	}
	said += " Get a new one."
	return said
}

// grant is the command that grants roles of the API to the client.
func (f *facts) grant(roles ...string) string {
	return grantCommand(f.client.Principal.Called(), f.api.Application.Called(), f.inTenant(), roles...)
}

// inTenant is the flag that a command needs to know which tenant's client is meant.
func (f *facts) inTenant() string {
	if !f.several {
		return ""
	}
	return f.tenant.Name
}

// newToken is the command that gets the client a token for the API.
func (f *facts) newToken() string {
	if f.client == nil || f.api == nil || f.client.Principal == nil {
		return ""
	}
	return fmt.Sprintf("rolecall token --as %s --scope %s", shellQuote(f.client.Principal.Called()), shellQuote(identifier(f.api.Application)+"/.default")) + tenantFlag(f.inTenant())
}

func tenantFlag(tenant string) string {
	if tenant == "" {
		return ""
	}
	return " --tenant " + shellQuote(tenant)
}

// identifier is how clients call an API.
func identifier(app *directory.Application) string {
	if len(app.IdentifierURIs) > 0 {
		return app.IdentifierURIs[0]
	}
	return string(app.AppID)
}

// grantCommand is the command that grants roles to an application or a managed identity.
func grantCommand(principal, api, tenant string, roles ...string) string {
	command := "rolecall grant " + shellQuote(principal)
	for _, role := range roles {
		command += " " + shellQuote(api+"/"+role)
	}
	return command + tenantFlag(tenant)
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
	lines := []string{"applications:", "  - name: " + quote(application)}
	for _, member := range members {
		lines = append(lines, "    "+strings.ReplaceAll(member, "\n", "\n    "))
	}
	return fragmentOf(tenant, lines...)
}

// fragmentOf is the command that applies members of a tenant. Nothing in it is indented but
// the YAML, so that it can be pasted: the end of a here-document begins its line.
func fragmentOf(tenant string, members ...string) string {
	lines := []string{"rolecall apply -f - <<'END'", "tenants:", "  - name: " + quote(tenant)}
	for _, member := range members {
		lines = append(lines, "    "+strings.ReplaceAll(member, "\n", "\n    "))
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
