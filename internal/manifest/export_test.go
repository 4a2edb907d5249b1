package manifest_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// export writes the directory down, and what is not in it.
func (s *site) export() (file string, omitted []string) {
	s.Helper()
	view := s.dir.View(context.Background())
	tenants, err := view.Tenants().All()
	if err != nil {
		s.Fatal(err)
	}
	var b strings.Builder
	err = manifest.Export(&b, manifest.ExportConfig{
		View: view, Tenants: tenants, Now: start,
		Passing: func(name string) bool { return strings.HasPrefix(name, "rolecall ") },
		Omit:    func(o manifest.Omission) { omitted = append(omitted, o.Owner+": "+o.What+": "+o.Why) },
	})
	if err != nil {
		s.Fatal(err)
	}
	return b.String(), omitted
}

// dump is everything that matters of a directory: not when it was made, nor the ids of what has no
// use for one.
func (s *site) dump() string {
	s.Helper()
	view := s.dir.View(context.Background())
	var b strings.Builder
	write := func(v any) {
		line, err := json.Marshal(v)
		if err != nil {
			s.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	tenants, err := view.Tenants().All()
	if err != nil {
		s.Fatal(err)
	}
	for _, t := range tenants {
		tenant := *t
		tenant.Created = time.Time{}
		write(tenant)
		s.dumpTenant(view, t.ID, write)
	}
	return b.String()
}

func (s *site) dumpTenant(view *directory.View, tenant directory.TenantID, write func(any)) {
	s.Helper()
	check := func(err error) {
		if err != nil {
			s.Fatal(err)
		}
	}
	apps, err := view.Applications().All(tenant)
	check(err)
	for _, a := range apps {
		app := *a
		app.Created, app.Secrets, app.Certificates, app.Permissions = time.Time{}, nil, nil, nil
		app.Federated = withoutIDs(a.Federated)
		app.Settings = sortedMembers(a.Settings)
		write(app)
		for _, p := range a.Permissions { // sets
			write([]any{p.API, slices.Sorted(slices.Values(p.Roles)), slices.Sorted(slices.Values(p.Scopes))})
		}
		names := map[string]bool{"rolecall env 1": true} // of a program that ran
		for _, secret := range a.Secrets {
			if !names[secret.Name] { // a file has each name once
				write([]any{secret.Name, secret.Expires})
			}
			names[secret.Name] = true
		}
		for _, c := range a.Certificates {
			write([]any{c.Name, c.SHA256})
		}
	}
	principals, err := view.ServicePrincipals().All(tenant)
	check(err)
	for _, p := range principals {
		principal := *p
		principal.Created, principal.Federated = time.Time{}, withoutIDs(p.Federated)
		principal.Settings = sortedMembers(p.Settings)
		write(principal)
		assignments, err := view.Assignments().AllOf(tenant, p.ID)
		check(err)
		for _, a := range assignments {
			write([]any{a.Principal, a.Resource, a.Role})
		}
		grants, err := view.DelegatedGrants().AllOf(tenant, p.ID)
		check(err)
		for _, g := range grants {
			write([]any{g.Client, g.Resource, g.Principal, g.Scopes})
		}
	}
	hosts, err := view.Hosts().All(tenant)
	check(err)
	for _, h := range hosts {
		host := *h
		host.Created = time.Time{}
		write(host)
	}
	users, err := view.Users().All(tenant)
	check(err)
	for _, u := range users {
		user := *u
		user.Created, user.SessionsFrom, user.Password = time.Time{}, time.Time{}, nil
		user.Settings = sortedMembers(u.Settings)
		write(user)
		assignments, err := view.Assignments().AllOf(tenant, u.ID)
		check(err)
		for _, a := range assignments {
			write([]any{a.Principal, a.Resource, a.Role})
		}
	}
}

func sortedMembers(settings json.RawMessage) json.RawMessage {
	var all map[string]any
	if json.Unmarshal(settings, &all) != nil {
		return nil
	}
	sorted, _ := json.Marshal(all) // what was JSON before
	return sorted
}

func withoutIDs(all []directory.FederatedCredential) []directory.FederatedCredential {
	all = slices.Clone(all)
	for i := range all {
		all[i].ID = ""
	}
	return all
}

// An author makes a random directory by the directory's own means, so that it has things that no
// rolecall.yaml made.
type author struct {
	*rapid.T
	*directory.Editor
	tenant     directory.TenantID
	apps       []*directory.Application
	principals []*directory.ServicePrincipal // of apps; nil: registered only
	identities []*directory.ServicePrincipal
	users      []*directory.User
}

func (a *author) flip(label string) bool { return rapid.Bool().Draw(a.T, label) }

func must[T any](a *author, v T, err error) T {
	if err != nil {
		a.Fatalf("%v", err)
	}
	return v
}

// words have what YAML takes for something else, and what needs quotes.
var words = []string{"plain", "true", "No", "1e3", "- a", "a: b", "a #b", "{x}", `quo"te`, "it's", "*star", "ünï", "a, b", "null", "~", "2026-01-01", "@at", "%per", "back`tick", "trailing:"}

func (a *author) word(label string) string { return rapid.SampledFrom(words).Draw(a.T, label) }

func (a *author) write(n int) {
	id := directory.TenantID(fmt.Sprintf("7f1d3c52-0a4e-4b8e-9c61-00000000000%d", n))
	tenant := must(a, a.fresh(a.Tenants().Create(directory.Tenant{ID: id, Name: fmt.Sprintf("contoso%d", n), Domains: []string{fmt.Sprintf("contoso%d.test", n)}})), nil)
	a.tenant = tenant
	a.writeUsers(n)
	a.writeApplications(n)
	a.writeIdentities(n)
	a.writeCredentials()
	a.writeGrants()
	a.writeRemarks()
	a.disable()
}

func (a *author) fresh(t *directory.Tenant, err error) directory.TenantID {
	if err != nil {
		a.Fatalf("%v", err)
	}
	return t.ID
}

func (a *author) writeUsers(n int) {
	for i, name := range subset(a.T, "users", "ann", "ben") {
		u := directory.User{Tenant: a.tenant, PrincipalName: fmt.Sprintf("%s@contoso%d.test", name, n), DisplayName: a.word("display")}
		if i == 0 {
			u.DirectoryRoles = []string{"Application Administrator", a.word("directory role")}
		}
		user, err := a.Users().Create(u, directory.Choose("correct horse battery"))
		a.users = append(a.users, must(a, user, err))
	}
}

func (a *author) writeApplications(n int) {
	for i, name := range append([]string{"orders"}, subset(a.T, "applications", words[:4]...)...) {
		app := directory.Application{Tenant: a.tenant, Name: name, DisplayName: a.word("display"), TokenVersion: rapid.IntRange(1, 2).Draw(a.T, "version")}
		if i > 0 && a.flip("unnamed") {
			app.Name = ""
		}
		if a.flip("unique") {
			app.UniqueName = fmt.Sprintf("unique: %d", i)
		}
		app.Public, app.StrictAssertions, app.IDTokens = a.flip("public"), a.flip("strict"), a.flip("id tokens")
		app.IdentifierURIs = subset(a.T, "uris", fmt.Sprintf("api://%d/%d", n, i), fmt.Sprintf("https://%d.contoso%d.test/a", i, n))
		app.RedirectURIs = subset(a.T, "redirects", "http://localhost", "https://app.test/in?a=b")
		for _, value := range subset(a.T, "roles", "A.Read", "A.Write", "True") {
			members := []directory.MemberType{directory.MemberApplication, directory.MemberUser}
			app.AppRoles = append(app.AppRoles, directory.AppRole{Value: value, DisplayName: a.word("role"), Description: a.word("description"), Enabled: true, Members: members})
		}
		for _, value := range subset(a.T, "scopes", "S.Read", "yes") {
			app.Scopes = append(app.Scopes, directory.Scope{Value: value, DisplayName: a.word("scope"), Enabled: true, AdminOnly: a.flip("admin")})
		}
		if a.flip("valueless") {
			app.AppRoles = append(app.AppRoles, directory.AppRole{DisplayName: "no value", Enabled: true, Members: []directory.MemberType{directory.MemberApplication, directory.MemberUser}})
		}
		if a.flip("claims") {
			app.OptionalClaims = []directory.OptionalClaim{{Name: "idtyp", Properties: subset(a.T, "properties", "include_user_token", a.word("property"))}, {Name: "aud"}}
		}
		created, err := a.Applications().Create(app)
		a.apps = append(a.apps, must(a, created, err))
		a.writePrincipal(created, i > 0)
	}
}

func (a *author) writePrincipal(app *directory.Application, mayLack bool) {
	if mayLack && a.flip("registered only") {
		a.principals = append(a.principals, nil)
		return
	}
	p, err := a.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: a.tenant, AppID: app.AppID})
	must(a, p, err)
	p, err = a.ServicePrincipals().Edit(a.tenant, p.ID, func(next *directory.ServicePrincipal) error {
		next.Enabled, next.AssignmentRequired = a.flip("enabled"), a.flip("required")
		return nil
	})
	a.principals = append(a.principals, must(a, p, err))
}

