package managedidentity

import "net/http"

// appServicePath is where a host's tokens are. Clients take it from their environment.
const appServicePath = "/msi/token"

// The versions of the protocol. The first is also that of Azure Machine Learning.
const (
	appService2017 = "2017-09-01"
	appService2019 = "2019-08-01"
)

// appService is the protocol of App Service, Functions, Container Apps and Azure Machine
// Learning: a GET that carries the process's secret, in either of two headers.
type appService struct{}

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
