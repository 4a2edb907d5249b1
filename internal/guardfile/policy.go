package guardfile

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// isPolicy reports whether a file is XML, as policies of API Management are.
func isPolicy(content []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))), []byte("<"))
}

// A tokenPolicy is the element validate-azure-ad-token.
type tokenPolicy struct {
	Tenant    string   `xml:"tenant-id,attr"`
	Header    string   `xml:"header-name,attr"`
	Query     string   `xml:"query-parameter-name,attr"`
	Value     string   `xml:"token-value,attr"`
	Code      string   `xml:"failed-validation-httpcode,attr"`
	Message   string   `xml:"failed-validation-error-message,attr"`
	Variable  string   `xml:"output-token-variable-name,attr"`
	Clients   []string `xml:"client-application-ids>application-id"`
	Backends  []string `xml:"backend-application-ids>application-id"`
	Audiences []string `xml:"audiences>audience"`
	Claims    []struct {
		Name      string   `xml:"name,attr"`
		Match     string   `xml:"match,attr"`
		Separator string   `xml:"separator,attr"`
		Values    []string `xml:"value"`
	} `xml:"required-claims>claim"`
}

const policyElement = "validate-azure-ad-token"

// policy reads the policy validate-azure-ad-token of API Management.
func (r *reader) policy(f *File, content []byte) {
	f.Foreign, f.Identity, f.ForwardToken = Policy, IdentityNone, true // as API Management does
	found, err := findPolicies(content)
	switch {
	case err != nil:
		r.problem(nil, "it is no XML: %s", text.Line(err.Error(), text.MaxQuoted))
		return
	case len(found) != 1:
		r.problem(nil, "it has %d elements %s; one is needed", len(found), policyElement)
		return
	}
	p := found[0]
	r.whereTheTokenIs(f, &p)
	api := API{Caller: guard.CallerAny}
	authority, single, err := tenantAuthority(entra + p.Tenant)
	if strings.Contains(p.Tenant, "://") {
		authority, single, err = tenantAuthority(p.Tenant)
	}
	switch {
	case err != nil:
		r.problem(nil, "tenant-id is missing, or not the id, the domain or the https URL of a tenant")
	case !single:
		f.warnOfTenants()
	}
	api.Authority = authority
	if api.Audience = append(trimmed(p.Audiences), trimmed(p.Backends)...); len(api.Audience) == 0 {
		r.problem(nil, "audiences is missing: with this policy a token for any API of the tenant would do; name the API's application id and its identifier URIs")
	}
	rule := guard.Rule{Path: "/*", Clients: trimmed(p.Clients)}
	for _, claim := range p.Claims {
		r.claim(&rule, claim.Name, claim.Match, claim.Separator, trimmed(claim.Values))
	}
	api.Rules, api.Places = []guard.Rule{rule}, []Place{{}}
	f.APIs = []API{api}
	if p.Code != "" && p.Code != "401" {
		f.warn("", "the guard answers 401 where a token does not count and 403 where a right is missing, not %s", clip(p.Code))
	}
	if p.Variable != "" {
		f.warn("", "there is no variable of policies for the token (output-token-variable-name)")
	}
	f.warnOfRoles(&rule)
}

// findPolicies returns the elements of that name, wherever they stand.
func findPolicies(content []byte) (found []tokenPolicy, err error) {
	d := xml.NewDecoder(bytes.NewReader(content))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == policyElement {
			var p tokenPolicy
			if err := d.DecodeElement(&p, &start); err != nil {
				return nil, err
			}
			found = append(found, p)
		}
	}
}

// whereTheTokenIs reports tokens that come elsewhere than in Authorization.
func (r *reader) whereTheTokenIs(f *File, p *tokenPolicy) {
	switch {
	case p.Header != "" && !strings.EqualFold(p.Header, "Authorization"):
		r.problem(nil, "header-name is another header than Authorization, which is the only one that the guard reads")
	case p.Query != "":
		r.problem(nil, "query-parameter-name: the guard takes no token from a query, because queries are logged")
	case p.Value != "":
		r.problem(nil, "token-value: the guard evaluates no expressions, and reads the header Authorization")
	}
	if p.Message != "" {
		f.warn("", "the guard answers in its own words (failed-validation-error-message)")
	}
}

// claim turns a required claim into what a rule says of it.
func (r *reader) claim(rule *guard.Rule, name, match, separator string, values []string) {
	all := match == "" || match == "all"
	if match != "" && match != "all" && match != "any" {
		r.problem(nil, "match of the claim %q is one of all and any", clip(name))
		return
	}
	if len(values) == 0 {
		r.problem(nil, "the claim %q has no value: the guard does not look for the mere presence of a claim", clip(name))
		return
	}
	list := map[string]*[]string{"scp": &rule.Scopes, "tid": &rule.Tenants, "azp": &rule.Clients, "appid": &rule.Clients, "oid": &rule.Principals}[name]
	switch {
	case strings.Contains(strings.Join(values, ""), "@("):
		r.problem(nil, "the claim %q is compared with an expression, and the guard evaluates none", clip(name))
	case name == "roles" && separator != "":
		r.problem(nil, "the claim roles has a separator; roles are a list, each of which is compared whole")
	case name == "roles" && all:
		rule.AllRoles = append(rule.AllRoles, values...)
	case name == "roles" && len(rule.Roles) == 0:
		rule.Roles = values
	case list == nil || len(*list) > 0 || all && len(values) > 1:
		r.problem(nil, "the required claim %q cannot be kept: rules are about roles, scp (one of several), and, once, azp or appid, oid and tid", clip(name))
	default:
		*list = values
	}
}

func trimmed(values []string) (all []string) {
	for _, value := range values {
		if value = strings.TrimSpace(value); value != "" {
			all = append(all, value)
		}
	}
	return all
}

// clip is for names from a file, which a problem may repeat.
func clip(name string) string { return text.Line(name, text.MaxShown) }
