package orders

import (
	"net/http"

	"github.com/rolecall-auth/rolecall/credential"
)

// A way is an HTTP client whose calls carry a token, got in one manner; or the error that
// prevents it.
type way struct {
	name   string
	client *http.Client
	err    error
}

// ways returns one for each proof that is configured. They share nothing, so that each
// shows its own outcome.
func ways(cfg ClientConfig) []way {
	var all []way
	if cfg.Secret != "" {
		all = append(all, adal(cfg), secret(cfg))
	}
	if cfg.CertificateFile != "" {
		all = append(all, certificate(cfg))
	}
	if cfg.AssertionFile != "" {
		all = append(all, federated(cfg))
	}
	if cfg.ConnectionString != "" {
		all = append(all, connection("connection-string", cfg.ConnectionString, cfg))
	}
	if cfg.ManagedIdentity {
		all = append(all, connection("managed-identity", "RunAs=App", cfg))
	}
	return all
}

// adal is how applications asked before 2019. It is here to compare, not to copy.
func adal(cfg ClientConfig) way {
	//nolint:staticcheck // the sample shows the deprecated way next to its successors
	cred, err := credential.NewADAL(credential.ADALConfig{
		TenantID: cfg.TenantID, ClientID: cfg.AppID, Secret: cfg.Secret, Options: cfg.Authority,
	})
	if err != nil {
		return way{name: "adal", err: err}
	}
	return newWay("adal", credential.NewTransport(cred, cfg.scope()), cfg)
}

func secret(cfg ClientConfig) way {
	cred, err := credential.NewSecret(cfg.TenantID, cfg.AppID, cfg.Secret, cfg.Authority)
	if err != nil {
		return way{name: "secret", err: err}
	}
	return newWay("secret", credential.NewTransport(cred, cfg.scope()), cfg)
}

func certificate(cfg ClientConfig) way {
	loaded, err := credential.LoadCertificate(cfg.CertificateFile, "")
	if err != nil {
		return way{name: "certificate", err: err}
	}
	cred, err := credential.NewCertificate(cfg.TenantID, cfg.AppID, loaded, cfg.Authority)
	if err != nil {
		return way{name: "certificate", err: err}
	}
	return newWay("certificate", credential.NewTransport(cred, cfg.scope()), cfg)
}

func federated(cfg ClientConfig) way {
	cred, err := credential.NewAssertionFile(cfg.TenantID, cfg.AppID, cfg.AssertionFile, cfg.Authority)
	if err != nil {
		return way{name: "federated", err: err}
	}
	return newWay("federated", credential.NewTransport(cred, cfg.scope()), cfg)
}

func connection(name, connectionString string, cfg ClientConfig) way {
	cred, err := credential.Parse(connectionString, cfg.Authority)
	if err != nil {
		return way{name: name, err: err}
	}
	return newWay(name, credential.NewTransport(cred, cfg.scope()), cfg)
}

// scope asks for all app roles the client has for the API.
func (cfg ClientConfig) scope() string { return cfg.ServerAppID + "/.default" }

func newWay(name string, transport *credential.Transport, cfg ClientConfig) way {
	transport.Base = cfg.Base
	return way{name: name, client: &http.Client{Transport: transport}}
}
