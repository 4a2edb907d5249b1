package guardfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// MaxSize is how long a guard.yaml may be, in bytes.
const MaxSize = 1 << 20

// A File is what a guard.yaml says.
type File struct {
	Listen       string // host:port, or unix:PATH
	Mode         Mode
	Dialect      Dialect // of ModeForwardAuth and ModeExtAuthz
	TrustedPeers []netip.Prefix
	TLS          *TLS
	// ClientCertificate is the header in which trusted peers, at which TLS ends, pass on the
	// certificate of the client. Empty: none does.
	ClientCertificate string
	CABundle          string // empty: ROLECALL_CA_BUNDLE, else the system's roots
	Identity          Identity
	ForwardToken      bool
	KeepStreams       bool          // beyond the end of the token by which they were let in
	MaxKeyAge         time.Duration // 0: that of package guard
	StateDir          string
	Revocation        string // off or follow
	Ops               string // host:port; empty: none
	APIs              []API

	Foreign  Foreign   // whose settings these are
	Warnings []Warning // what foreign settings leave open
}

// TLS names the files of a certificate and its key.
type TLS struct {
	Cert, Key  string
	AskClients bool // for their certificates, to which tokens may be bound
}

// An API is what one guard protects, and how.
type API struct {
	Host      string // of its requests; empty: the only API of the file, for any host
	Upstream  string // a URL: http, https, h2c, or unix:PATH
	Authority string
	Audience  []string
	Tenants   []string         // where the authority is one for several
	Caller    guard.CallerKind // empty: applications
	Rules     []guard.Rule     // the first that fits a request decides
	Places    []Place          // of the rules
	// Origins are scheme and host by which clients call the API. With them, tokens are taken
	// that are bound to a key, by DPoP or in signed requests.
	Origins []string
	// Resource is the URL by which clients know the API; with it, a proxy tells them how to call
	// it (RFC 9728).
	Resource string
	// Credential is the API's own, by which revocations are followed. Nil: that of the environment.
	Credential *Credential
	// Follow is whether tokens end with what the authority revokes (revocation: follow).
	Follow bool
}

// A Credential says how an API's own application proves itself: by one of the files.
type Credential struct {
	Client          string // application id
	SecretFile      string
	CertificateFile string // PEM or PKCS#12, with its key
	TokenFile       string // a federated assertion
}

// A Place is where something stands in a file.
type Place struct{ Line, Column int }

// A Mode is how a guard is asked.
type Mode string

// The modes.
const (
	ModeProxy       Mode = "proxy"
	ModeForwardAuth Mode = "forward-auth"
	ModeExtAuthz    Mode = "ext-authz"
)

// A Dialect is how the proxy that asks a guard tells which request it asks about.
type Dialect string

// The dialects: the first three of ModeForwardAuth, the others of ModeExtAuthz. Which one is
// spoken is never taken from a request: the parts of it that tell them apart may be a client's.
const (
	DialectNginx   Dialect = "nginx"
	DialectTraefik Dialect = "traefik"
	DialectCaddy   Dialect = "caddy"
	DialectGRPC    Dialect = "grpc" // the default of ModeExtAuthz
	DialectHTTP    Dialect = "http"
)

// An Identity is how the upstream learns who calls.
type Identity string

// The identities.
const (
	IdentityEasyAuth Identity = "easy-auth" // the headers of App Service Authentication
	IdentitySigned   Identity = "signed"    // one header of our own, a signed token
	IdentityNone     Identity = "none"
)

// DefaultListen is where a guard listens that is not told.
const DefaultListen = "127.0.0.1:8080"

// Config returns the settings of an API as package guard has them.
func (f *File) Config(a API) guard.Config {
	cfg := guard.Config{Authority: a.Authority, Audience: a.Audience, Tenants: a.Tenants, Caller: a.Caller, CABundle: f.CABundle, MaxKeyAge: f.MaxKeyAge, StateDir: f.StateDir}
	if len(a.Origins) > 0 {
		cfg.DPoP, cfg.SignedRequests = &guard.DPoP{Origins: a.Origins}, &guard.SignedRequests{}
		for _, origin := range a.Origins {
			_, host, _ := strings.Cut(origin, "://")
			cfg.SignedRequests.Hosts = append(cfg.SignedRequests.Hosts, host)
		}
	}
	if a.Resource != "" {
		cfg.Resource = &guard.Resource{URL: a.Resource}
	}
	return cfg
}

// A Problem is something wrong in a guard.yaml, and where.
type Problem struct {
	File         string
	Line, Column int // 0: the file as a whole
	What         string
}

// Error gives the place and what is wrong there.
func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.What
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.What)
}

// Parse reads a guard.yaml, or the settings of one of the guards of [Foreign]. What is wrong in
// it is reported all at once, as problems that are joined; their texts repeat no value but the
// names of members. Names of files in it are taken to be relative to its own folder.
func Parse(name string, content []byte) (*File, error) {
	r := &reader{file: text.Line(name, text.MaxQuoted), folder: filepath.Dir(name)}
	if len(content) > MaxSize {
		r.problem(nil, "it is longer than %d bytes", MaxSize)
		return nil, r.err()
	}
	f := &File{Listen: DefaultListen, Mode: ModeProxy, Identity: IdentityEasyAuth}
	if isPolicy(content) {
		r.policy(f, content)
		return f, r.err()
	}
	if json.Valid(content) { // which YAML is not, if it has tabs; they stand in no string
		content = bytes.ReplaceAll(content, []byte("\t"), []byte(" "))
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		r.problem(nil, "it is no YAML: %s", text.Line(trimYAML(err), text.MaxQuoted))
		return nil, r.err()
	}
	if len(document.Content) == 0 {
		r.problem(nil, "it is empty; it needs authority, audience and rules")
		return nil, r.err()
	}
	if root := document.Content[0]; isAuthSettings(root) {
		r.authSettings(f, root)
	} else {
		r.document(f, root)
		for i := range f.APIs {
			f.APIs[i].Follow = f.Revocation == "follow"
			if f.APIs[i].Credential != nil && !f.APIs[i].Follow {
				r.problem(root, "credential is for revocation: follow, which is not set")
				break
			}
		}
	}
	return f, r.err()
}

// maxProblems is how many problems are reported.
const maxProblems = 20

// A reader turns what is written into settings and gathers what is wrong with it.
type reader struct {
	file     string
	folder   string // of the file, to which the names of others are relative
	problems []error
}

func (r *reader) problem(at *yaml.Node, format string, args ...any) {
	if len(r.problems) >= maxProblems {
		return
	}
	p := &Problem{File: r.file, What: fmt.Sprintf(format, args...)}
	if at != nil {
		p.Line, p.Column = at.Line, at.Column
	}
	r.problems = append(r.problems, p)
}

func (r *reader) err() error { return errors.Join(r.problems...) }
