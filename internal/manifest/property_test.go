package manifest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// drawFile makes a file without faults from a small stock of names, so that two files
// have much in common.
func drawFile(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("tenants:\n  - name: contoso\n")
	applications := subset(t, "applications", "orders", "invoices", "report")
	uris := subset(t, "uris", "api://one", "api://two")
	roles, users, scopes := make(map[string][]string), make(map[string][]string), make(map[string][]string)
	b.WriteString("    applications:\n")
	for i, name := range applications {
		fmt.Fprintf(&b, "      - name: %s\n        requestedAccessTokenVersion: %d\n", name, rapid.IntRange(1, 2).Draw(t, "version"))
		if rapid.Bool().Draw(t, "settings") {
			fmt.Fprintf(&b, "        public: %v\n        enabled: %v\n        assignmentRequired: %v\n",
				rapid.Bool().Draw(t, "public"), rapid.Bool().Draw(t, "enabled"), rapid.Bool().Draw(t, "required"))
		}
		if i < len(uris) {
			fmt.Fprintf(&b, "        identifierUris: [%s]\n", uris[i])
		}
		roles[name] = subset(t, "roles", "A.Read", "A.Write", "A.All")
		b.WriteString("        appRoles:\n")
		for _, role := range roles[name] {
			members := append([]string{"Application"}, subset(t, "members", "User")...)
			if len(members) > 1 {
				users[name] = append(users[name], role)
			}
			fmt.Fprintf(&b, "          - {value: %s, members: [%s]}\n", role, strings.Join(members, ", "))
		}
		scopes[name] = subset(t, "scopes", "A.List", "A.Change")
		b.WriteString("        scopes:\n")
		for _, scope := range scopes[name] {
			fmt.Fprintf(&b, "          - {value: %s, consent: %s}\n", scope, rapid.SampledFrom([]string{"admin", "user"}).Draw(t, "scope consent"))
		}
		fmt.Fprintf(&b, "        redirectUris: [%s]\n", strings.Join(subset(t, "redirects", `"http://localhost"`, `"https://app.test/in"`), ", "))
		b.WriteString("        secrets:\n")
		for _, secret := range subset(t, "secrets", "ci", "prod") {
			fmt.Fprintf(&b, "          - {name: %s, generate: true}\n", secret)
		}
		b.WriteString("        federatedCredentials:\n")
		for _, trust := range subset(t, "federated", "ci", "prod") {
			fmt.Fprintf(&b, "          - {name: %s, issuer: \"https://issuer.test\", subject: %s-%s}\n", trust, trust, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "subject"))
		}
		b.WriteString("        permissions:\n")
		for _, api := range applications[:i+1] {
			if asked := subset(t, "asked", roles[api]...); len(asked) > 0 {
				fmt.Fprintf(&b, "          - {api: %s, roles: [%s], consent: %v}\n", api, strings.Join(asked, ", "), rapid.Bool().Draw(t, "consent"))
			}
			if asked := subset(t, "asked scopes", scopes[api]...); len(asked) > 0 {
				fmt.Fprintf(&b, "          - {api: %s, scopes: [%s], consent: %v}\n", api, strings.Join(asked, ", "), rapid.Bool().Draw(t, "consent"))
			}
		}
	}
	b.WriteString("    domains: [contoso.test]\n    users:\n")
	for _, name := range subset(t, "users", "ann", "ben") {
		fmt.Fprintf(&b, "      - userPrincipalName: %s@contoso.test\n        assignments:\n", name)
		for _, api := range applications {
			if asked := subset(t, "assigned", users[api]...); len(asked) > 0 {
				fmt.Fprintf(&b, "          - {api: %s, roles: [%s]}\n", api, strings.Join(asked, ", "))
			}
		}
	}
	b.WriteString("    managedIdentities:\n")
	identities := subset(t, "identities", "batch", "timer")
	for _, name := range identities {
		fmt.Fprintf(&b, "      - name: %s\n        type: %s\n        federatedCredentials: [%s]\n        assignments:\n", name, rapid.SampledFrom([]string{"system", "user"}).Draw(t, "type"),
			strings.Join(subset(t, "trusts", "{name: k8s, issuer: \"https://issuer.test\", subject: pod}"), ", "))
		for _, api := range applications {
			if asked := subset(t, "assigned", roles[api]...); len(asked) > 0 {
				fmt.Fprintf(&b, "          - {api: %s, roles: [%s]}\n", api, strings.Join(asked, ", "))
			}
		}
	}
	b.WriteString("    hosts:\n")
	for i, name := range subset(t, "hosts", "agent", "box") {
		if len(identities) == 0 {
			break
		}
		// A system-assigned identity is for one host, so each has one of its own.
		fmt.Fprintf(&b, "      - {name: %s, listen: \"127.0.0.1:%d\", identities: [%s]", name, 8450+i, identities[i%len(identities)])
		if rapid.Bool().Draw(t, "host settings") {
			fmt.Fprintf(&b, ", via: %s, from: [%s], names: [%s]", rapid.SampledFrom([]string{"app-service", "imds"}).Draw(t, "via"),
				strings.Join(subset(t, "from", "10.0.0.0/8", "172.17.0.2"), ", "), strings.Join(subset(t, "names", "a.test", "b.test"), ", "))
		}
		b.WriteString("}\n")
		if len(identities) == 1 {
			break
		}
	}
	return emptyLists(b.String())
}

