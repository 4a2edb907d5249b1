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

// imds is the protocol of the metadata service of virtual machines. It has no secret:
// whoever reaches the host has its identities, which is why a host has a listener of its own.
type imds struct{}

func (imds) answer(c *call) (any, *refusal) {
	switch c.path {
	case metadataPlatformPath, metadataIssuePath:
		// The second version of the service. 404 says that there is the first one only;
		// clients look for it by a request without the header.
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
		if c.tenant == "" { // of the common surface: whose the caller is, nobody knows
			return nil, notFound()
		}
		return map[string]string{"tenantId": string(c.tenant)}, nil
	}
	return nil, malformed("The metadata service has identities only, at " + metadataTokenPath + ".")
}

func (imds) body(p *refusal, _ string) any { return metadataError{p.code, p.message} }

// metadataError is how the metadata service and Azure Arc word a refusal.
type metadataError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func isMetadataPath(path string) bool {
	return strings.HasPrefix(normalPath(path)+"/", metadataPath+"/")
}
