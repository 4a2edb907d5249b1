package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/library"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/runas"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// tokenSecretLife is how long the secret lives that a command makes for one token.
const tokenSecretLife = 10 * time.Minute

// A request is what the token commands ask for.
type request struct {
	as, tenant, scope, resource, way, out string
}

func (r *request) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&r.as, "as", "", "application, managed identity or user to act as: its name or id (required)")
	flags.StringVar(&r.tenant, "tenant", "", "its tenant, if several tenants have that name")
	flags.StringVar(&r.way, "way", string(library.AzureIdentity), "library to ask with, for an application: adal, msal, appauth or azidentity")
}

// ask returns the scope that the flags name; the v1 way makes a resource of it again.
func (r *request) ask() string {
	if r.resource != "" {
		return r.resource + "/.default"
	}
	return r.scope
}

func tokenCommand(c *cli) *cobra.Command {
	var r request
	cmd := &cobra.Command{
		Use:   "token --as NAME (--scope SCOPE | --resource RESOURCE)",
		Short: "Get a token as an application, managed identity or user",
		Long: `Gets an access token for an API, over HTTPS: as an application, through a real client
library and with a temporary secret that is removed again; as a managed identity, the
token that a program with that identity gets; as a user, the token that az gets when
that user is signed in.`,
		Example: `  rolecall token --as orders-client --scope api://orders/.default -o claims
  rolecall token --as orders-client --scope api://orders/.default --out token.jwt
  rolecall token --as dev@contoso.test --scope api://orders/Orders.List -o claims`,
		Args: command.Exactly(0, ""),
	}
	r.flags(cmd)
	c.ServerFlag(cmd)
	cmd.Flags().StringVar(&r.scope, "scope", "", "API to ask for, as a scope: api://orders/.default")
	cmd.Flags().StringVar(&r.resource, "resource", "", "API to ask for, as a resource: api://orders")
	cmd.Flags().StringVar(&r.out, "out", "", "file for the token alone, without a line break, instead of printing it")
	format := c.OutputFlag(cmd, "raw", "raw", "json", "claims")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		way, err := r.check()
		if err == nil && r.out != "" && format.Value != "raw" {
			err = errors.New("--out is for the token alone: leave out -o, or --out")
		}
		if err != nil {
			return command.UsageError(cmd, err)
		}
		answer, err := c.tokenFor(cmd.Context(), r, way)
		if err != nil {
			return err
		}
		if r.out != "" { // programs take a line break at its end for a part of the token
			return launch.ReplaceFile(r.out, []byte(answer.Token), 0o600)
		}
		return c.printToken(format.Value, answer)
	}
	return cmd
}

func (r *request) check() (library.Name, error) {
	switch {
	case r.as == "":
		return "", errors.New("--as is missing: which application, managed identity or user to act as")
	case r.scope == "" && r.resource == "":
		return "", errors.New("give --scope or --resource: the API that the token is for")
	case r.scope != "" && r.resource != "":
		return "", errors.New("give --scope or --resource, not both")
	}
	return library.Parse(r.way)
}

// tokenFor gets one token: as an application with a secret that lives just as long as that
// takes, as anybody else by a binding that does.
func (c *cli) tokenFor(ctx context.Context, r request, name library.Name) (_ azcore.AccessToken, err error) {
	from, end, err := c.source(ctx)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	defer func() { err = command.CloseAfter(err, end) }()
	actor, err := from.FindActor(ctx, r.tenant, r.as)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	if actor.User != nil || actor.IsIdentity() {
		if name != library.AzureIdentity {
			return azcore.AccessToken{}, command.Fail(command.ExitUsage, fmt.Errorf("%s is not an application, so it has no credential for --way %s", actor.Name(), name), "leave out --way")
		}
		answer, err := from.Token(ctx, actor, strings.Fields(r.ask())...)
		return answer, refusedToken(err)
	}
	return c.tokenBySecret(ctx, from, actor, r, name)
}

// tokenBySecret gets a token as an application, through a client library.
func (c *cli) tokenBySecret(ctx context.Context, from runas.Source, app lookup.Actor, r request, name library.Name) (_ azcore.AccessToken, err error) {
	holder, err := tempcred.Hold(from.Dir())
	if err != nil {
		return azcore.AccessToken{}, err
	}
	defer func() { err = errors.Join(err, holder.Release()) }() // after the secret
	issuer := from.Credentials("token", holder)
	secret, value, err := issuer.AddSecret(ctx, app.Application, tokenSecretLife)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	defer func() { err = errors.Join(err, issuer.Remove(ctx, app.Application, secret.ID)) }()

	client, err := trustingClient(from.Endpoints().CABundle)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	defer client.CloseIdleConnections() // else a server of our own would wait for them
	cred, err := library.Client{
		Authority: from.Endpoints().Authority, HTTP: client,
		TenantID: string(app.Tenant.ID), ClientID: string(app.Application.AppID), Secret: value,
	}.Credential(name)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	answer, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{r.ask()}})
	return answer, refusedToken(err)
}

// The parts of an authority's refusal, wherever in a library's error it stands.
var (
	refusalText   = regexp.MustCompile(`(AADSTS\d+: .*?) (?:Trace|Correlation) ID: `)
	correlationID = regexp.MustCompile(`Correlation ID: ([0-9a-fA-F-]{36})`)
)

// refusedToken makes the authority's refusal, which libraries wrap in much text, a check
// that refused.
func refusedToken(err error) error {
	if err == nil {
		return nil
	}
	if refusal, ok := errors.AsType[*graphclient.Error](err); ok && strings.HasPrefix(refusal.Code, "AADSTS") {
		return command.Fail(command.ExitRefused, fmt.Errorf("the authority refused: %s: %w", refusal.Code, err), "")
	}
	text := refusalText.FindStringSubmatch(err.Error())
	if text == nil {
		return err
	}
	next := ""
	if id := correlationID.FindStringSubmatch(err.Error()); id != nil {
		next = "`rolecall explain --correlation-id " + id[1] + "` says how to fix it"
	}
	return command.Fail(command.ExitRefused, errors.New("the authority refused: "+text[1]), next)
}

// trustingClient returns a client that trusts the certificates of a bundle; without one, those
// that the system trusts.
func trustingClient(bundle string) (*http.Client, error) {
	if bundle == "" {
		return newClient(nil), nil
	}
	pem, err := os.ReadFile(bundle)
	if err != nil {
		return nil, fmt.Errorf("read the CA bundle: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s contains no certificate: remove it and restart the server, which creates it again", bundle)
	}
	return newClient(roots), nil
}

// newClient returns a client that follows no redirect, so that what it sends reaches only the
// address it was meant for.
func newClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (c *cli) printToken(format string, answer azcore.AccessToken) error {
	if format == "raw" {
		fmt.Fprintln(c.Out, answer.Token)
		return nil
	}
	if format == "json" {
		return output.JSON(c.Out, map[string]any{
			"accessToken": answer.Token, "expiresOn": answer.ExpiresOn.UTC().Format(time.RFC3339), "tokenType": "Bearer",
		})
	}
	claims, err := claimsOf(answer.Token)
	if err != nil {
		return err
	}
	return output.JSON(c.Out, claims)
}

// claimsOf returns a token's payload as it is, for showing.
func claimsOf(raw string) (json.RawMessage, error) {
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		return nil, fmt.Errorf("read the token: %w", err)
	}
	return json.RawMessage(parsed.Claims.Raw()), nil
}
