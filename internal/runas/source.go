package runas

import (
	"context"
	"errors"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
)

// A Source is the server that programs get their tokens from: the one of a data folder, or one
// elsewhere.
type Source interface {
	// Endpoints are where the server is, and the file with the certificates that it is trusted by.
	Endpoints() server.Endpoints
	// Dir is the folder for files that outlive a program.
	Dir() string
	// FindActor finds whoever a program can be run as. Without a tenant, all are searched.
	FindActor(ctx context.Context, tenant, ref string) (lookup.Actor, error)
	// Credentials issues temporary credentials, which are named for a purpose. They end with the
	// holder, if there is one.
	Credentials(purpose string, holder *tempcred.Holder) Credentials
	// Bind assigns identities, or a user, to this process.
	Bind(ctx context.Context, req server.BindRequest) (Binding, error)
	// Token gets a token as az does for a user who is signed in, or for a managed identity.
	Token(ctx context.Context, actor lookup.Actor, scopes ...string) (azcore.AccessToken, error)
}

// Credentials gives applications credentials for a while. Those of package tempcred are such.
type Credentials interface {
	AddSecret(ctx context.Context, app *directory.Application, life time.Duration) (directory.Secret, string, error)
	ExtendSecret(ctx context.Context, app *directory.Application, id string, life time.Duration) error
	AddCertificate(ctx context.Context, app *directory.Application, life time.Duration) (file string, kept directory.Certificate, err error)
	Remove(ctx context.Context, app *directory.Application, id string) error
	RemoveAll(ctx context.Context, app *directory.Application) (int, error)
	ToolsFolder(app *directory.Application) (string, error)
}

// A Binding lets a process act as an identity until it is closed.
type Binding interface {
	State() server.BindingState // as it was at first
	Updates() <-chan server.BindingState
	Done() <-chan struct{}
	Err() error // why it ended, once Done is closed
	Close() error
}

// A Folder is the server of a data folder.
type Folder struct {
	Session *server.Session
	Now     func() time.Time
}

var _ Source = Folder{}

// Endpoints are where the server is.
func (f Folder) Endpoints() server.Endpoints { return f.Session.Endpoints }

// Dir is the data folder.
func (f Folder) Dir() string { return f.Session.Dir() }

// FindActor finds whoever a program can be run as.
func (f Folder) FindActor(ctx context.Context, tenant, ref string) (lookup.Actor, error) {
	return lookup.FindActor(ctx, f.Session.Data.Directory, tenant, ref)
}

// Credentials issues temporary credentials in the folder's directory.
func (f Folder) Credentials(purpose string, holder *tempcred.Holder) Credentials {
	return tempcred.Issuer{
		Directory: f.Session.Data.Directory, Await: f.Session.Await, Dir: f.Dir(), Purpose: purpose, Now: f.Now, Holder: holder,
	}
}

// Bind asks the server for a binding.
func (f Folder) Bind(ctx context.Context, req server.BindRequest) (Binding, error) {
	binding, err := server.Bind(ctx, f.Dir(), req)
	if err != nil {
		return nil, err
	}
	return binding, nil
}

// Token gets a token by a binding that lasts as long as that takes.
func (f Folder) Token(ctx context.Context, actor lookup.Actor, scopes ...string) (_ azcore.AccessToken, err error) {
	binding, err := f.Bind(ctx, server.BindRequest{Tenant: string(actor.Tenant.ID), As: actor.ID(), Via: CLI})
	if err != nil {
		return azcore.AccessToken{}, err
	}
	defer func() { err = errors.Join(err, binding.Close()) }()
	return bound(actor, binding.State()).Token(ctx, scopes...)
}

// trustedAnyway reports whether the system trusts a server elsewhere, which has no bundle then.
func trustedAnyway(s Source) bool {
	_, here := s.(Folder)
	return !here && s.Endpoints().CABundle == ""
}