func (a *author) writeIdentities(n int) {
	for i, name := range subset(a.T, "identities", "batch", "on") {
		p := directory.ServicePrincipal{Tenant: a.tenant, Type: directory.PrincipalManagedIdentity, Name: name, IdentityKind: rapid.SampledFrom([]directory.IdentityKind{"system", "user"}).Draw(a.T, "kind")}
		if a.flip("unnamed") {
			p.Name, p.DisplayName = "", a.word("display")
		}
		identity, err := a.ServicePrincipals().Create(p)
		a.identities = append(a.identities, must(a, identity, err))
		host := directory.Host{Tenant: a.tenant, Name: a.word("host") + fmt.Sprint(i), Platform: directory.PlatformArc, From: []string{"10.0.0.0/8"}, Names: []string{"host.internal"}, Node: "node1"}
		if a.flip("listens") {
			host.Listen = fmt.Sprintf("127.0.0.1:%d", 9000+10*n+i)
		}
		if a.flip("has it") {
			host.Identities = []directory.ObjectID{identity.ID}
		}
		h, err := a.Hosts().Create(host)
		must(a, h, err)
	}
}

func (a *author) writeCredentials() {
	block, err := clientCertificate()
	der, _ := pem.Decode(block)
	must(a, der, err)
	for _, app := range a.apps {
		for _, name := range subset(a.T, "secrets", "ci", "true", "rolecall env 1", "ci") {
			expires := time.Time{}
			if a.flip("ends") {
				expires = start.Add(time.Hour + 1234*time.Microsecond)
			}
			_, _, err := a.Credentials().AddSecret(a.tenant, app.ID, name, expires)
			must(a, 0, err)
		}
		if a.flip("certificate") {
			_, err := a.Credentials().AddCertificate(a.tenant, app.ID, a.word("certificate"), der.Bytes)
			must(a, 0, err)
		}
		a.writeTrusts(app.ID)
	}
	for _, identity := range a.identities {
		a.writeTrusts(identity.ID)
	}
}

