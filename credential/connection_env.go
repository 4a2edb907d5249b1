package credential

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// envConnection is where the original library finds a connection string that its caller
// does not give.
const envConnection = "AzureServicesAuthConnectionString"

// ParseEnvironment returns the credential that the environment describes to the App
// Authentication library: that of the connection string in
// AzureServicesAuthConnectionString, or, when there is none, the managed identity if the
// environment names its endpoint, and else the user who is signed in with az. The first that
// gives a token is used from then on.
func ParseEnvironment(opts *Options) (azcore.TokenCredential, error) {
	if text := os.Getenv(envConnection); strings.TrimSpace(text) != "" {
		cred, err := parse(text, opts)
		if err != nil {
			return nil, fmt.Errorf("connection string in %s: %w", envConnection, err)
		}
		return cred, nil
	}
	chain := &discovery{}
	if managedIdentityNamed(os.Getenv) {
		cred, err := connection{}.managedIdentity(opts)
		if err != nil {
			return nil, err
		}
		chain.all = append(chain.all, cred)
	}
	cred, err := azureCLI(opts)
	if err != nil {
		return nil, err
	}
	chain.all = append(chain.all, cred)
	return chain, nil
}

// A discovery tries credentials until one gives a token, which it then keeps to.
type discovery struct {
	all   []azcore.TokenCredential
	again bool // when the one that is kept to fails, the others are tried again

	mu    sync.Mutex
	found azcore.TokenCredential // guarded by mu
}

// GetToken implements azcore.TokenCredential.
func (d *discovery) GetToken(ctx context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	d.mu.Lock()
	found := d.found
	d.mu.Unlock()
	if found != nil {
		token, err := found.GetToken(ctx, opts)
		if err == nil || !d.again {
			return token, err
		}
	}
	var problems []error
	for _, cred := range d.all {
		token, err := cred.GetToken(ctx, opts)
		if err == nil {
			d.mu.Lock()
			d.found = cred
			d.mu.Unlock()
			return token, nil
		}
		problems = append(problems, err)
		if ctx.Err() != nil {
			break
		}
	}
	return azcore.AccessToken{}, errors.Join(problems...)
}

// forget passes on to all.
func (d *discovery) forget() {
	for _, cred := range d.all {
		if keeper, ok := cred.(forgetter); ok {
			keeper.forget()
		}
	}
}

// only leaves the discovery out where there is nothing to discover.
func (d *discovery) only() azcore.TokenCredential {
	if len(d.all) == 1 {
		return d.all[0]
	}
	return d
}
