package manifest_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// orders is the file of the documentation, with every part in it.
const orders = `tenants:
  - name: contoso
    id: 7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11
    domains: [contoso.test]
    applications:
      - name: orders-server
        appId: a9100002-5a5a-4c4c-8d8d-000000000002
        identifierUris: [api://orders]
        requestedAccessTokenVersion: 2
        assignmentRequired: false
        optionalClaims: [{name: idtyp}]
        appRoles:
          - {value: Orders.Read, displayName: Read orders, description: Read every order, enabled: true, members: [Application]}
          - {value: Orders.Write, members: [Application, User]}
      - name: orders-client
        appId: c11e0001-5a5a-4c4c-8d8d-000000000001
        secrets: [{name: ci, value: a secret that people chose}, {name: made, generate: true, expires: 2027-12-31}]
        certificates: [{name: prod, file: client.pem}]
        federatedCredentials: [{name: ci, issuer: "https://issuer.test", subject: "repo:orders", audience: api://AzureADTokenExchange}]
        permissions: [{api: orders-server, roles: [Orders.Read], consent: true}]
    managedIdentities:
      - name: orders-client-mi
        type: system
        assignments: [{api: a9100002-5a5a-4c4c-8d8d-000000000002, roles: [Orders.Read, Orders.Write]}]
    users:
      - {userPrincipalName: dev@contoso.test, displayName: Dev, password: {value: correct horse battery}, directoryRoles: [Application Administrator]}
`

const contoso = directory.TenantID("7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11")

// A site is a directory that files are applied to.
type site struct {
	testing.TB
	dir *directory.Directory
}

func newSite(t testing.TB) *site {
	t.Helper()
	dir, err := directory.Open(context.Background(), directory.Config{
		Store: memory.New(), SecretKey: make([]byte, 32), SlowHash: directory.CheapHash(), Now: func() time.Time { return start },
	})
	if err != nil {
		t.Fatal(err)
	}
	return &site{TB: t, dir: dir}
}

// start is the time in every test directory.
var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// clientCertificate makes one certificate for all tests: RSA keys take their time.
var clientCertificate = sync.OnceValues(func() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "orders-client"}, NotBefore: start.Add(-time.Hour), NotAfter: start.AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
})

// apply applies a file and returns what it did.
func (s *site) apply(text string, opts manifest.Options) (*manifest.Result, error) {
	s.Helper()
	file, err := parse(text)
	if err != nil {
		return nil, err
	}
	var result *manifest.Result
	_, err = s.dir.Change(context.Background(), directory.Operator("test"), func(e *directory.Editor) (err error) {
		result, err = file.Apply(e, opts)
		return err
	})
	return result, err
}

// mustApply applies a file and returns the difference as lines.
func (s *site) mustApply(text string, opts manifest.Options) []string {
	s.Helper()
	result, err := s.apply(text, opts)
	if err != nil {
		s.Fatal(err)
	}
	return lines(result)
}

func lines(result *manifest.Result) []string {
	var all []string
	for _, n := range result.Notes {
		all = append(all, strings.TrimSpace(n.Action+" "+n.Kind+" "+n.Name+" "+n.Detail))
	}
	return all
}

