package manifest_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
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

// leftOut are the fields of the directory's model that a file has not, each with its reason. All
// others are written by Export and made by Apply.
var leftOut = map[string]string{
	"Tenant.Created": "when it was made anew counts", "Application.Created": "as above", "ServicePrincipal.Created": "as above", "Host.Created": "as above",
	"Assignment.Created": "as above", "DelegatedGrant.Created": "as above", "ResourceGroup.Created": "as above", "User.Created": "as above",
	"Secret.Created": "as above", "Certificate.Created": "as above",
	"Host.Renewed":      "another folder derives another secret",
	"User.SessionsFrom": "it ends sessions, of which no file has any", "User.Password": "its text is kept nowhere",
	"Secret.ID": "the file asks for another secret", "Secret.Hint": "as above", "Secret.Scheme": "as above", "Secret.Salt": "as above", "Secret.Cost": "as above",
	"Secret.Digest": "as above", "Secret.From": "another secret counts from when it is made",
	"Certificate.ID": "its thumbprint names it", "FederatedCredential.ID": "its name names it", "ResourceGroup.ID": "nobody is shown it",
	"Assignment.ID": "its ends name it", "DelegatedGrant.ID": "its ends name it",
	"Permission.Order": "it says how they are listed, and nothing else",
	"Stored.Version":   "it counts the changes of one folder",
}

// A content collects what directories hold, and which fields of the model had a value.
type content struct {
	strings.Builder
	used map[string]bool // "Application.Notes"
}

// write writes one thing without the fields that are left out.
func (c *content) write(v any) error {
	bare := reflect.New(reflect.TypeOf(v).Elem()).Elem()
	bare.Set(reflect.ValueOf(v).Elem())
	c.strip(bare)
	line, err := json.Marshal(bare.Interface())
	if err != nil {
		return err
	}
	fmt.Fprintf(c, "%s %s\n", bare.Type().Name(), line)
	return nil
}

// strip empties what is left out of a value, and brings what has no order into one.
func (c *content) strip(v reflect.Value) {
	if settings, is := v.Interface().(json.RawMessage); is {
		v.Set(reflect.ValueOf(sortedMembers(settings)))
		return
	}
	switch {
	case v.Kind() == reflect.Slice && v.Len() > 0 && v.Type().Elem().Kind() != reflect.Uint8:
		all := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(all, v)
		for i := range all.Len() {
			c.strip(all.Index(i))
		}
		v.Set(all)
		switch ids := v.Interface().(type) { // sets
		case []directory.RoleID:
			slices.Sort(ids)
		case []directory.ScopeID:
			slices.Sort(ids)
		}
	case v.Kind() == reflect.Struct && v.Type().PkgPath() == reflect.TypeFor[directory.Application]().PkgPath():
		for i := range v.NumField() {
			name := v.Type().Name() + "." + v.Type().Field(i).Name
			if !v.Field(i).IsZero() {
				c.used[name] = true
			}
			if leftOut[name] != "" {
				v.Field(i).SetZero()
				continue
			}
			c.strip(v.Field(i))
		}
	}
}

// dump is everything that a file should have of a directory.
func (s *site) dump() *content {
	s.Helper()
	c := &content{used: map[string]bool{}}
	view := s.dir.View(context.Background())
	tenants, err := view.Tenants().All()
	if err != nil {
		s.Fatal(err)
	}
	for _, t := range tenants {
		if err := errors.Join(c.write(t), c.tenant(view, t.ID)); err != nil {
			s.Fatal(err)
		}
	}
	return c
}

