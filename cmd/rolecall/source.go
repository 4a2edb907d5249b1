package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/lending"
	"github.com/rolecall-auth/rolecall/internal/manage"
	"github.com/rolecall-auth/rolecall/internal/pki"
	"github.com/rolecall-auth/rolecall/internal/remote"
	"github.com/rolecall-auth/rolecall/internal/runas"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// source is where tokens come from, and what ends the work with it: the server of the data folder,
// one of this command's own, or the one elsewhere that --server names.
func (c *cli) source(ctx context.Context) (runas.Source, io.Closer, error) {
	if c.Server != "" {
		s, err := c.openElsewhere(ctx)
		if err != nil {
			return nil, nil, err
		}
		return s, s, nil
	}
	s, err := c.Connect(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	return runas.Folder{Session: s, Now: c.Now}, s, nil
}

// A lender is the server that --server names, as it lends.
type lender struct {
	*lending.Server
	signedIn *remote.Server
}

func (l lender) Close() error {
	l.signedIn.Close()
	return nil
}

// openElsewhere opens the server that --server names.
func (c *cli) openElsewhere(ctx context.Context) (*lender, error) {
	place, signedIn, err := manage.SignedIn(ctx, c.Line, "")
	if err != nil {
		return nil, err
	}
	s, err := c.lendingOf(place, signedIn)
	if err != nil {
		signedIn.Close()
		return nil, err
	}
	return &lender{s, signedIn}, nil
}

// lendingOf is a server that somebody is signed in to, as it lends.
func (c *cli) lendingOf(place *manage.Server, signedIn *remote.Server) (*lending.Server, error) {
	if err := os.MkdirAll(signedIn.Folder(), 0o700); err != nil {
		return nil, err
	}
	bundle, err := c.bundleOf(signedIn)
	if err != nil {
		return nil, err
	}
	cfg := lending.Config{
		Name: signedIn.Name, Tenant: place.Tenant, Finder: place.Remote, Client: place.Client, Dir: signedIn.Folder(),
		Endpoints: server.Endpoints{Authority: signedIn.URL, Graph: signedIn.Graph, CABundle: bundle},
		Say:       func(text string) { c.Say("%s", text) }, Now: c.Now, Log: c.Log(slog.LevelWarn),
	}
	if signedIn.By == remote.ByDeviceCode {
		cfg.User = signedIn.Who
		cfg.UserToken = func(ctx context.Context, scopes ...string) (azcore.AccessToken, error) {
			value, expires, err := signedIn.Token(ctx, strings.Join(scopes, " "))
			return azcore.AccessToken{Token: value, ExpiresOn: expires}, err
		}
	}
	return lending.New(cfg)
}

// bundleOf is a file with the certificates by which a server is trusted, and those that the system
// trusts: programs take one file in place of their own. It is empty where the system trusts the
// server.
func (c *cli) bundleOf(signedIn *remote.Server) (string, error) {
	bundle := signedIn.BundleFile()
	if bundle == "" {
		return "", nil
	}
	for _, file := range pki.SystemRootFiles() {
		if _, err := os.Stat(file); err == nil {
			folder := func() (string, error) { return signedIn.Folder(), nil }
			return launch.WithTrusted(folder, bundle, []string{"SSL_CERT_FILE=" + file}, c.Say)
		}
	}
	return bundle, nil
}

// withServer is --server in a command that is shown, after a space, where it was given.
func (c *cli) withServer() string {
	if c.Server == "" {
		return ""
	}
	return " --server " + c.Server
}