func (a *author) writeTrusts(owner directory.ObjectID) {
	trusts := []directory.FederatedCredential{
		{Name: "null", Issuer: "https://issuer.test/", Subject: a.word("subject"), Description: a.word("description")},
		{Name: "gh", Issuer: "https://issuer.test", Expression: "claims['sub'] matches 'repo:*'", Audience: "api://other"},
	}
	for _, identity := range a.identities {
		trusts = append(trusts, directory.FederatedCredential{Name: "mi" + string(identity.ID), Identity: identity.ID})
	}
	for _, f := range trusts {
		if a.flip("trust") {
			_, err := a.Credentials().AddFederated(a.tenant, owner, f)
			must(a, 0, err)
		}
	}
}

// writeGrants lets everybody ask for something and hold something else.
func (a *author) writeGrants() {
	for i, client := range a.apps {
		a.ask(client)
		if a.principals[i] == nil {
			continue
		}
		for j, api := range a.apps {
			if a.principals[j] == nil {
				continue
			}
			a.assign(a.principals[i].ID, api, a.principals[j].ID)
			for k := -1; k < len(a.users); k++ {
				var values []string
				for _, s := range api.Scopes {
					if a.flip("grant") {
						values = append(values, s.Value)
					}
				}
				user := directory.ObjectID("")
				if k >= 0 {
					user = a.users[k].ID
				}
				if len(values) > 0 {
					_, err := a.DelegatedGrants().Add(a.tenant, a.principals[i].ID, a.principals[j].ID, user, values)
					must(a, 0, err)
				}
			}
		}
	}
	for j, api := range a.apps {
		if a.principals[j] == nil {
			continue
		}
		for _, identity := range a.identities {
			a.assign(identity.ID, api, a.principals[j].ID)
		}
		for _, user := range a.users {
			a.assign(user.ID, api, a.principals[j].ID)
		}
	}
}

