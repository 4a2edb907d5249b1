package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// ViaWorkload asks for a binding by workload identity. The others are the platforms of
// package managedidentity.
const ViaWorkload = "workload"

// A BindRequest says who the process that has the binding, and its children, can act as.
type BindRequest struct {
	Tenant string   `json:"tenant,omitempty"` // id, domain or name; empty: the only one
	As     string   `json:"as"`               // name or id of a managed identity, application or user
	Via    string   `json:"via"`              // ViaWorkload, or a directory.Platform
	Also   []string `json:"also,omitempty"`   // further identities, to be chosen by id
	// DefaultIdentity gives As to requests that name no identity, also where Azure would
	// refuse them.
	DefaultIdentity bool `json:"defaultIdentity,omitempty"`
	// Cloud is under whose names of Microsoft's tokens and assertions are issued, as the Azure
	// CLI names it. Empty: under the authority's own.
	Cloud string `json:"cloud,omitempty"`
	// ArcFolder is where Azure Arc's challenge files go, in place of the one folder that
	// clients accept.
	ArcFolder string `json:"arcFolder,omitempty"`
}

// A BindingState is what a bound process, or the programs of a host, need to know. Header and
// Assertion are secrets.
type BindingState struct {
	Tenant     directory.TenantID `json:"tenant"`
	Name       string             `json:"name"` // of the identity, the first of them, or the user
	ClientID   directory.AppID    `json:"clientId"`
	ObjectID   directory.ObjectID `json:"objectId"`
	ResourceID string             `json:"resourceId,omitempty"`

	Endpoint   string `json:"endpoint,omitempty"`
	Header     string `json:"header,omitempty"`
	Thumbprint string `json:"thumbprint,omitempty"`
	// Environment is how client libraries find the endpoint.
	Environment map[string]string `json:"environment,omitempty"`

	Names *HostNames `json:"names,omitempty"` // Microsoft's, for the programs of a host

	Assertion string    `json:"assertion,omitempty"` // of a workload
	Expires   time.Time `json:"expires,omitzero"`    // the assertion; a new one comes at half of its life
}

// String names the type. It has secrets, so it does not print itself.
func (BindingState) String() string { return "server.BindingState" }

// GoString does the same for %#v.
func (BindingState) GoString() string { return "server.BindingState{…}" }

// A Binding lets a process act as an identity for as long as it is held: until it is
// closed, its context ends, or the process does.
type Binding struct {
	BindingState // as it was at first

	updates chan BindingState
	cancel  context.CancelFunc
	done    chan struct{}
	close   func() error
	err     error // read after done
}

// State is what the bound process needs to know, as it was at first.
func (b *Binding) State() BindingState { return b.BindingState }

// Updates returns a channel with each further state: for a workload, the renewed assertion.
// It is closed when the binding has ended.
func (b *Binding) Updates() <-chan BindingState { return b.updates }

// Done returns a channel that is closed when the binding has ended, by whichever side.
func (b *Binding) Done() <-chan struct{} { return b.done }

// Err tells why a binding ended that was not closed here. It may be called once Done is closed.
func (b *Binding) Err() error { return b.err }

// Close ends the binding. Its endpoint goes at once, as soon as the server has noticed.
func (b *Binding) Close() error {
	b.cancel()
	return b.close()
}

// ErrNoServer says that no server runs on a data folder.
var ErrNoServer = errors.New("no server runs on the data folder")

// Bind asks the server that runs on a data folder, of this process or another, for a
// binding.
func Bind(ctx context.Context, dir string, req BindRequest) (*Binding, error) {
	ctx, cancel := context.WithCancel(ctx)
	b, err := bind(ctx, dir, req)
	if err != nil {
		cancel()
		return nil, err
	}
	b.cancel = cancel
	return b, nil
}

// adminTransport reaches the admin socket of the server that runs on a data folder,
// whatever the host in a URL.
func adminTransport(dir string) (*http.Transport, error) {
	path, err := adminPath(dir)
	if err != nil {
		return nil, err
	}
	transport := overAdmin(path)
	transport.DisableKeepAlives = true
	return transport, nil
}

// adminPath is the admin socket of the server that runs on a data folder.
func adminPath(dir string) (string, error) {
	path, err := filepath.EvalSymlinks(filepath.Join(dir, adminFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", &refusedError{what: fmt.Sprintf("%v %s", ErrNoServer, dir), fix: "start one with `rolecall serve`", cause: ErrNoServer}
	}
	if err != nil {
		return "", fmt.Errorf("find the server's admin socket: %w", err)
	}
	return path, nil
}

// Host asks the server that runs on a data folder what the programs of one of the
// directory's hosts need to know. Without a tenant, it is looked for in all.
func Host(ctx context.Context, dir, tenant, name string) (BindingState, error) {
	query := url.Values{"tenant": {tenant}, "name": {name}}
	return askAdmin[BindingState](ctx, dir, http.MethodGet, "/host?"+query.Encode(), nil)
}

// bind sends the request and waits for the first state.
func bind(ctx context.Context, dir string, req BindRequest) (*Binding, error) {
	encoded, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode the request for a binding: %w", err)
	}
	answer, err := openAdmin(ctx, dir, http.MethodPost, "/bindings", bytes.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	b := &Binding{updates: make(chan BindingState, 1), done: make(chan struct{}), close: sync.OnceValue(answer.Close)}
	lines := json.NewDecoder(answer)
	if err := lines.Decode(&b.BindingState); err != nil {
		return nil, errors.Join(fmt.Errorf("read the server's answer to a binding: %w", err), b.close())
	}
	go b.read(ctx, lines)
	return b, nil
}

// read passes states on. Only the newest matters: one that nobody took is replaced.
func (b *Binding) read(ctx context.Context, lines *json.Decoder) {
	defer close(b.done)
	defer close(b.updates)
	for {
		var state BindingState
		if err := lines.Decode(&state); err != nil {
			if ctx.Err() == nil {
				b.err = &refusedError{
					what: fmt.Sprintf("its server has stopped (%v)", err), fix: "start the program again when a server runs", cause: err,
				}
			}
			return
		}
		select {
		case <-b.updates:
		default:
		}
		b.updates <- state
	}
}
