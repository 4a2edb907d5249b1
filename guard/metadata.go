package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// A Resource is what an API tells of itself to clients that know only its URL
// (RFC 9728): which authority issues its tokens, and how they are sent.
type Resource struct {
	// URL is by what clients call the API, such as https://orders.contoso.test or
	// https://contoso.test/orders. Required.
	URL string

	Name          string // for people
	Documentation string // URL of a page for developers

	// MutualTLS says that the server asks its clients for certificates, so that
	// tokens which are bound to one are of use.
	MutualTLS bool
}

// wellKnown stands between host and path of a resource (RFC 9728 section 3).
const wellKnown = "/.well-known/oauth-protected-resource"

// check returns what is wrong with the settings.
func (r *Resource) check() error {
	u, err := url.Parse(r.URL)
	if err != nil || checkURL("URL", r.URL) != nil || u.RawQuery != "" || u.Path != "" && u.Path != "/" && !cleanPath(u.Path) || quotable(r.URL) != r.URL {
		return fmt.Errorf("the URL %q of Resource is not one such as https://orders.contoso.test/api", r.URL)
	}
	if r.Documentation != "" && checkURL("Documentation", r.Documentation) != nil {
		return errors.New("the Documentation of Resource is not the URL of a page")
	}
	return nil
}

// metadataPath is where the document of a resource, which was checked, is at its host.
func (r *Resource) metadataPath() string {
	u, err := url.Parse(r.URL)
	if err != nil {
		return ""
	}
	return wellKnown + strings.TrimSuffix(u.EscapedPath(), "/")
}

// metadataURL is where clients find the document.
func (r *Resource) metadataURL() string {
	u, err := url.Parse(r.URL)
	if err != nil {
		return ""
	}
	return token.Origin(u) + r.metadataPath()
}

// metadata is the document, with the names of RFC 9728 section 2.
type metadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	Scopes               []string `json:"scopes_supported"`
	Methods              []string `json:"bearer_methods_supported"`
	Name                 string   `json:"resource_name,omitempty"`
	Documentation        string   `json:"resource_documentation,omitempty"`
	CertificateBound     bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	ProofAlgorithms      []string `json:"dpop_signing_alg_values_supported,omitempty"`
	ProofRequired        bool     `json:"dpop_bound_access_tokens_required,omitempty"`
}

// Metadata returns the document that tells clients how to call the API
// (RFC 9728), and the path at which they look for it, or nothing without
// Config.Resource. [Guard.Handler] answers that path by itself, to everybody;
// beside [Guard.Require] there is [Guard.MetadataHandler].
func (g *Guard) Metadata() (path string, document []byte) {
	r := g.cfg.Resource
	if r == nil {
		return "", nil
	}
	m := metadata{
		Resource: r.URL, AuthorizationServers: g.authorizationServers(), Scopes: []string{g.challenge.resource + "/.default"}, Methods: []string{"header"},
		Name: r.Name, Documentation: r.Documentation, CertificateBound: r.MutualTLS,
	}
	if g.dpop != nil {
		m.ProofAlgorithms, m.ProofRequired = token.ProofAlgorithms(), g.dpop.Required && g.signed == nil && !r.MutualTLS
	}
	document, _ = json.Marshal(m) // texts alone: cannot fail
	return r.metadataPath(), append(document, '\n')
}

// authorizationServers are the issuers that clients can ask: of those of an
// authority, the one of version 2.0, which has a document that is found by its
// name.
func (g *Guard) authorizationServers() []string {
	var all []string
	for i, issuer := range g.issuers {
		if i == 0 && g.cfg.Authority != "" {
			continue // that of version 1.0
		}
		names := []string{issuer.name}
		if issuer.tenant == "" {
			names = nil
			for _, tenant := range g.cfg.Tenants {
				names = append(names, strings.ReplaceAll(issuer.name, tenantPlaceholder, tenant))
			}
		}
		for _, name := range names {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}
