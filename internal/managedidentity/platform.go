package managedidentity

import (
	"fmt"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A platform is the wire format of one of the platforms on which Azure offers identities to
// programs. The platforms are listed in package directory; each is implemented in the file of
// its name.
type platform interface {
	// answer returns the body of a good answer to a call that was admitted.
	answer(c *call) (any, *refusal)
	// body words the refusal of a call.
	body(p *refusal, c *call) any
	// url returns the URL that clients request, or the root to which they add a path.
	url(e *Endpoint) string
	// environment returns the variables by which clients find the endpoint.
	environment(e *Endpoint) map[string]string
}

// platformOf returns the implementation of a platform.
func platformOf(kind directory.Platform) (platform, error) {
	switch kind {
	case directory.PlatformAppService:
		return appService{}, nil
	case directory.PlatformAzureML:
		return azureML{}, nil
	case directory.PlatformIMDS:
		return imds{}, nil
	case directory.PlatformArc:
		return arc{}, nil
	case directory.PlatformServiceFabric:
		return serviceFabric{}, nil
	case directory.PlatformCloudShell:
		return cloudShell{}, nil
	case directory.PlatformCLI:
		return azd{}, nil
	}
	return nil, fmt.Errorf("managed identities: there is no platform %q: use one of %q", kind, directory.Platforms())
}

// The variable that makes DefaultAzureCredential use the managed identity at once, without
// trying other credentials first.
const (
	credentialChoice = "AZURE_TOKEN_CREDENTIALS" //nolint:gosec // the name of a variable, not a credential
	choiceIdentity   = "ManagedIdentityCredential"
)