// want compares a difference.
func (s *site) want(got []string, want ...string) {
	s.Helper()
	if !slices.Equal(got, want) {
		s.Errorf("got the difference\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// roles returns what a client may do at the orders API.
func (s *site) roles(client string) []string {
	s.Helper()
	var values []string
	_, err := s.dir.Change(context.Background(), directory.Operator("test"), func(e *directory.Editor) error {
		api, err := e.Applications().Find(contoso, "orders-server")
		if err != nil {
			return err
		}
		holder, err := e.ServicePrincipals().Find(contoso, client)
		if err != nil {
			return err
		}
		assignments, err := e.Assignments().AllOf(contoso, holder.ID)
		for _, a := range assignments {
			role, _ := api.Role(string(a.Role))
			values = append(values, role.Value)
		}
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	slices.Sort(values)
	return values
}

func TestApplyMakesWhatTheFileSays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	result, err := s.apply(orders, manifest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Secrets) != 1 || result.Secrets[0].Name != "made" || result.Secrets[0].Application != "orders-client" {
		t.Fatalf("%d generated secrets, want the one", len(result.Secrets))
	}
	ctx := context.Background()
	client, err := s.dir.Named(ctx, contoso, "orders-client")
	if err != nil {
		t.Fatal(err)
	}
	resource, err := s.dir.Resource(ctx, contoso, "api://orders")
	if err != nil {
		t.Fatal(err)
	}
	roles, assigned, err := s.dir.Roles(ctx, client, resource)
	if err != nil || !assigned || !slices.Equal(roles, []string{"Orders.Read"}) {
		t.Errorf("roles %v, assigned %v, %v", roles, assigned, err)
	}
	for _, secret := range []string{"a secret that people chose", result.Secrets[0].Value} {
		if _, err := s.dir.CheckSecret(ctx, client.Application, secret); err != nil {
			t.Errorf("a secret of the file is not accepted: %v", err)
		}
	}
	if got := client.Application; len(got.Certificates) != 1 || len(got.Federated) != 1 || len(got.Permissions) != 1 {
		t.Errorf("%d certificates, %d federated credentials, %d permissions, want one of each", len(got.Certificates), len(got.Federated), len(got.Permissions))
	}
	if got := s.roles("orders-client-mi"); !slices.Equal(got, []string{"Orders.Read", "Orders.Write"}) {
		t.Errorf("the managed identity holds %v", got)
	}
}

func TestApplyTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	for _, opts := range []manifest.Options{{}, {Prune: true}} {
		s := newSite(t)
		s.mustApply(orders, opts)
		result, err := s.apply(orders, opts)
		if err != nil {
			t.Fatal(err)
		}
		s.want(lines(result))
		if len(result.Secrets) != 0 {
			t.Errorf("%d secrets were made again", len(result.Secrets))
		}
	}
}

// An edit of the file of the documentation, as pairs of old and new texts.
func edit(t *testing.T, pairs ...string) string {
	t.Helper()
	text := orders
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the file does not hold %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

func TestApplyEdits(t *testing.T) {
	t.Parallel()
	const (
		consent = ", roles: [Orders.Read], consent: true"
		group   = "/subscriptions/3a7b8859-d6dc-8bc5-873a-38c44291f3d5/resourcegroups/rolecall"
		write   = "          - {value: Orders.Write, members: [Application, User]}\n"
	)
	for _, tt := range []struct {
		name   string
		edit   []string
		prune  bool
		want   []string
		client []string // roles of the client afterwards
	}{
		{
			name: "a new value takes the place of a secret",
			edit: []string{"a secret that people chose", "another secret"},
			want: []string{"update application orders-client secret imported: ci", "update application orders-client secret removed: ci"},
		},
		{
			name: "a display name",
			edit: []string{"name: orders-client\n", "name: orders-client\n        displayName: Client of orders\n"},
			want: []string{
				"update servicePrincipal orders-client displayName:  → Client of orders",
				"update application orders-client displayName:  → Client of orders",
			},
			client: []string{"Orders.Read"},
		},
		{
			name: "so does a new expiry",
			edit: []string{"people chose", "people chose, expires: 2028-01-01"},
			want: []string{"update application orders-client secret imported: ci", "update application orders-client secret removed: ci"},
		},
		{
			name: "a changed trust is replaced",
			edit: []string{"repo:orders", "repo:invoices"},
			want: []string{
				"update application orders-client federated credential removed: ci",
				"update application orders-client federated credential added: ci, issuer https://issuer.test, subject repo:invoices",
			},
		},
		{
			name: "a new name for what has an app id",
			edit: []string{"name: orders-server", "name: orders-api", "api: orders-server", "api: orders-api"},
			want: []string{"update servicePrincipal orders-api name: orders-server → orders-api", "update application orders-api name: orders-server → orders-api"},
		},
		{
			name: "settings of an application",
			edit: []string{"assignmentRequired: false", "assignmentRequired: true\n        enabled: false", "Version: 2", "Version: 1"},
			want: []string{
				"update application orders-server tokenVersion: 2 → 1",
				"update servicePrincipal orders-server enabled: true → false, assignmentRequired: false → true",
			},
		},
		{
			name: "a setting that is not mentioned stays",
			edit: []string{"        requestedAccessTokenVersion: 2\n", "", "        assignmentRequired: false\n", ""},
		},
		{
			name: "a password", edit: []string{"correct horse battery", "another password"},
			want: []string{"update user dev@contoso.test password set"},
		},
		{
			name: "a managed identity of another type",
			edit: []string{"type: system", "type: user"},
			want: []string{"update servicePrincipal orders-client-mi identityKind: system → user, resourceId: " + group + "/providers/Microsoft.Web/sites/orders-client-mi → " +
				group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/orders-client-mi"},
		},
		{
			name: "a trust of a managed identity",
			edit: []string{"type: system", "type: system\n        federatedCredentials: [{name: k8s, issuer: \"https://issuer.test\", subject: pod}]"},
			want: []string{"update servicePrincipal orders-client-mi federated credential added: k8s, issuer https://issuer.test, subject pod"},
		},
		{
			name: "what a user may do, and others for the user",
			edit: []string{
				"        appRoles:", "        scopes: [{id: 5b0e6a3c-1b1f-4e0e-9a53-3f3f0e0c0d02, value: Orders.List, consent: admin}]\n        redirectUris: [\"http://localhost\"]\n        appRoles:",
				consent, ", roles: [Orders.Read], scopes: [Orders.List], consent: true",
				"directoryRoles:", "assignments: [{api: orders-server, roles: [Orders.Write]}], directoryRoles:",
			},
			want: []string{
				"update application orders-server redirectUris: +http://localhost, scopes: +Orders.List",
				"update application orders-client permissions: +a9100002-5a5a-4c4c-8d8d-000000000002/5b0e6a3c-1b1f-4e0e-9a53-3f3f0e0c0d02",
				"create assignment dev@contoso.test → orders-server/Orders.Write",
				"create delegatedGrant orders-client → orders-server for everyone scopes: +Orders.List",
			},
		},
		{
			name: "consent withdrawn stays granted",
			edit: []string{consent, ", roles: [Orders.Read], consent: false"},
		},
		{
			name: "consent withdrawn and pruned", prune: true, client: []string{},
			edit: []string{consent, ", roles: [Orders.Read]"},
			want: []string{"delete assignment orders-client → orders-server/Orders.Read"},
		},
		{
			name: "a role that is not mentioned stays",
			edit: []string{write, "", "[Orders.Read, Orders.Write]", "[Orders.Read]"},
		},
		{
			name: "a role pruned is disabled first", prune: true,
			edit: []string{write, "", "[Orders.Read, Orders.Write]", "[Orders.Read]"},
			want: []string{
				"delete assignment orders-client-mi → orders-server/Orders.Write",
				"update application orders-server appRoles: Orders.Write enabled: true → false",
				"update application orders-server appRoles: -Orders.Write",
			},
		},
		{
			name: "a disabled role keeps its holders",
			edit: []string{"enabled: true", "enabled: false"},
			want: []string{"update application orders-server appRoles: Orders.Read enabled: true → false"},
		},
		{
			name: "a URI that moves", prune: true,
			edit: []string{"        identifierUris: [api://orders]\n", "", "        secrets:", "        identifierUris: [api://orders]\n        secrets:"},
			want: []string{"update application orders-server identifierUris: -api://orders", "update application orders-client identifierUris: +api://orders"},
		},
		{
			name: "credentials pruned", prune: true,
			edit: []string{"[{name: ci, value: a secret that people chose}, {name: made, generate: true, expires: 2027-12-31}]", "[]", "        certificates: [{name: prod, file: client.pem}]\n", ""},
			want: []string{
				"update application orders-client secret removed: ci", "update application orders-client secret removed: made",
				"update application orders-client certificate removed: prod",
			},
		},
		{
			name: "a certificate with a new name", prune: true,
			edit: []string{"name: prod", "name: live"},
		},
		{
			name: "users and identities pruned with their domain", prune: true,
			edit: []string{orders[strings.Index(orders, "    managedIdentities:"):], "", "    domains: [contoso.test]\n", ""},
			want: []string{
				"delete assignment orders-client-mi → orders-server/Orders.Read", "delete assignment orders-client-mi → orders-server/Orders.Write",
				"delete servicePrincipal orders-client-mi", "delete user dev@contoso.test", "update tenant contoso domains: -contoso.test",
			},
		},
		{
			name: "users and identities that are not mentioned stay",
			edit: []string{orders[strings.Index(orders, "    managedIdentities:"):], "", "    domains: [contoso.test]\n", ""},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(orders, manifest.Options{})
			text := edit(t, tt.edit...)
			got := s.mustApply(text, manifest.Options{Prune: tt.prune})
			if tt.want != nil || !tt.prune {
				sortDeletes(got)
				s.want(got, tt.want...)
			}
			if tt.client != nil && !slices.Equal(s.roles("orders-client"), tt.client) {
				t.Errorf("the client holds %v, want %v", s.roles("orders-client"), tt.client)
			}
			s.want(s.mustApply(text, manifest.Options{Prune: tt.prune}))
		})
	}
}

// sortDeletes sorts assignments that go at once, which come in the order of random ids.
func sortDeletes(difference []string) {
	end := 0
	for end < len(difference) && strings.HasPrefix(difference[end], "delete assignment") {
		end++
	}
	slices.Sort(difference[:end])
}

func TestPruneLeavesOtherTenantsAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mustApply(orders, manifest.Options{})
	s.mustApply("tenants:\n  - name: fabrikam\n    applications: [{name: lonely}]\n", manifest.Options{Prune: true})
	s.want(s.mustApply(orders, manifest.Options{Prune: true}))
}

func TestReferencesToTheDirectory(t *testing.T) {
	t.Parallel()
	const more = "tenants:\n  - name: contoso\n    applications:\n      - name: report\n        permissions: [{api: orders-server, roles: [Orders.Read], consent: true}]\n"
	s := newSite(t)
	s.mustApply(orders, manifest.Options{})
	s.mustApply(more, manifest.Options{})
	if got := s.roles("report"); !slices.Equal(got, []string{"Orders.Read"}) {
		t.Errorf("the new application holds %v", got)
	}
	_, err := s.apply(more, manifest.Options{Prune: true})
	checkProblems(t, err, []string{`5:29: there is no application "orders-server"`})
}

func TestApplyReportsTheExactPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		text string
		want []string
	}{
		{"references that lead nowhere, all of them", edit(t, "api: orders-server", "api: invoices", "roles: [Orders.Read, Orders.Write]", "roles: [Orders.Raed, Orders.Write]"), []string{
			`20:29: there is no application "invoices" in the tenant contoso.`, `24:75: orders-server has no app role "Orders.Raed".`,
		}},
		{"a role of other case", edit(t, "roles: [Orders.Read], consent", "roles: [orders.read], consent"), []string{`20:52: orders-server has no app role "orders.read".`}},
		{"an object id for a reference", edit(t, "api: orders-server", "api: 00000000-0000-4000-8000-000000000001"), []string{"20:29: there is no application"}},
		{"a role with a space in it", edit(t, "value: Orders.Write", "value: Orders Write"), []string{`14:21: The app role value "Orders Write"`}},
		{"a role for users alone", edit(t, "[Application, User]", "[User]"), []string{`24:88: The app role "Orders.Write" of orders-server is for users only.`}},
		{"a resource id of another type", edit(t, "type: system", "type: system\n        resourceId: /subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"), []string{`24:21: The resource id "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssign…" does not go with the kind system.`}},
		{"a role that users may not hold", edit(t, "directoryRoles: [Application Administrator]", "assignments: [{api: orders-server, roles: [Orders.Read]}]"), []string{`26:150: The app role "Orders.Read" of orders-server is for applications only.`}},
		{"a scope there is not", edit(t, "roles: [Orders.Read], consent", "scopes: [Orders.Read], consent"), []string{`20:53: orders-server has no scope "Orders.Read".`}},
		{"a scope with a slash", edit(t, "        appRoles:", "        scopes: [{value: A}, {value: a/b}]\n        appRoles:"), []string{`12:38: The scope value "a/b"`}},
		{"a redirect to anywhere", edit(t, "        appRoles:", "        redirectUris: [\"http://localhost\", \"http://contoso.test\"]\n        appRoles:"), []string{`12:44: The redirect URI "http://contoso.test" is not encrypted.`}},
		{"a disabled role", edit(t, "value: Orders.Write", "value: Orders.Write, enabled: false"), []string{`24:88: The app role "Orders.Write" of orders-server is disabled.`}},
		{"a URI that is none", edit(t, "[api://orders]", "[api://orders, orders]"), []string{`8:40: The identifier URI "orders" is not an absolute URI.`}},
		{"a domain with token in it", edit(t, "[contoso.test]", "[contoso.test, tokens.test]"), []string{`4:29: domains[1] "tokens.test" contains the word`}},
		{"an expired secret", edit(t, "people chose", "people chose, expires: 2020-01-01"), []string{`17:74: The secret "ci" would have expired already.`}},
		{"an issuer without https", edit(t, "https://issuer.test", "http://issuer.test"), []string{`19:51: The issuer "http://issuer.test" is not an https URL.`}},
		{"a trust with a space in its name", edit(t, "federatedCredentials: [{name: ci", "federatedCredentials: [{name: c i"), []string{`19:39: The federated credential cannot be named "c i".`}},
		{"a user of another domain", edit(t, "dev@contoso.test", "dev@fabrikam.test"), []string{`26:29: "fabrikam.test" is not a domain of the tenant contoso.`}},
		{"a short password", edit(t, "correct horse battery", "short"), []string{`26:75: The password is too short or too long.`}},
		{"a directory role twice", edit(t, "[Application Administrator]", "[Reader, Reader]"), []string{`26:132: The directory role "Reader" is listed twice.`}},
		{"a tenant name with token in it", edit(t, "name: contoso", "name: token"), []string{`2:11: name "token" contains the word`}},
		{"an identity that looks like an id", edit(t, "name: orders-client-mi", "name: 00000000-0000-4000-8000-000000000001"), []string{`22:15: name "00000000-0000-4000-8000-000000000001" looks like an id.`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newSite(t).apply(tt.text, manifest.Options{})
			checkProblems(t, err, tt.want)
		})
	}
}

func TestApplyOverWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		text string
		want []string
	}{
		{"another tenant id", edit(t, "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11", "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b12"), []string{`3:9: "contoso" has the id 7f1d3c52`}},
		{"another app id", edit(t, "c11e0001-5a5a-4c4c-8d8d-000000000001", "c11e0001-5a5a-4c4c-8d8d-000000000009"), []string{`16:16: "orders-client" has the appId c11e0001`}},
		{"another object id", edit(t, "name: orders-client\n", "name: orders-client\n        id: c11e0001-5a5a-4c4c-8d8d-000000000009\n"), []string{`16:13: "orders-client" has the id `}},
		{"an application twice, by name and by id", edit(t, "        appId: c11e0001-5a5a-4c4c-8d8d-000000000001\n", "", "    managedIdentities:", "      - {name: orders-daemon, appId: c11e0001-5a5a-4c4c-8d8d-000000000001}\n    managedIdentities:"), []string{
			`20:9: this is "orders-client", which is described from line 15 on already.`,
		}},
		{"a tenant twice, by name and by id", edit(t, "    id: "+string(contoso)+"\n", "") + "  - {name: other, id: " + string(contoso) + "}\n", []string{
			`26:5: this is "contoso", which is described from line 2 on already.`,
		}},
		{"another expiry of a generated secret", edit(t, "expires: 2027-12-31", "expires: 2028-12-31"), []string{`17:104: the secret "made" was made with the expiry 2027-12-31T00:00:00Z, which stays.`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(orders, manifest.Options{})
			_, err := s.apply(tt.text, manifest.Options{})
			checkProblems(t, err, tt.want)
			s.want(s.mustApply(orders, manifest.Options{})) // nothing came of it
		})
	}
}

func TestDryRunIsTheSameCode(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	// A given id for the role: a made one would differ between the runs.
	text := edit(t, "{value: Orders.Read, ", "{id: 5b0e6a3c-1b1f-4e0e-9a53-3f3f0e0c0d01, value: Orders.Read, ")
	file, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var dry *manifest.Result
	rollback := errors.New("rolled back")
	_, err = s.dir.Change(context.Background(), directory.Operator("test"), func(e *directory.Editor) error {
		if dry, err = file.Apply(e, manifest.Options{}); err != nil {
			return err
		}
		return rollback
	})
	if !errors.Is(err, rollback) {
		t.Fatal(err)
	}
	s.want(s.mustApply(text, manifest.Options{}), lines(dry)...)
}

func TestFilesOfTheDocumentation(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"testdata/rolecall.yaml", "testdata/optional.yaml"} {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s := newSite(t)
		if got := s.mustApply(string(content), manifest.Options{}); len(got) == 0 {
			t.Errorf("%s made nothing", name)
		}
		s.want(s.mustApply(string(content), manifest.Options{}))
		s.want(s.mustApply(string(content), manifest.Options{Prune: true}))
	}
}