func (c *content) tenant(view *directory.View, tenant directory.TenantID) error {
	policy, err := view.AppManagementPolicy(tenant)
	if err != nil {
		return err
	}
	return errors.Join(
		c.write(policy),
		writeAll(c, tenant, view.Applications(), func(a *directory.Application) {
			a.Secrets, a.Certificates = told(a.Secrets), toldCertificates(a.Certificates)
		}),
		writeAll(c, tenant, view.ServicePrincipals(), func(p *directory.ServicePrincipal) {
			p.Secrets, p.Certificates = told(p.Secrets), toldCertificates(p.Certificates)
		}),
		writeAll(c, tenant, view.Hosts(), func(*directory.Host) {}),
		writeAll(c, tenant, view.Users(), func(*directory.User) {}),
		writeAll(c, tenant, view.ResourceGroups(), func(*directory.ResourceGroup) {}),
		c.relations(view, tenant),
	)
}

// everything lists the things of one kind.
type everything[T any] interface {
	All(directory.TenantID) ([]*T, error)
}

func writeAll[T any](c *content, tenant directory.TenantID, of everything[T], reduce func(*T)) error {
	all, err := of.All(tenant)
	if err != nil {
		return err
	}
	for _, one := range all {
		reduce(one)
		if err := c.write(one); err != nil {
			return err
		}
	}
	return nil
}

// relations writes what service principals and users hold.
func (c *content) relations(view *directory.View, tenant directory.TenantID) error {
	principals, err := view.ServicePrincipals().All(tenant)
	if err != nil {
		return err
	}
	users, err := view.Users().All(tenant)
	if err != nil {
		return err
	}
	var holders []directory.ObjectID
	for _, p := range principals {
		holders = append(holders, p.ID)
	}
	for _, u := range users {
		holders = append(holders, u.ID)
	}
	for _, holder := range holders {
		assignments, err := view.Assignments().AllOf(tenant, holder)
		if err != nil {
			return err
		}
		for _, a := range assignments {
			if err := c.write(a); err != nil {
				return err
			}
		}
		grants, err := view.DelegatedGrants().AllOf(tenant, holder)
		if err != nil {
			return err
		}
		for _, g := range grants {
			if err := c.write(g); err != nil {
				return err
			}
		}
	}
	return nil
}

// told are the secrets that a file asks for: each name once, and none of a program that ran.
func told(all []directory.Secret) (kept []directory.Secret) {
	names := map[string]bool{"rolecall env 1": true}
	for _, s := range all {
		if !names[s.Name] {
			kept = append(kept, s)
		}
		names[s.Name] = true
	}
	return kept
}

// toldCertificates is told for certificates.
func toldCertificates(all []directory.Certificate) (kept []directory.Certificate) {
	names := map[string]bool{}
	for _, c := range all {
		if !names[c.Name] {
			kept = append(kept, c)
		}
		names[c.Name] = true
	}
	return kept
}

func sortedMembers(settings json.RawMessage) json.RawMessage {
	var all map[string]any
	if json.Unmarshal(settings, &all) != nil {
		return nil
	}
	sorted, _ := json.Marshal(all) // what was JSON before
	return sorted
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
	a.writeGroups()
	a.writeIdentities(n)
	a.writeCredentials()
	a.writePolicy()
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
			host.User = rapid.SampledFrom([]string{"", "www-data", "1000"}).Draw(a.T, "user")
		}
		if a.flip("has it") {
			host.Identities = []directory.ObjectID{identity.ID}
		}
		h, err := a.Hosts().Create(host)
		must(a, h, err)
	}
}

// writeGroups makes resource groups, in one of which identities may be.
func (a *author) writeGroups() {
	for _, name := range subset(a.T, "groups", "Team", "no", "empty.group") {
		g := directory.ResourceGroup{Tenant: a.tenant, Name: name}
		if a.flip("group place") {
			g.Location, g.Tags = a.word("location"), map[string]string{"cost: center": a.word("tag"), "blank": ""}
		}
		made, err := a.ResourceGroups().Create(g)
		must(a, made, err)
	}
}

