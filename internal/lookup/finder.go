package lookup

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A Finder finds what people name, in a directory at hand or through Microsoft Graph.
type Finder interface {
	// FindTenant finds the tenant that was chosen, or the only one.
	FindTenant(ctx context.Context) (*directory.Tenant, error)
	// FindPrincipal finds an application or a managed identity by its service principal, or a user.
	FindPrincipal(ctx context.Context, ref string) (Principal, error)
	// FindAPI finds an application that offers roles or scopes, one of Microsoft's own included.
	FindAPI(ctx context.Context, ref string) (API, error)
	// FindApplication finds a registration.
	FindApplication(ctx context.Context, ref string) (API, error)
	// FindRole finds the role that API/ROLE means. The command is for the advice.
	FindRole(ctx context.Context, command string, who Principal, arg string) (Role, error)
}

// A Folder finds in the directory of a data folder.
type Folder struct {
	Directory *directory.Directory
	Tenant    string // by its name, id or domain; empty: whichever has what is looked for
}

var _ Finder = Folder{}

// FindTenant finds the tenant that was chosen, or the only one.
func (f Folder) FindTenant(ctx context.Context) (*directory.Tenant, error) {
	return FindTenant(f.Directory.View(ctx), f.Tenant)
}

// FindPrincipal finds whoever can have app roles.
func (f Folder) FindPrincipal(ctx context.Context, ref string) (Principal, error) {
	return FindPrincipal(f.Directory.View(ctx), f.Tenant, ref)
}

// FindAPI finds an application that others may call.
func (f Folder) FindAPI(ctx context.Context, ref string) (API, error) {
	return FindAPI(f.Directory.View(ctx), f.Tenant, ref)
}

// FindApplication finds a registration.
func (f Folder) FindApplication(ctx context.Context, ref string) (API, error) {
	return FindApplication(f.Directory.View(ctx), f.Tenant, ref)
}

// FindRole finds the role that API/ROLE means.
func (f Folder) FindRole(ctx context.Context, command string, who Principal, arg string) (Role, error) {
	return FindRole(command, f.Directory.View(ctx), who, arg)
}
