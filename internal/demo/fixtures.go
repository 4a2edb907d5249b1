package demo

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/pem"
	"fmt"
	"io/fs"
	"strings"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/examples/orders"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// The APIs. The same program serves the first two.
const (
	ordersURI  = "api://orders"
	classicURI = "api://orders-classic"
	billingURI = "api://billing"
	payrollURI = "api://payroll"
)

// Who asks for tokens.
const (
	clientName       = "orders-client"
	strangerName     = "reports-client"
	systemIdentity   = "orders-client-mi"
	userIdentity     = "orders-shared-mi"
	strangerIdentity = "reports-client-mi"
	plainUser        = "dev@contoso.test"
	roleUser         = "lead@contoso.test"
)

// federatedSubject is the subject of the client's federated credential.
const federatedSubject = "repo:contoso/orders:ref:refs/heads/main"

//go:embed fixtures.yaml
var additions string

// fixtures are what the demo needs to know of the applications and users that it registers.
type fixtures struct {
	tenant         directory.TenantID
	orders         directory.AppID // the API
	client         directory.AppID // may read orders
	secret         string          // the client's
	certificate    credential.Certificate
	stranger       directory.AppID // may read nothing
	strangerSecret string
	password       string // the users'
}

// register fills the empty directory from the sample's rolecall.yaml and the demo's additions.
func register(ctx context.Context, dir *directory.Directory, certificate credential.Certificate, issuer string) (fixtures, error) {
	f := fixtures{certificate: certificate, password: rand.Text()}
	_, err := dir.Change(ctx, directory.Operator("demo"), func(e *directory.Editor) error {
		if _, err := f.apply(e, "rolecall.yaml", orders.Directory()); err != nil {
			return err
		}
		result, err := f.apply(e, "fixtures.yaml", strings.ReplaceAll(additions, "ISSUER", issuer))
		if err != nil {
			return err
		}
		for _, made := range result.Secrets {
			switch made.Application {
			case clientName:
				f.client, f.secret = made.AppID, made.Value
			case strangerName:
				f.stranger, f.strangerSecret = made.AppID, made.Value
			}
		}
		tenant, err := e.Tenants().Find("contoso")
		if err != nil {
			return err
		}
		api, err := e.Applications().Find(tenant.ID, ordersURI)
		if err != nil {
			return err
		}
		f.tenant, f.orders = tenant.ID, api.AppID
		return nil
	})
	return f, err
}

// apply works one file into the directory.
func (f *fixtures) apply(e *directory.Editor, name, content string) (*manifest.Result, error) {
	file, err := manifest.Parse(name, []byte(content), f.variable, f.file)
	if err != nil {
		return nil, err
	}
	return file.Apply(e, manifest.Options{})
}

// variable replaces the environment.
func (f *fixtures) variable(name string) (string, bool) { return f.password, name == "PASSWORD" }

// file replaces the file system.
func (f *fixtures) file(name string) ([]byte, error) {
	if name != "client.pem" {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.certificate.Chain[0].Raw}), nil
}