// writePolicy forbids, at times, what is there already.
func (a *author) writePolicy() {
	if !a.flip("policy") {
		return
	}
	p, err := a.EditAppManagementPolicy(a.tenant, func(next *directory.AppManagementPolicy) error {
		next.Enabled, next.SecretsForbidden = a.flip("policy enabled"), a.flip("no secrets")
		next.MaxSecretLife = rapid.SampledFrom([]time.Duration{0, 24 * time.Hour, 90 * time.Minute, time.Second + 500*time.Nanosecond}).Draw(a.T, "secret life")
		next.MaxCertificateLife = rapid.SampledFrom([]time.Duration{0, time.Hour, 365 * 24 * time.Hour}).Draw(a.T, "certificate life")
		_, _, _, _, next.Settings = a.remarks()
		return nil
	})
	must(a, p, err)
}

func (a *author) writeCredentials() {
	block, err := clientCertificate()
	der, _ := pem.Decode(block)
	must(a, der, err)
	for i, app := range a.apps {
		a.writeKeys(app.ID, der.Bytes)
		a.writeTrusts(app.ID)
		if a.principals[i] != nil {
			a.writeKeys(a.principals[i].ID, der.Bytes)
		}
	}
	for _, identity := range a.identities {
		a.writeTrusts(identity.ID)
	}
}