func (a *author) ask(client *directory.Application) {
	var permissions []directory.Permission
	for _, api := range a.apps {
		p := directory.Permission{API: api.AppID}
		for _, r := range api.AppRoles {
			if a.flip("ask") {
				p.Roles = append(p.Roles, r.ID)
			}
		}
		for _, s := range api.Scopes {
			if a.flip("ask") {
				p.Scopes = append(p.Scopes, s.ID)
			}
		}
		if len(p.Roles)+len(p.Scopes) > 0 {
			permissions = append(permissions, p)
		}
	}
	if graph, is := directory.FindBuiltin("https://graph.microsoft.com"); is && a.flip("ask Graph") {
		permissions = append(permissions, directory.Permission{API: graph.AppID, Scopes: []directory.ScopeID{graph.Scopes[0].ID}})
	}
	_, err := a.Applications().Edit(a.tenant, client.ID, func(next *directory.Application) error {
		next.Permissions = permissions
		return nil
	})
	must(a, 0, err)
}

func (a *author) assign(holder directory.ObjectID, api *directory.Application, resource directory.ObjectID) {
	for _, r := range api.AppRoles {
		if a.flip("assign") {
			_, _, err := a.Assignments().Add(a.tenant, holder, resource, r.ID)
			must(a, 0, err)
		}
	}
}

// remarks draws what something says to people and tools.
func (a *author) remarks() (description, notes string, tags []string, owners []directory.ObjectID, settings json.RawMessage) {
	var all []directory.ObjectID
	for _, p := range append(slices.Clone(a.principals), a.identities...) {
		if p != nil {
			all = append(all, p.ID)
		}
	}
	for _, u := range a.users {
		all = append(all, u.ID)
	}
	for _, id := range all {
		if a.flip("owner") {
			owners = append(owners, id)
		}
	}
	settings = json.RawMessage(rapid.SampledFrom([]string{"", `{"b":1,"a":{"null":null,"x: y":[true,"no","\u007f"]}}`, `{"web.homePageUrl":"https://a.test/<b>"}`}).Draw(a.T, "settings"))
	return rapid.SampledFrom([]string{"", "two\nlines: of #text", "true"}).Draw(a.T, "description"), rapid.SampledFrom([]string{"", "- note"}).Draw(a.T, "notes"),
		subset(a.T, "tags", "HideApp", "null"), owners, settings
}

// writeRemarks says something of everything.
func (a *author) writeRemarks() {
	for i, app := range a.apps {
		_, err := a.Applications().Edit(a.tenant, app.ID, func(next *directory.Application) error {
			next.Description, next.Notes, next.Tags, next.Owners, next.Settings = a.remarks()
			next.SPARedirectURIs, next.NativeRedirectURIs = subset(a.T, "spa", "https://app.test/spa"), subset(a.T, "native", "http://localhost:1", "msal1://auth")
			if next.TokenVersion == 2 && a.flip("audience") {
				next.SignInAudience = directory.AudienceMultipleOrgs
			}
			for j := range next.Scopes {
				if a.flip("user text") {
					next.Scopes[j].UserDisplayName, next.Scopes[j].UserDescription = "on: your behalf", "yes"
				}
			}
			if len(next.Scopes) > 0 && a.flip("pre-authorized") {
				next.PreAuthorized = []directory.PreAuthorization{{App: a.apps[0].AppID, Scopes: []directory.ScopeID{next.Scopes[0].ID}}}
			}
			return nil
		})
		must(a, 0, err)
		if a.principals[i] != nil {
			a.remarkOn(a.principals[i].ID)
		}
	}
	for _, identity := range a.identities {
		a.remarkOn(identity.ID)
	}
	for _, user := range a.users {
		_, err := a.Users().Edit(a.tenant, user.ID, func(next *directory.User) error {
			_, _, _, _, next.Settings = a.remarks()
			return nil
		})
		must(a, 0, err)
	}
}

