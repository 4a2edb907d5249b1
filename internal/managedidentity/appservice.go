package managedidentity

import "net/http"

// appServicePath is the path of the token endpoint. Clients take it from their environment.
const appServicePath = "/msi/token"

// The API versions. Azure Machine Learning uses the first.
const (
	appService2017 = "2017-09-01"
	appService2019 = "2019-08-01"
)

// appService is the platform of App Service, Functions and Container Apps: a GET that carries
// the process's secret in one of two headers.
type appService struct{}

// azureML is the platform of Azure Machine Learning, which differs in its environment.
type azureML struct{ appService }

func (appService) answer(c *call) (any, *refusal) {
	if p := c.requireMethod(http.MethodGet); p != nil {
		return nil, p
	}
	if p := c.requireSecret(identityHeader, secretHeader); p != nil {
		return nil, p
	}
	if c.path != appServicePath {
		return nil, malformed("There is nothing at this path: use the URL that the environment gives.")
	}
	q, p := parseQuery(c.http.URL.RawQuery)
	if p != nil {
		return nil, p
	}
	if q.apiVersion != appService2017 && q.apiVersion != appService2019 {
		return nil, malformed("The api-version is not supported: use " + appService2019 + ".")
	}
	body, _, p := c.body(q)
	return body, p
}

func (appService) body(p *refusal, correlation string) any {
	return struct {
		Status      int    `json:"statusCode"`
		Message     string `json:"message"`
		Correlation string `json:"correlationId"`
	}{p.status, p.message, correlation}
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
