package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// Clients may take users' passwords only where the operator said so.
func TestPasswordsOnlyWhereAllowed(t *testing.T) {
	t.Parallel()
	const tool = "d0000001-5a5a-4c4c-8d8d-000000000001"
	for allowed, want := range map[bool]string{false: "unsupported", true: "'username'"} {
		s := start(t, server.Config{Dir: t.TempDir(), AllowPasswords: allowed, Prepare: func(ctx context.Context, data *server.Data) error {
			_, err := data.Directory.Change(ctx, directory.Operator("test"), func(e *directory.Editor) error {
				tenant, err := e.Tenants().Create(directory.Tenant{Name: "contoso"})
				if err != nil {
					return err
				}
				if _, err = e.Applications().Create(directory.Application{Tenant: tenant.ID, AppID: tool, Name: "dev-tool", Public: true}); err != nil {
					return err
				}
				_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: tenant.ID, AppID: tool, Name: "dev-tool"})
				return err
			})
			return err
		}})
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.CA().Pool(), MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
		at := s.Endpoints()
		form := url.Values{"grant_type": {"password"}, "client_id": {tool}, "scope": {"openid"}}
		response, err := (&http.Client{Transport: transport}).PostForm(at.Authority+"/"+at.Tenants[0].ID+"/oauth2/v2.0/token", form)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("allowed %v: got %s, %v, want %q in it", allowed, body, err, want)
		}
	}
}