// writeKeys gives secrets and a certificate to an application, or to a service principal.
func (a *author) writeKeys(owner directory.ObjectID, der []byte) {
	for _, name := range subset(a.T, "secrets", "ci", "true", "rolecall env 1", "ci") {
		expires := time.Time{}
		if a.flip("ends") {
			expires = start.Add(time.Hour + 1234*time.Microsecond)
		}
		_, _, err := a.Credentials().AddSecret(a.tenant, owner, name, expires)
		must(a, 0, err)
	}
	if !a.flip("certificate") {
		return
	}
	wanted := directory.NewCertificate{DER: der, Name: a.word("certificate")}
	if a.flip("certificate of another kind") {
		wanted.Usage, wanted.From, wanted.Until = directory.CertificateSign, start.Add(time.Minute), start.Add(2*time.Hour)
	}
	_, err := a.Credentials().KeepCertificate(a.tenant, owner, wanted)
	must(a, 0, err)
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

// randomSite has two tenants at times, so that nothing leaks from one into the other.
func randomSite(t *testing.T, r *rapid.T) *site {
	s := newSite(t)
	_, err := s.dir.Change(context.Background(), directory.Operator("test"), func(e *directory.Editor) error {
		for n := range 1 + rapid.IntRange(0, 3).Draw(r, "tenants")/3 {
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
// it: two hundred are. Among them, each field of the model that a file should have has a value.
func TestPropertyExportedDirectoriesComeBack(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	used := map[string]bool{} // guarded by mu
	t.Run("directories", func(t *testing.T) {
		for half := range 2 { // rapid makes a hundred
			t.Run(fmt.Sprint("half ", half), func(t *testing.T) {
				t.Parallel()
				made := 0
				rapid.Check(t, func(r *rapid.T) {
					if made++; fixture.Raced && made > 10 {
						return
					}
					had := comesBack(t, r)
					mu.Lock()
					defer mu.Unlock()
					maps.Copy(used, had)
				})
			})
		}
	})
	if testing.Short() || fixture.Raced {
		return
	}
	for _, name := range modelFields() {
		if !used[name] && leftOut[name] == "" {
			t.Errorf("none of the random directories has a %s: let some have it, or say why a file has it not", name)
		}
	}
}

// comesBack exports a random directory and makes it anew. It returns the fields that had a value.
func comesBack(t *testing.T, r *rapid.T) map[string]bool {
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
	was := before.dump()
	if got, want := after.dump().String(), was.String(); got != want {
		r.Fatalf("from\n%s\ncame\n%s\nby\n%s", want, got, file)
	}
	if rapid.IntRange(0, 3).Draw(r, "prune") > 0 {
		return was.used
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
	return was.used
}

// modelFields are the fields of all that a directory holds, by reflection.
func modelFields() (all []string) {
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || t.PkgPath() != reflect.TypeFor[directory.Application]().PkgPath() || seen[t] {
			return
		}
		seen[t] = true
		for i := range t.NumField() {
			name := t.Name() + "." + t.Field(i).Name
			if leftOut[name] == "" {
				walk(t.Field(i).Type)
			}
			if !t.Field(i).Anonymous {
				all = append(all, name)
			}
		}
	}
	for _, t := range []reflect.Type{
		reflect.TypeFor[directory.Tenant](), reflect.TypeFor[directory.Application](), reflect.TypeFor[directory.ServicePrincipal](), reflect.TypeFor[directory.Host](),
		reflect.TypeFor[directory.Assignment](), reflect.TypeFor[directory.DelegatedGrant](), reflect.TypeFor[directory.User](), reflect.TypeFor[directory.ResourceGroup](),
		reflect.TypeFor[directory.AppManagementPolicy](),
	} {
		walk(t)
	}
	return all
}

// Every noun of a View is one that a file has, or one that Export tells about.
func TestEveryNounIsExportedOrTold(t *testing.T) {
	t.Parallel()
	known := []string{
		"AppManagementPolicy", "Applications", "Assignments", "Builtin", "Builtins", "DelegatedGrants", "Deleted", "Hosts", "Identities", "ResourceGroups", "ServicePrincipals", "Tenants", "Users",
	} // what is built in is in every directory, and what is deleted is told
	var nouns []string
	view := reflect.TypeFor[*directory.View]()
	for i := range view.NumMethod() {
		nouns = append(nouns, view.Method(i).Name)
	}
	if !slices.Equal(nouns, known) {
		t.Errorf("a View has %v, and Export knows of %v", nouns, known)
	}
	for name := range leftOut {
		if !slices.Contains(append(modelFields(), "Stored.Version"), name) {
			t.Errorf("%s is left out, and no field of the model", name)
		}
	}
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
		principal, err := e.ServicePrincipals().Find(contoso, "orders-client")
		if err != nil {
			return err
		}
		if _, _, err := e.Credentials().MakeSecret(contoso, principal.ID, directory.NewSecret{}); err != nil {
			return err
		}
		gone, err := e.Applications().Create(directory.Application{Tenant: contoso, Name: "gone", TokenVersion: 2})
		if err != nil {
			return err
		}
		if _, err := e.Applications().Discard(contoso, gone.ID); err != nil {
			return err
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
		`: the application gone: it is deleted, and can be restored here until 2026-12-23`,
		`orders-client: the secret ID of its service principal: it has no name`,
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
		if before, after, found := strings.Cut(line, ": the secret "); found && after[0] != '"' {
			omitted[i] = before + ": the secret ID" + after[36:]
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
		{"a secret of a service principal twice", `{name: a, servicePrincipal: {secrets: [{name: s, generate: true}, {name: s, generate: true}]}}`, `the secret name "s" is used twice`},
		{"a certificate of an unknown usage", `{name: a, certificates: [{name: c, file: client.pem, usage: Encrypt}]}`, `"Encrypt" is none of Verify, Sign.`},
		{"a certificate that counts for longer than it says", `{name: a, certificates: [{name: c, file: client.pem, validUntil: 2099-01-01}]}`, `The certificate "c" cannot count from or until 2099-01-01`},
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

// What a file says of a tenant as a whole, wrongly.
func TestTenantMembersReportTheirPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, file, want string }{
		{"no length of time", `appManagementPolicy: {maxSecretLifetime: soon}`, `1:62: "soon" is no length of time.`},
		{"a length below zero", `appManagementPolicy: {maxCertificateLifetime: -1h}`, `1:67: "-1h" is no length of time.`},
		{"more days than fit", `appManagementPolicy: {maxSecretLifetime: 100001d}`, `"100001d" is no length of time.`},
		{"a number of days", `appManagementPolicy: {maxSecretLifetime: 180}`, `1:62: a number stands where text belongs.`},
		{"a resource group twice", `resourceGroups: [{name: team}, {name: Team}]`, `1:59: the resource group "Team" is used twice, first in line 1.`},
		{"a resource group that cannot be named so", `resourceGroups: [{name: "a b"}]`, `1:45: A resource group cannot be named "a b".`},
		{"a tag that is no text", `resourceGroups: [{name: g, tags: {cost: 5}}]`, `1:61: a number stands where text belongs.`},
		{"a tag twice", `resourceGroups: [{name: g, tags: {a: x, a: y}}]`, `1:61: the tag "a" is there twice.`},
		{"tags that are none", `resourceGroups: [{name: g, tags: [a]}]`, `1:54: a list stands where an object belongs.`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := newSite(t).apply("tenants: [{name: t, "+tt.file+"}]", manifest.Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// A policy counts for what a file adds, but where the file brings both into a tenant without one.
func TestPolicyCountsForWhatComesAfterIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const policy = "tenants: [{name: t, appManagementPolicy: {enabled: true, secretsForbidden: true, maxCertificateLifetime: 90d}, applications: ["
	s.mustApply(policy+"{name: a, secrets: [{name: first, generate: true}]}]}]", manifest.Options{})
	if again := s.mustApply(policy+"{name: a, secrets: [{name: first, generate: true}]}]}]", manifest.Options{}); len(again) > 0 {
		t.Errorf("again: %q", again)
	}
	_, err := s.apply(policy+"{name: a, servicePrincipal: {secrets: [{name: second, generate: true}]}}]}]", manifest.Options{})
	if !errors.Is(err, directory.ErrPolicy) {
		t.Errorf("a secret after the policy: %v", err)
	}
	s.mustApply("tenants: [{name: t, appManagementPolicy: {secretsForbidden: false}, applications: [{name: a, secrets: [{name: second, generate: true}]}]}]", manifest.Options{})
	got := s.mustApply("tenants: [{name: t, applications: [{name: a}]}]", manifest.Options{Prune: true})
	if !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, "policy") }) {
		t.Errorf("pruning leaves the policy: %q", got)
	}
}

// With --prune a resource group goes with what was in it, and stays for what the file keeps there.
func TestPruneKeepsResourceGroupsInUse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mustApply("tenants: [{name: t, resourceGroups: [{name: kept, location: westeurope, tags: {a: b}}, {name: gone}]}]", manifest.Options{})
	tenants, err := s.dir.View(t.Context()).Tenants().All()
	if err != nil {
		t.Fatal(err)
	}
	in := func(group, name string) string {
		return fmt.Sprintf("{name: %s, type: user, resourceId: /subscriptions/%s/resourceGroups/%s/providers/Microsoft.ManagedIdentity/userAssignedIdentities/%s}", name, directory.Subscription(tenants[0].ID), group, name)
	}
	s.mustApply("tenants: [{name: t, managedIdentities: ["+in("kept", "stays")+", "+in("gone", "goes")+"]}]", manifest.Options{})
	s.mustApply("tenants: [{name: t, managedIdentities: ["+in("kept", "stays")+"]}]", manifest.Options{Prune: true})
	groups, err := s.dir.View(t.Context()).ResourceGroups().All(tenants[0].ID)
	if err != nil || len(groups) != 1 || groups[0].Name != "kept" || groups[0].Tags["a"] != "b" {
		t.Errorf("there are %v: %v", groups, err)
	}
	if _, err := s.dir.View(t.Context()).Identities().Find(tenants[0].ID, "stays"); err != nil {
		t.Errorf("what the file keeps: %v", err)
	}
	if got := s.mustApply("tenants: [{name: t, resourceGroups: [{name: KEPT, tags: {a: c}}]}]", manifest.Options{}); len(got) != 1 || !strings.Contains(got[0], "~tags") {
		t.Errorf("a tag changes with %q", got)
	}
}
