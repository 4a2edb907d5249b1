package managedidentity

import (
	"net/http"
	"strings"
)

// The paths of the metadata service.
const (
	metadataPath         = "/metadata"
	metadataTokenPath    = metadataPath + "/identity/oauth2/token"
	metadataInfoPath     = metadataPath + "/identity/info"
	metadataPlatformPath = metadataPath + "/identity/getplatformmetadata"
	metadataIssuePath    = metadataPath + "/identity/issuecredential"

	firstMetadataVersion = "2018-02-01"
)

// imds is the platform of virtual machines, the instance metadata service. It has no secret:
// every process that reaches the endpoint has its identities, which is why each endpoint has a
// listener of its own.
type imds struct{}

func (imds) answer(c *call) (any, *refusal) {
	switch c.path {
	case metadataPlatformPath, metadataIssuePath:
		// These belong to the second version of the service. 404 says that there is only the
		// first; clients probe for it with a request without the header.
		return nil, &refusal{status: http.StatusNotFound, code: codeInvalidRequest, message: "This version of the metadata service has no such path."}
	}
	if p := c.requireMethod(http.MethodGet); p != nil {
		return nil, p
	}
	if p := c.requireMetadata(); p != nil {
		return nil, p
	}
	q, p := parseQuery(c.http.URL.RawQuery)
	if p != nil {
		return nil, p
	}
	if !isVersionSince(q.apiVersion, firstMetadataVersion) {
		return nil, malformed("The api-version is missing or not supported: use " + firstMetadataVersion + " or a later one.")
	}
	switch c.path {
	case metadataTokenPath:
		body, _, p := c.body(q)
		return body, p
	case metadataInfoPath:
		if c.endpoint.tenant == "" { // on the common surface, the caller is unknown
			return nil, notFound()
		}
		return map[string]string{"tenantId": string(c.endpoint.tenant)}, nil
	}
	return nil, malformed("The metadata service has identities only, at " + metadataTokenPath + ".")
}

// body words a refusal. Those of the authority have ids, as in Azure.
func (imds) body(p *refusal, c *call) any {
	if strings.HasPrefix(p.message, "AADSTS") {
		return metadataError{p.code, c.traced(p.message)}
	}
	return metadataError{p.code, p.message}
}

func (imds) url(e *Endpoint) string { return "http://" + e.address }

func (p imds) environment(e *Endpoint) map[string]string {
	return map[string]string{
		"AZURE_POD_IDENTITY_AUTHORITY_HOST": p.url(e), "MSAL_MANAGED_IDENTITY_ENDPOINT": p.url(e) + metadataTokenPath,
		credentialChoice: choiceIdentity,
	}
}

// metadataError is a refusal in the form of the metadata service and Azure Arc.
type metadataError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func isMetadataPath(path string) bool {
	return strings.HasPrefix(normalPath(path)+"/", metadataPath+"/")
}
