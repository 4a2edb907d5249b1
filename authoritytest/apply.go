package authoritytest

import (
	"context"
	"os"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// Apply brings the authority's directory to the state that a rolecall.yaml describes, as
// "rolecall apply" does, and ends the test if the file is wrong. What the file does not
// name stays as it is. Its tenant is [TenantName]; any other one becomes a tenant of its
// own, which the other methods do not see.
//
// What the file registers is then called by its name: [Authority.App], [Authority.API] and
// [Authority.Identity] find it and register nothing. An application whose secret the file
// gives away to nobody is given another one.
func (a *Authority) Apply(yaml string) {
	a.t.Helper()
	a.apply("rolecall.yaml", []byte(yaml))
}

// ApplyFile is Apply for a file, such as that of the project under test. Paths in the file
// are relative to its folder.
func (a *Authority) ApplyFile(path string) {
	a.t.Helper()
	content, err := os.ReadFile(path)
	a.check("read what to apply", err)
	a.apply(path, content)
}

func (a *Authority) apply(path string, content []byte) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	file, err := manifest.Parse(path, content, os.LookupEnv, os.ReadFile)
	a.check("apply", err)
	a.check("apply", file.Prepare(context.WithoutCancel(a.t.Context()), a.directory))
	var result *manifest.Result
	a.change("apply", func(e *directory.Editor) (err error) {
		result, err = file.Apply(e, manifest.Options{})
		return err
	})
	tenant, err := a.directory.Tenant(context.WithoutCancel(a.t.Context()), TenantID)
	a.check("apply", err)
	for _, secret := range result.Secrets {
		if secret.Tenant == tenant.Name {
			a.secrets[secret.Application] = secret.Value
		}
	}
}
