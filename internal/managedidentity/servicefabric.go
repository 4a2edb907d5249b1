package managedidentity

import "net/http"

// serviceFabricPath is the path of the token endpoint. Clients take it from their environment.
const serviceFabricPath = "/metadata/identity/oauth2/token"

// The API versions that clients use.
const (
	serviceFabric2019 = "2019-07-01-preview"
	serviceFabric2020 = "2020-05-01"
)

// serviceFabric is the platform of Service Fabric: TLS with a certificate that clients
// recognize by its thumbprint, and the process's secret in a header.
type serviceFabric struct{}

func (serviceFabric) answer(c *call) (any, *refusal) {
	if p := c.requireMethod(http.MethodGet); p != nil {
		return nil, p
	}
	if p := c.requireSecret(secretHeader); p != nil {
		return nil, p
	}
	if c.path != serviceFabricPath {
		return nil, malformed("There is nothing at this path: use the URL that the environment gives.")
	}
	q, p := parseQuery(c.http.URL.RawQuery)
	if p != nil {
		return nil, p
	}
	if q.apiVersion != serviceFabric2019 && q.apiVersion != serviceFabric2020 {
		return nil, malformed("The api-version is not supported: use " + serviceFabric2019 + ".")
	}
	body, _, p := c.body(q)
	return body, p
}

// body words a refusal with the codes of Service Fabric.
func (serviceFabric) body(p *refusal, c *call) any {
	code := "ArgumentNullOrEmpty"
	switch {
	case p.status >= http.StatusInternalServerError:
		code = "InternalServerError"
	case p.status == http.StatusUnauthorized:
		code = "SecretHeaderNotFound"
	case p.message == notFound().message, p.message == severalIdentities().message:
		code = "ManagedIdentityNotFound"
	}
	return map[string]fabricError{"error": {code, c.traced(p.message), c.correlation}}
}

func (serviceFabric) url(e *Endpoint) string { return "https://" + e.address + serviceFabricPath }

func (p serviceFabric) environment(e *Endpoint) map[string]string {
	return map[string]string{
		"IDENTITY_ENDPOINT": p.url(e), "IDENTITY_HEADER": e.secret, "IDENTITY_SERVER_THUMBPRINT": e.thumbprint,
		"IDENTITY_API_VERSION": serviceFabric2020, // by which App Authentication tells this platform from App Service
		credentialChoice:       choiceIdentity,
	}
}

// fabricError is a refusal in the form of Service Fabric and Cloud Shell.
type fabricError struct {
	Code        string `json:"code"`
	Message     string `json:"message"`
	Correlation string `json:"correlationId,omitempty"`
}
