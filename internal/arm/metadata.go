package arm

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// A Cloud is what the metadata say of a cloud.
type Cloud struct {
	Name     string // never that of a cloud of Microsoft's, unless it answers under that cloud's names
	Login    string // root of the authority
	Manager  string // URL of the resource manager
	Audience string // what tokens for the resource manager are requested for; empty: Resource
	Graph    string // URL of Microsoft Graph, which is also what tokens for it are requested for
}

// complete fills what is left out.
func (c *Cloud) complete() {
	c.Audience = cmp.Or(c.Audience, Resource)
	if !strings.HasSuffix(c.Audience, "/") {
		c.Audience += "/"
	}
}

// The shapes of the metadata: each is what clients of its time read, and the first api-version
// that has it.
const (
	versionOfList   = "2019-05-01" // the Azure CLI, by ARM_CLOUD_METADATA_URL
	versionOfObject = "2022-09-01" // the Azure CLI's "cloud register" now, Terraform
)

// endpoints describes this cloud. Tools ask for it before they have a token.
func (m *Manager) endpoints(w http.ResponseWriter, version string) {
	switch {
	case isDate(version) && version < versionOfList:
		answer(w, http.StatusOK, m.cfg.Cloud.oldest())
	case isDate(version) && version < versionOfObject:
		list := []cloudMetadata{}
		for _, cloud := range slices.Concat([]Cloud{m.cfg.Cloud}, m.cfg.Others) {
			list = append(list, cloud.metadata())
		}
		answer(w, http.StatusOK, list)
	default:
		answer(w, http.StatusOK, m.cfg.Cloud.metadata())
	}
}

// isDate reports whether an api-version begins with a date, so that it can be compared.
func isDate(version string) bool {
	const form = "0000-00-00"
	if len(version) < len(form) {
		return false
	}
	for i := range len(form) {
		if digit := '0' <= version[i] && version[i] <= '9'; digit != (form[i] == '0') || !digit && version[i] != form[i] {
			return false
		}
	}
	return true
}

type authentication struct {
	Login     string   `json:"loginEndpoint"`
	Audiences []string `json:"audiences"`
	Tenant    string   `json:"tenant,omitempty"`
	Provider  string   `json:"identityProvider,omitempty"`
}

// cloudMetadata is a cloud since 2019. There is no other service of Azure here, so nothing else
// is named.
type cloudMetadata struct {
	Name            string            `json:"name"`
	Authentication  authentication    `json:"authentication"`
	ResourceManager string            `json:"resourceManager"`
	Graph           string            `json:"graph"`         // the predecessor of Microsoft Graph,
	GraphAudience   string            `json:"graphAudience"` // of which older versions of the CLI need to know
	MicrosoftGraph  string            `json:"microsoftGraphResourceId"`
	Suffixes        map[string]string `json:"suffixes"`
}

func (c Cloud) metadata() cloudMetadata {
	return cloudMetadata{
		Name: c.Name, Authentication: authentication{c.Login, c.audiences(), "common", "AAD"},
		ResourceManager: c.Manager, Graph: c.Graph, GraphAudience: c.Graph, MicrosoftGraph: c.Graph, Suffixes: map[string]string{},
	}
}

// oldestMetadata is a cloud before 2019. It has no word for Microsoft Graph.
type oldestMetadata struct {
	Gallery        string         `json:"galleryEndpoint"`
	Graph          string         `json:"graphEndpoint"`
	Portal         string         `json:"portalEndpoint"`
	Authentication authentication `json:"authentication"`
}

func (c Cloud) oldest() oldestMetadata {
	return oldestMetadata{c.Manager, c.Graph, c.Login, authentication{Login: c.Login, Audiences: c.audiences()}}
}

// audiences are what tokens for the manager are requested for: first what clients take.
func (c Cloud) audiences() []string {
	if c.Audience == Resource {
		return []string{Resource, azureURL}
	}
	return []string{c.Audience}
}
