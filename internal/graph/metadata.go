package graph

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// metadataRoutes is the route of the description of what there is.
func metadataRoutes() []route {
	return []route{{http.MethodGet, "$metadata", anybody(), metadata}}
}

// A schema describes types, made from things as they are answered, so that it tells of exactly
// their members.
type schema struct {
	types []string // XML of each
}

// metadata answers with the schema (CSDL) of what is served.
func metadata(c *call) (answer, error) {
	s := &schema{}
	sets := [][2]string{}
	for _, one := range samples(c) {
		s.describe("EntityType", one.kind, one.shown)
		if one.set != "" {
			sets = append(sets, [2]string{one.set, one.kind})
		}
	}
	var b strings.Builder
	b.WriteString(xml.Header + `<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>` +
		`<Schema Namespace="microsoft.graph" xmlns="http://docs.oasis-open.org/odata/ns/edm">`)
	for _, one := range s.types {
		b.WriteString(one)
	}
	b.WriteString(`<EntityContainer Name="GraphService">`)
	for _, set := range sets {
		fmt.Fprintf(&b, `<EntitySet Name="%s" EntityType="microsoft.graph.%s"/>`, set[0], set[1])
	}
	b.WriteString(`<Singleton Name="me" Type="microsoft.graph.user"/></EntityContainer></Schema></edmx:DataServices></edmx:Edmx>`)
	return answer{status: http.StatusOK, body: &raw{"application/xml", []byte(b.String())}}, nil
}

// A sample is a thing of a kind with an element in each collection.
type sample struct {
	set, kind string
	shown     object
}

func samples(c *call) []sample {
	app := &directory.Application{
		AppRoles: make([]directory.AppRole, 1), Scopes: make([]directory.Scope, 1), Secrets: make([]directory.Secret, 1), Certificates: make([]directory.Certificate, 1),
		PreAuthorized: make([]directory.PreAuthorization, 1), OptionalClaims: make([]directory.OptionalClaim, 1), RedirectURIs: make([]string, 1),
		Permissions: []directory.Permission{{Roles: make([]directory.RoleID, 1)}},
	}
	principal := &principalDraft{
		ServicePrincipal: &directory.ServicePrincipal{Secrets: app.Secrets, Certificates: app.Certificates}, app: app, tenant: c.caller.tenant, about: settings{}, settings: settings{},
	}
	all := []sample{
		{"applications", kindApplication, c.renderApplication(app)},
		{"servicePrincipals", kindPrincipal, render(principalTable, principal)},
		{"users", kindUser, c.renderUser(&directory.User{})},
		{"", "federatedIdentityCredential", renderFederated(c, directory.FederatedCredential{})},
	}
	// These are rendered without reading anything that could fail.
	grant, _ := renderGrant(&directory.DelegatedGrant{})
	organization, _ := renderOrganization(&directory.Tenant{Domains: []string{""}})
	domain, _ := renderDomain(&domain{})
	change, _ := renderAudit(&audit.Row{Event: audit.Event{Detail: "x"}})
	row := &directory.SignIn{}
	signIn := append(signInObject(row, eventUser), resourceMembers(row, nil)...)
	signIn = append(signIn, userMembers(row, nil)...)
	if c.isBeta() {
		signIn = append(signIn, betaMembers(row, eventUser, nil)...)
	}
	return append(all,
		sample{"oauth2PermissionGrants", "oAuth2PermissionGrant", grant}, sample{"", "appRoleAssignment", assignmentObject(&directory.Assignment{}, party{}, party{})},
		sample{"organization", "organization", organization}, sample{"domains", "domain", domain},
		sample{"", "signIn", signIn}, sample{"", "directoryAudit", change},
	)
}

// describe adds a type, and those of its members.
func (s *schema) describe(element, name string, shown object) {
	var b strings.Builder
	fmt.Fprintf(&b, `<%s Name="%s">`, element, name)
	if element == "EntityType" {
		b.WriteString(`<Key><PropertyRef Name="id"/></Key>`)
	}
	for _, m := range shown {
		nullable := ""
		if m.name == "id" && element == "EntityType" {
			nullable = ` Nullable="false"`
		}
		fmt.Fprintf(&b, `<Property Name="%s" Type="%s"%s/>`, m.name, s.typeOf(name, m), nullable)
	}
	fmt.Fprintf(&b, `</%s>`, element)
	s.types = append(s.types, b.String())
}

// typeOf is the type of a member, by its value.
func (s *schema) typeOf(of string, m member) string {
	switch value := m.value.(type) {
	case nil:
		if strings.HasSuffix(m.name, "DateTime") {
			return "Edm.DateTimeOffset"
		}
		return "Edm.String"
	case json.RawMessage:
		return "Edm.Untyped"
	case object:
		return s.complexType(of, m.name, value)
	case []object:
		if len(value) == 0 {
			return "Collection(Edm.Untyped)"
		}
		return "Collection(" + s.complexType(of, m.name, value[0]) + ")"
	}
	switch v := reflect.ValueOf(m.value); v.Kind() {
	case reflect.Bool:
		return "Edm.Boolean"
	case reflect.Int, reflect.Int64:
		return "Edm.Int32"
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String {
			return "Collection(Edm.String)"
		}
		return "Collection(Edm.Untyped)"
	default: // a text, or nothing
	}
	if strings.HasSuffix(m.name, "DateTime") {
		return "Edm.DateTimeOffset"
	}
	return "Edm.String"
}

func (s *schema) complexType(of, name string, shown object) string {
	inner := of + strings.ToUpper(name[:1]) + name[1:]
	s.describe("ComplexType", inner, shown)
	return "microsoft.graph." + inner
}
