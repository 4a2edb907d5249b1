package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// The ways of proving who one is that are not the shape of a host of Azure's.
const (
	viaSecret      = "secret"
	viaCertificate = "certificate"
	viaWorkload    = server.ViaWorkload
	viaCLI         = string(directory.PlatformCLI)
	viaAppService  = string(directory.PlatformAppService)
	viaIMDS        = string(directory.PlatformIMDS)
)

// lentVias are those that leave something behind for a program that is run later. It is
// never written to.
var lentVias = []string{viaSecret, viaCertificate, viaCLI}

// allVias are all ways there are.
func allVias() []string {
	all := []string{viaSecret, viaCertificate}
	for _, shape := range directory.Platforms() {
		all = append(all, string(shape))
	}
	return append(all, viaWorkload)
}

// livesWithProcess reports whether a way ends with the process that it was made for.
func livesWithProcess(via string) bool {
	return slices.Contains(allVias(), via) && !slices.Contains(lentVias, via)
}

// viaFor completes and checks the way for an application, managed identity or user.
func viaFor(app application, via string, namespace bool) (string, error) {
	switch {
	case via == "" && namespace:
		via = viaIMDS
	case via == "" && app.user != nil:
		via = viaCLI
	case via == "" && app.isIdentity():
		via = viaAppService
	case via == "":
		via = viaSecret
	}
	name := app.name()
	switch {
	case !slices.Contains(allVias(), via):
		return "", fmt.Errorf("unknown way %q for --via; there are %s", via, strings.Join(allVias(), ", "))
	case namespace && via != viaIMDS:
		return "", fmt.Errorf("--netns is for --via imds, whose address exists in the namespace; leave out one of --netns and --via %s", via)
	case app.user != nil && via != viaCLI:
		return "", fmt.Errorf("%s is a user, who is signed in with az and azd, and %s is for applications or managed identities: leave out --via, or give cli", name, via)
	case app.isIdentity() && (via == viaSecret || via == viaCertificate):
		return "", fmt.Errorf("%s is a managed identity, which has no %s: leave out --via, or give app-service, imds, workload or cli", name, via)
	case !app.isIdentity() && livesWithProcess(via) && via != viaWorkload:
		return "", fmt.Errorf("%s is an application, and %s is for managed identities: leave out --via, or give secret, certificate, workload or cli", name, via)
	}
	return via, nil
}