func (a *author) remarkOn(id directory.ObjectID) {
	_, err := a.ServicePrincipals().Edit(a.tenant, id, func(next *directory.ServicePrincipal) error {
		next.Description, next.Notes, next.Tags, next.Owners, next.Settings = a.remarks()
		if next.Type == directory.PrincipalManagedIdentity && a.flip("place") {
			next.Location, next.ResourceTags = "westeurope", map[string]string{"cost: center": "0123", "b": "true"}
		} else if next.Type == directory.PrincipalApplication {
			next.AlternativeNames = subset(a.T, "alternative", "other: name")
		}
		return nil
	})
	must(a, 0, err)
}

// disable takes some things out of use, after others have got them.
func (a *author) disable() {
	for _, app := range a.apps {
		_, err := a.Applications().Edit(a.tenant, app.ID, func(next *directory.Application) error {
			for i := range next.AppRoles {
				next.AppRoles[i].Enabled = a.flip("role enabled")
			}
			for i := range next.Scopes {
				next.Scopes[i].Enabled = a.flip("scope enabled")
			}
			return nil
		})
		must(a, 0, err)
	}
	for _, user := range a.users {
		_, err := a.Users().Edit(a.tenant, user.ID, func(next *directory.User) error {
			next.Enabled = a.flip("user enabled")
			return nil
		})
		must(a, 0, err)
	}
	_, err := a.Tenants().Edit(a.tenant, func(next *directory.Tenant) error {
		next.Enabled = a.flip("tenant enabled")
		return nil
	})
	must(a, 0, err)
}

// randomSite has two tenants, so that nothing leaks from one into the other.
func randomSite(t *testing.T, r *rapid.T) *site {
	s := newSite(t)
	_, err := s.dir.Change(context.Background(), directory.Operator("test"), func(e *directory.Editor) error {
		for n := range 2 {
			(&author{T: r, Editor: e}).write(n)
		}
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	return s
}

// A directory that is exported and made anew from the file is the same directory, whatever is in
// it; two hundred tenants are.
func TestPropertyExportedDirectoriesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		before := randomSite(t, r)
		file, _ := before.export()
		after := newSite(t)
		if _, err := after.apply(file, manifest.Options{}); err != nil {
			r.Fatalf("%v in\n%s", err, file)
		}
		again, _ := after.export()
		if again != file {
			r.Fatalf("exported\n%sand from that\n%s", file, again)
		}
		if got, want := after.dump(), before.dump(); got != want {
			r.Fatalf("from\n%s\ncame\n%s\nby\n%s", want, got, file)
		}
		if rapid.IntRange(0, 3).Draw(r, "prune") > 0 {
			return
		}
		same, err := before.apply(file, manifest.Options{Prune: true})
		if err != nil {
			r.Fatalf("%v when applied to where it comes from:\n%s", err, file)
		}
		for _, line := range lines(same) { // what the file leaves out is pruned, and nothing else
			if !strings.Contains(line, "secret removed") && !strings.Contains(line, "certificate removed") {
				r.Fatalf("applied to where it comes from, it changes %q", line)
			}
		}
	})
}

