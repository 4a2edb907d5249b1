package guardfile

import (
	"github.com/rolecall-auth/rolecall/guard"
)

// Settings are a file as it is written in guard.yaml, without what is left to the defaults.
type Settings struct {
	Listen            string        `json:"listen,omitempty"`
	Mode              Mode          `json:"mode,omitempty"`
	Dialect           Dialect       `json:"dialect,omitempty"`
	TrustedPeers      []string      `json:"trustedPeers,omitempty"`
	ClientCertificate string        `json:"clientCertificate,omitempty"`
	TLS               *TLSSettings  `json:"tls,omitempty"`
	CABundle          string        `json:"caBundle,omitempty"`
	Identity          Identity      `json:"identity,omitempty"`
	ForwardToken      bool          `json:"forwardToken,omitempty"`
	EndStreams        *bool         `json:"endStreams,omitempty"`
	MaxKeyAge         string        `json:"maxKeyAge,omitempty"`
	StateDir          string        `json:"stateDir,omitempty"`
	Revocation        string        `json:"revocation,omitempty"`
	Ops               string        `json:"ops,omitempty"`
	*APISettings                    // the only API, or
	APIs              []APISettings `json:"apis,omitempty"`
}

// TLSSettings are the files of a certificate.
type TLSSettings struct {
	Cert       string `json:"cert"`
	Key        string `json:"key"`
	AskClients bool   `json:"askClients,omitempty"`
}

// APISettings are those of one API.
type APISettings struct {
	Host      string           `json:"host,omitempty"`
	Upstream  string           `json:"upstream,omitempty"`
	Authority string           `json:"authority"`
	Audience  []string         `json:"audience"`
	Tenants   []string         `json:"tenants,omitempty"`
	Caller    guard.CallerKind `json:"caller,omitempty"`
	Origins   []string         `json:"origins,omitempty"`
	Resource  string           `json:"resource,omitempty"`
	Rules     []RuleSettings   `json:"rules"`
	// Credential is the API's own.
	Credential *CredentialSettings `json:"credential,omitempty"`
}

// CredentialSettings say how an API proves itself.
type CredentialSettings struct {
	Client          string `json:"client,omitempty"`
	SecretFile      string `json:"secretFile,omitempty"`
	CertificateFile string `json:"certificateFile,omitempty"`
	TokenFile       string `json:"tokenFile,omitempty"`
}

// RuleSettings are those of one rule.
type RuleSettings struct {
	Path       string           `json:"path"`
	Methods    []string         `json:"methods,omitempty"`
	Roles      []string         `json:"roles,omitempty"`
	AllRoles   []string         `json:"allRoles,omitempty"`
	Scopes     []string         `json:"scopes,omitempty"`
	Clients    []string         `json:"clients,omitempty"`
	Principals []string         `json:"principals,omitempty"`
	Tenants    []string         `json:"tenants,omitempty"`
	Caller     guard.CallerKind `json:"caller,omitempty"`
	Bound      bool             `json:"bound,omitempty"`
	Anonymous  bool             `json:"anonymous,omitempty"`
	Shadow     bool             `json:"shadow,omitempty"`
}

// Settings returns the file as it is written.
func (f *File) Settings() Settings {
	s := Settings{ClientCertificate: f.ClientCertificate, CABundle: f.CABundle, ForwardToken: f.ForwardToken, StateDir: f.StateDir, Ops: f.Ops, Dialect: f.Dialect}
	if f.Listen != DefaultListen {
		s.Listen = f.Listen
	}
	if f.Mode != ModeProxy {
		s.Mode = f.Mode
	}
	if f.Identity != IdentityEasyAuth {
		s.Identity = f.Identity
	}
	if f.Revocation != "off" {
		s.Revocation = f.Revocation
	}
	if f.KeepStreams {
		s.EndStreams = new(bool)
	}
	if f.TLS != nil {
		s.TLS = &TLSSettings{f.TLS.Cert, f.TLS.Key, f.TLS.AskClients}
	}
	if f.MaxKeyAge != 0 {
		s.MaxKeyAge = f.MaxKeyAge.String()
	}
	for _, peer := range f.TrustedPeers {
		s.TrustedPeers = append(s.TrustedPeers, peer.String())
	}
	for _, api := range f.APIs {
		s.APIs = append(s.APIs, api.settings())
	}
	if len(s.APIs) == 1 && s.APIs[0].Host == "" {
		s.APISettings, s.APIs = &s.APIs[0], nil
	}
	return s
}

func (a API) settings() APISettings {
	s := APISettings{Host: a.Host, Upstream: a.Upstream, Authority: a.Authority, Audience: a.Audience, Tenants: a.Tenants, Caller: a.Caller, Origins: a.Origins, Resource: a.Resource}
	if a.Credential != nil {
		s.Credential = &CredentialSettings{a.Credential.Client, a.Credential.SecretFile, a.Credential.CertificateFile, a.Credential.TokenFile}
	}
	for _, r := range a.Rules {
		s.Rules = append(s.Rules, RuleSettings{r.Path, r.Methods, r.Roles, r.AllRoles, r.Scopes, r.Clients, r.Principals, r.Tenants, r.Caller, r.Bound, r.Anonymous, r.Shadow})
	}
	return s
}
