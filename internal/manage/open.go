package manage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/remote"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// Open opens the data folder or, where the command line names a server, that. Changes of the
// folder are recorded under the words of the command, such as "app create"; the tenant may be
// empty.
func Open(ctx context.Context, line *command.Line, words, tenant string) (Place, error) {
	if line.Server == "" {
		return OpenFolder(ctx, line, words, tenant)
	}
	return openServer(ctx, line, tenant)
}

// A far server is one that somebody is signed in to, for as long as a command works there.
type far struct {
	*Server
	signedIn *remote.Server
}

func (f far) Close() error {
	f.signedIn.Close()
	return nil
}

// openServer opens the server of a name.
func openServer(ctx context.Context, line *command.Line, tenant string) (Place, error) {
	server, signedIn, err := SignedIn(ctx, line, tenant)
	if err != nil {
		return nil, err
	}
	return far{server, signedIn}, nil
}

// SignedIn opens the server that the command line names, with the sign-in there, which must be
// closed. The tenant may be empty.
func SignedIn(ctx context.Context, line *command.Line, tenant string) (*Server, *remote.Server, error) {
	store, err := line.Servers()
	if err != nil {
		return nil, nil, err
	}
	signedIn, err := store.Open(line.Server)
	if errors.Is(err, remote.ErrUnknown) {
		return nil, nil, command.Fail(command.ExitNotFound, err, "")
	}
	if err != nil {
		return nil, nil, err
	}
	client := signedIn.GraphClient()
	client.DryRun = line.Rehearses()
	found, err := tenantThere(ctx, client, signedIn, tenant)
	if err != nil {
		signedIn.Close()
		return nil, nil, err
	}
	return &Server{Remote: lookup.Remote{Client: client, Tenant: found}, Now: line.Now}, signedIn, nil
}

// tenantThere is the tenant that somebody is signed in to. Another one cannot be chosen: tokens
// are of one tenant.
func tenantThere(ctx context.Context, client *graphclient.Client, signedIn *remote.Server, wanted string) (*directory.Tenant, error) {
	found := &directory.Tenant{ID: directory.TenantID(signedIn.Tenant), Name: signedIn.Tenant, Enabled: true}
	var organization struct {
		Name    string `json:"displayName"`
		Domains []struct {
			Name string `json:"name"`
		} `json:"verifiedDomains"`
	}
	var refused *graphclient.Error
	err := client.Get(ctx, "organization/"+signedIn.Tenant, &organization)
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusForbidden: // it is named by its id then
	case err != nil:
		return nil, err
	default:
		found.Name = organization.Name
	}
	for _, domain := range organization.Domains {
		found.Domains = append(found.Domains, domain.Name)
	}
	same := func(name string) bool { return strings.EqualFold(name, wanted) }
	if wanted != "" && !slices.ContainsFunc(append([]string{string(found.ID), found.Name}, found.Domains...), same) {
		return nil, command.Fail(command.ExitNotFound, fmt.Errorf("the sign-in to %s is for the tenant %s, and --tenant names %q", signedIn.Name, found.Name, text.Shown(wanted)),
			fmt.Sprintf("sign in to that tenant under another name: rolecall login %s --tenant %s --name NAME", signedIn.URL, lookup.Word(wanted)))
	}
	return found, nil
}