// What a file cannot have is told, each with its reason.
func TestExportTellsWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mustApply(orders, manifest.Options{})
	_, err := s.dir.Change(context.Background(), directory.Operator("test"), func(e *directory.Editor) error {
		app, err := e.Applications().Find(contoso, "orders-client")
		if err != nil {
			return err
		}
		for _, name := range []string{"rolecall env 1", "made"} { // one that passes, and one of a name that is there
			if _, _, err := e.Credentials().AddSecret(contoso, app.ID, name, time.Time{}); err != nil {
				return err
			}
		}
		api, err := e.Applications().Find(contoso, "orders-server")
		if err != nil {
			return err
		}
		_, err = e.Applications().Edit(contoso, api.ID, func(next *directory.Application) error {
			next.AppRoles[0].Members = []directory.MemberType{directory.MemberUser} // applications hold it, and cannot any longer
			return nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	file, omitted := s.export()
	want := []string{
		`orders-client: the secret "ci": its text is kept nowhere: applying the file to a new directory makes another`,
		`orders-client: the secret "made": its text is kept nowhere: applying the file to a new directory makes another`,
		`orders-client: the secret "made": another has the same name`,
		`orders-client: the app role Orders.Read of orders-server: its members can no longer hold it`,
		`orders-client: its permission ROLE of orders-server: the API does not have it`,
		`orders-client-mi: the app role Orders.Read of orders-server: its members can no longer hold it`,
		`dev@contoso.test: the password: its text is kept nowhere`,
	}
	for i, line := range omitted {
		if before, after, found := strings.Cut(line, "its permission "); found {
			omitted[i] = before + "its permission ROLE" + after[36:]
		}
	}
	if !slices.Equal(omitted, want) {
		t.Errorf("left out\n%s\nwant\n%s", strings.Join(omitted, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(file, "that people chose") || strings.Contains(file, "rolecall env") || strings.Contains(file, "horse") {
		t.Errorf("the file has what it should not:\n%s", file)
	}
	if _, err := newSite(t).apply(file, manifest.Options{}); err != nil {
		t.Errorf("the file cannot be applied: %v", err)
	}
}

// What an application that is registered only cannot have, and what has neither name nor id.
func TestNewMembersReportTheirPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, file, want string }{
		{"neither name nor app id", `{displayName: x}`, "1:37: an application lacks its name."},
		{"registered only, and granted something", `{name: a, registeredOnly: true, permissions: [{api: a, roles: [R], consent: true}]}`, "1:113: an application without a service principal is granted nothing."},
		{"registered only, and holding something", `{name: a, registeredOnly: true, assignments: [{api: a, roles: [R]}]}`, "1:82: an application without a service principal has no assignments."},
		{"a certificate twice", `{name: a, certificates: [{name: c, file: client.pem, pem: x}]}`, "a certificate comes from file and from pem."},
		{"a certificate from nowhere", `{name: a, certificates: [{name: c}]}`, "a certificate says nowhere where it comes from."},
		{"no certificate", `{name: a, certificates: [{name: c, pem: x}]}`, "this is no certificate in PEM form."},
		{"a grant for nobody", `{name: a, scopes: [{value: S}], delegatedGrants: [{api: a, scopes: [S], user: nobody@t.test}]}`, "there is no user"},
		{"a grant of no scope", `{name: a, delegatedGrants: [{api: a, scopes: []}]}`, "the list names no scope."},
		{"another id of the service principal", `{name: orders, servicePrincipal: {id: 7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11}}`, "and an id cannot be changed."},
		{"a disabled role", `{name: a, appRoles: [{value: R, enabled: false}], assignments: [{api: a, roles: [R]}]}`, `The app role "R" of a is disabled.`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply("tenants: [{name: t, applications: [{name: orders}]}]", manifest.Options{})
			_, err := s.apply("tenants: [{name: t, applications: [ "+tt.file+"]}]", manifest.Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// An application that is to be registered only loses its service principal, and with it what it held.
func TestRegisteredOnlyTakesTheServicePrincipalAway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mustApply("tenants: [{name: t, applications: [{name: api, appRoles: [{value: R}]}, {name: a, assignments: [{api: api, roles: [R]}]}]}]", manifest.Options{})
	got := s.mustApply("tenants: [{name: t, applications: [{name: a, registeredOnly: true}]}]", manifest.Options{})
	if want := []string{"delete assignment a → api/R", "delete servicePrincipal a"}; len(got) != 2 || got[0] != want[0] || !strings.HasPrefix(got[1], want[1]) {
		t.Errorf("got %q, want %q", got, want)
	}
	if again := s.mustApply("tenants: [{name: t, applications: [{name: a, registeredOnly: true}]}]", manifest.Options{}); len(again) > 0 {
		t.Errorf("again: %q", again)
	}
}