// emptyLists gives members without elements an empty list.
func emptyLists(text string) string {
	rows := strings.Split(strings.TrimRight(text, "\n"), "\n")
	indent := func(row string) int { return len(row) - len(strings.TrimLeft(row, " ")) }
	for i, row := range rows {
		if strings.HasSuffix(row, ":") && (i+1 == len(rows) || indent(rows[i+1]) <= indent(row)) {
			rows[i] += " []"
		}
	}
	return strings.Join(rows, "\n") + "\n"
}

func subset(t *rapid.T, label string, all ...string) []string {
	var chosen []string
	for _, one := range all {
		if rapid.Bool().Draw(t, label) {
			chosen = append(chosen, one)
		}
	}
	return chosen
}

// state writes down a tenant without the ids that each run makes anew.
func (s *site) state() string {
	s.Helper()
	var b strings.Builder
	_, err := s.dir.Change(context.Background(), directory.Operator("test"), func(e *directory.Editor) error {
		tenant, err := e.Tenants().Find("contoso")
		if err != nil {
			return err
		}
		apps, err := e.Applications().All(tenant.ID)
		if err != nil {
			return err
		}
		names := make(map[string]string) // of ids
		for _, app := range apps {
			for _, role := range app.AppRoles {
				names[string(role.ID)] = app.Name + "/" + role.Value
			}
			for _, scope := range app.Scopes {
				names[string(scope.ID)] = app.Name + "/" + scope.Value
			}
		}
		for _, app := range apps {
			writeApplication(&b, app, names)
		}
		principals, err := e.ServicePrincipals().All(tenant.ID)
		if err != nil {
			return err
		}
		for _, p := range principals {
			assignments, err := e.Assignments().AllOf(tenant.ID, p.ID)
			if err != nil {
				return err
			}
			grants, err := e.DelegatedGrants().AllOf(tenant.ID, p.ID)
			if err != nil {
				return err
			}
			fmt.Fprintln(&b, p.Name, p.Type, p.Enabled, p.AssignmentRequired, p.IdentityKind, strings.Replace(p.ResourceID, directory.Subscription(p.Tenant), "own", 1),
				sorted(assignments, func(a *directory.Assignment) string { return names[string(a.Role)] }),
				sorted(grants, func(g *directory.DelegatedGrant) string { return fmt.Sprint(g.Principal, g.Scopes) }),
				sorted(p.Federated, func(f directory.FederatedCredential) string { return f.Name + f.Subject }))
		}
		hosts, err := e.Hosts().All(tenant.ID)
		if err != nil {
			return err
		}
		for _, h := range hosts {
			fmt.Fprintln(&b, h.Name, h.Platform, h.Listen, h.Names, h.From, h.User)
			for _, id := range h.Identities {
				identity, err := e.ServicePrincipals().Find(tenant.ID, string(id))
				if err != nil {
					return err
				}
				fmt.Fprintln(&b, "  ", identity.Name)
			}
		}
		users, err := e.Users().All(tenant.ID)
		if err != nil {
			return err
		}
		for _, u := range users {
			assignments, err := e.Assignments().AllOf(tenant.ID, u.ID)
			if err != nil {
				return err
			}
			fmt.Fprintln(&b, u.PrincipalName, sorted(assignments, func(a *directory.Assignment) string { return names[string(a.Role)] }))
		}
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	return b.String()
}

func writeApplication(b *strings.Builder, app *directory.Application, names map[string]string) {
	fmt.Fprintln(b, app.Name, app.TokenVersion, app.Public, app.IdentifierURIs, sorted(app.RedirectURIs, strings.Clone),
		sorted(app.Scopes, func(s directory.Scope) string { return fmt.Sprint(s.Value, s.DisplayName, s.Enabled, s.AdminOnly) }),
		sorted(app.AppRoles, func(r directory.AppRole) string { return fmt.Sprint(r.Value, r.DisplayName, r.Enabled, r.Members) }),
		sorted(app.Secrets, func(s directory.Secret) string { return s.Name }),
		sorted(app.Federated, func(f directory.FederatedCredential) string { return f.Name + f.Subject }),
		sorted(app.Permissions, func(p directory.Permission) string {
			return fmt.Sprint(sorted(p.Roles, func(r directory.RoleID) string { return names[string(r)] }), sorted(p.Scopes, func(s directory.ScopeID) string { return names[string(s)] }))
		}))
}

func sorted[T any](all []T, text func(T) string) []string {
	var lines []string
	for _, one := range all {
		lines = append(lines, text(one))
	}
	slices.Sort(lines)
	return lines
}

// Whatever the files: applying one twice changes nothing, and with --prune it does not
// matter what was there before.
func TestPropertyApplyIsIdempotentAndPruneForgets(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		before, after := drawFile(r), drawFile(r)
		s, clean := newSite(t), newSite(t)
		check := func(text string, opts manifest.Options) {
			if _, err := s.apply(text, opts); err != nil {
				r.Fatalf("%v in\n%s", err, text)
			}
			again, err := s.apply(text, opts)
			if err != nil {
				r.Fatalf("%v when applied again", err)
			}
			if len(again.Notes)+len(again.Secrets) > 0 {
				r.Fatalf("applied again, it made a difference: %v", lines(again))
			}
		}
		check(before, manifest.Options{})
		check(after, manifest.Options{Prune: true})
		if _, err := clean.apply(after, manifest.Options{}); err != nil {
			r.Fatal(err)
		}
		if got, want := s.state(), clean.state(); got != want {
			r.Fatalf("after the file before and pruning\n%swithout\n%s", got, want)
		}
	})
}
