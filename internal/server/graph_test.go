package server

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A token for the URL of Graph, however its slashes are written, is one that Graph takes; what
// its holder may do there is another question.
func TestGraphTakesTokensForItsURL(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir()})
	tenant := directory.TenantID(s.Endpoints().Tenants[0].ID)
	var client directory.AppID
	var secret string
	_, err := s.Data().Directory.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		app, err := e.Applications().Create(directory.Application{Tenant: tenant, Name: "tool"})
		if err != nil {
			return err
		}
		client = app.AppID
		if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: tenant, AppID: client}); err != nil {
			return err
		}
		_, secret, err = e.Credentials().AddSecret(tenant, app.ID, "ci", time.Time{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	caller := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.CA().Pool(), MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
	for _, version := range []string{"2019-05-01", "2022-09-01"} {
		response, err := caller.Get(s.Endpoints().ResourceManager + "/metadata/endpoints?api-version=" + version)
		if err != nil {
			t.Fatal(err)
		}
		metadata, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !strings.Contains(string(metadata), `"microsoftGraphResourceId":"`+s.Endpoints().Graph+`"`) {
			t.Errorf("metadata of %s: %v %s", version, err, metadata)
		}
	}
	for _, resource := range []string{s.Endpoints().Graph, s.Endpoints().Graph + "/", "https://graph.microsoft.com", "https://graph.microsoft.us"} {
		answer, err := caller.PostForm(s.Endpoints().Authority+"/"+string(tenant)+"/oauth2/v2.0/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {string(client)}, "client_secret": {secret}, "scope": {resource + "/.default"},
		})
		if err != nil {
			t.Fatal(err)
		}
		var token struct {
			Value string `json:"access_token"`
			Error string `json:"error_description"`
		}
		err = json.NewDecoder(answer.Body).Decode(&token)
		answer.Body.Close()
		if err != nil || token.Value == "" {
			t.Fatalf("%s: %v %s", resource, err, token.Error)
		}
		for _, with := range []struct {
			token  string
			status int
			code   string
		}{{token.Value, http.StatusForbidden, "Authorization_RequestDenied"}, {"", http.StatusUnauthorized, "InvalidAuthenticationToken"}} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Endpoints().Graph+"/v1.0/applications", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", strings.TrimSpace("Bearer "+with.token))
			answer, err := caller.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			var body struct{ Error struct{ Code string } }
			err = json.NewDecoder(answer.Body).Decode(&body)
			answer.Body.Close()
			if err != nil || answer.StatusCode != with.status || body.Error.Code != with.code {
				t.Errorf("%s: %d %s %v, want %d %s", resource, answer.StatusCode, body.Error.Code, err, with.status, with.code)
			}
		}
	}
}
