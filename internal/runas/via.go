package runas

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// How a program proves who it is: the values of --via that are mentioned here. All others
// are platforms.
const (
	Secret      = "secret"
	Certificate = "certificate"
	Workload    = server.ViaWorkload
	Identity    = "identity" // an application, by the token of a managed identity that it trusts
	None        = "none"     // nothing: a program that only checks tokens
	CLI         = string(directory.PlatformCLI)
	AppService  = string(directory.PlatformAppService)
	IMDS        = string(directory.PlatformIMDS)
	CloudShell  = string(directory.PlatformCloudShell)
	AzureML     = string(directory.PlatformAzureML)
)

// LastingVias are the values of --via for a program that is run later. All but the last leave
// something behind for it.
func LastingVias() []string { return []string{Secret, Certificate, CLI, None} }

// Vias are all values of --via.
func Vias() []string {
	all := []string{Secret, Certificate}
	for _, platform := range directory.Platforms() {
		all = append(all, string(platform))
	}
	return append(all, Workload, Identity, None)
}

// EndsWithProcess reports whether what a value of --via gives a program ends with its process.
func EndsWithProcess(via string) bool {
	return slices.Contains(Vias(), via) && !slices.Contains(LastingVias(), via)
}

// ChooseVia completes and checks --via for whoever the program is run as. Metadata means that the
// program has a network of its own for the sake of the metadata service alone.
func ChooseVia(actor lookup.Actor, via string, metadata bool) (string, error) {
	if via == "" {
		via = defaultVia(actor, metadata)
	}
	name := actor.Name()
	switch {
	case !slices.Contains(Vias(), via):
		return "", UnknownVia(via, Vias())
	case metadata && via != IMDS:
		return "", fmt.Errorf("--netns is for --via imds, whose address exists in the namespace, or for --public-names; leave out one of --netns and --via %s, or add --public-names", via)
	case actor.User != nil && via != CLI:
		return "", fmt.Errorf("%s is a user, who is signed in with az and azd, and %s is for applications or managed identities: leave out --via, or give cli", name, via)
	case actor.IsIdentity() && (via == Secret || via == Certificate):
		return "", fmt.Errorf("%s is a managed identity, which has no %s: leave out --via, or give app-service, imds, workload or cli", name, via)
	case actor.IsIdentity() && via == Identity:
		return "", fmt.Errorf("%s is a managed identity, and --via identity is for an application that trusts one: give the application as --as, and %s as --also", name, name)
	case !actor.IsIdentity() && EndsWithProcess(via) && via != Workload && via != Identity:
		return "", fmt.Errorf("%s is an application, and %s is for managed identities: leave out --via, or give secret, certificate, workload, identity or cli", name, via)
	}
	return via, nil
}

func defaultVia(actor lookup.Actor, metadata bool) string {
	switch {
	case metadata:
		return IMDS
	case actor.User != nil:
		return CLI
	case actor.IsIdentity():
		return AppService
	default:
		return Secret
	}
}

// UnknownVia refuses a value of --via.
func UnknownVia(via string, known []string) error {
	return fmt.Errorf("unknown value %q for --via; there are %s", via, strings.Join(known, ", "))
}
