package managedidentity

import (
	"net/http"
	"runtime"
	"strings"
)

// firstArcVersion is the oldest API version that any known client uses.
const firstArcVersion = "2019-11-01"

// arc is the platform of Azure Arc: the answer to a first request names a file, and the caller
// proves with its content that it may read the file.
type arc struct{}

func (arc) answer(c *call) (any, *refusal) {
	if p := c.requireMethod(http.MethodGet); p != nil {
		return nil, p
	}
	if p := c.requireMetadata(); p != nil {
		return nil, p
	}
	if c.path != metadataTokenPath {
		return nil, malformed("There is nothing at this path: use the URL that the environment gives.")
	}
	q, p := parseQuery(c.http.URL.RawQuery)
	if p != nil {
		return nil, p
	}
	if !isVersionSince(q.apiVersion, firstArcVersion) {
		return nil, malformed("The api-version is missing or not supported: use 2020-06-01.")
	}
	if p := c.checkChallenge(); p != nil {
		return nil, p
	}
	body, minted, p := c.body(q)
	// Clients that selected an identity expect it in the answer, by the same kind of id.
	return arcBody{body, string(minted.ObjectID), minted.ResourceID}, p
}

type arcBody struct {
	tokenBody
	ObjectID   string `json:"object_id"`
	ResourceID string `json:"msi_res_id"`
}

// checkChallenge accepts the proof of a challenge, or makes a challenge.
func (c *call) checkChallenge() *refusal {
	values := c.http.Header.Values("Authorization")
	if len(values) == 1 {
		scheme, key, _ := strings.Cut(values[0], " ")
		if strings.EqualFold(scheme, "Basic") && c.endpoint.challenges.take(key) {
			return nil
		}
		return malformed("The key in the Authorization header is not that of an open challenge: it may have been used already, or be too old.")
	}
	if len(values) > 1 {
		return malformed("There is more than one Authorization header.")
	}
	path, err := c.endpoint.challenges.make()
	if err != nil {
		p := refused(err)
		p.message = "The challenge file could not be written."
		return p
	}
	return &refusal{status: http.StatusUnauthorized, code: codeUnauthorized, challenge: "Basic realm=" + path, message: "Send the content of the file named in WWW-Authenticate."}
}

func (arc) body(p *refusal, c *call) any { return metadataError{p.code, c.traced(p.message)} }

func (arc) url(e *Endpoint) string { return "http://" + e.address + metadataTokenPath }

func (p arc) environment(e *Endpoint) map[string]string {
	return map[string]string{"IDENTITY_ENDPOINT": p.url(e), "IMDS_ENDPOINT": "http://" + e.address, credentialChoice: choiceIdentity}
}

// arcFolder is the only folder in which clients accept challenge files.
func arcFolder() string {
	if runtime.GOOS == "windows" {
		return `C:\ProgramData\AzureConnectedMachineAgent\Tokens\`
	}
	return "/var/opt/azcmagent/tokens"
}
