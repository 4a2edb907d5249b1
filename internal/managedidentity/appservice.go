package managedidentity

import (
	"net/http"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// appServicePath is the path of the token endpoint. Clients take it from their environment.
const appServicePath = "/msi/token"

// The API versions. Azure Machine Learning uses the first.
const (
	appService2017 = "2017-09-01"
	appService2019 = "2019-08-01"
)

// appService is the platform of App Service, Functions and Container Apps: a GET that carries
// the process's secret in one of two headers. Azure Automation's is the same except for the
// request, so it is answered here too.
type appService struct{}

// azureML is the platform of Azure Machine Learning, which differs in its environment.
type azureML struct{ appService }

func (appService) answer(c *call) (any, *refusal) {
	if c.http.Method != http.MethodPost {
		if p := c.requireMethod(http.MethodGet); p != nil {
			return nil, p
		}
	}
	if p := c.requireSecret(identityHeader, secretHeader); p != nil {
		return nil, p
	}
	if c.path != appServicePath {
		return nil, malformed("There is nothing at this path: use the URL that the environment gives.")
	}
	raw, p := c.parameters()
	if p != nil {
		return nil, p
	}
	q, p := parseQuery(raw)
	if p != nil {
		return nil, p
	}
	switch {
	case q.apiVersion == "" && c.isAutomation():
	case q.apiVersion != appService2017 && q.apiVersion != appService2019:
		return nil, malformed("The api-version is not supported: use " + appService2019 + ".")
	case c.http.Method == http.MethodPost && !c.isAutomation():
		return nil, notAllowed(c.http.Method, http.MethodGet)
	}
	body, minted, p := c.body(q)
	if q.apiVersion == appService2017 && c.endpoint.kind == directory.PlatformAppService {
		return body2017{body.AccessToken, minted.Expires.UTC().Format(dateOf2017), body.Resource, body.TokenType}, p
	}
	return body, p
}

// isAutomation reports whether a request is one of Azure Automation: a form in a POST, or a GET,
// without a version and with the header of the metadata service.
func (c *call) isAutomation() bool {
	return c.hasMetadata() && len(c.http.Header.Values(identityHeader)) > 0
}

// parameters returns the query of a GET and the form of a POST. Programs of Azure Automation in
// Python send the form without a Content-Type.
func (c *call) parameters() (string, *refusal) {
	if c.http.Method == http.MethodGet {
		return c.http.URL.RawQuery, nil
	}
	if c.http.Header.Get("Content-Type") == "" {
		c.http.Header.Set("Content-Type", formType)
	}
	form, p := c.form()
	return strings.Trim(c.http.URL.RawQuery+"&"+form, "&"), p
}

// body2017 is the answer of version 2017-09-01: its clients parse a date. Those of Azure Machine
// Learning, which has the same version, parse a number.
type body2017 struct {
	AccessToken string `json:"access_token"`
	ExpiresOn   string `json:"expires_on"`
	Resource    string `json:"resource"`
	TokenType   string `json:"token_type"`
}

const dateOf2017 = "01/02/2006 15:04:05 -07:00"

func (appService) body(p *refusal, c *call) any {
	return struct {
		Status      int    `json:"statusCode"`
		Message     string `json:"message"`
		Correlation string `json:"correlationId"`
	}{p.status, p.message, c.correlation}
}

func (appService) url(e *Endpoint) string { return "http://" + e.address + appServicePath }

func (p appService) environment(e *Endpoint) map[string]string {
	return map[string]string{
		"IDENTITY_ENDPOINT": p.url(e), "IDENTITY_HEADER": e.secret, credentialChoice: choiceIdentity,
		"MSI_ENDPOINT": p.url(e), "MSI_SECRET": e.secret,
	}
}

func (p azureML) environment(e *Endpoint) map[string]string {
	client := ""
	if identities := e.assigned(); len(identities) > 0 {
		client = string(identities[0].App)
	}
	return map[string]string{
		"MSI_ENDPOINT": p.url(e), "MSI_SECRET": e.secret, "DEFAULT_IDENTITY_CLIENT_ID": client, credentialChoice: choiceIdentity,
	}
}
