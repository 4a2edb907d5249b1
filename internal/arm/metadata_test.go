package arm_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/arm"
	"github.com/rolecall-auth/rolecall/internal/insidetest"
)

// metadata asks for the metadata without a token.
func (w *world) metadata(version string) any {
	w.Helper()
	recorder := httptest.NewRecorder()
	w.arm.ServeHTTP(recorder, httptest.NewRequestWithContext(w.Context(), http.MethodGet, "/metadata/endpoints?api-version="+version, nil))
	var body any
	if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil || recorder.Code != http.StatusOK {
		w.Fatalf("%s: %d, %v in %s", version, recorder.Code, err, recorder.Body)
	}
	return body
}

// Each client reads the shape of its time.
func TestMetadataHaveTheShapeOfTheirVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, version := range []string{"2015-01-01", "2018-01-01"} {
		got := answer{body: w.metadata(version).(map[string]any)}
		if got.at("graphEndpoint") != graphAt || got.at("galleryEndpoint") == nil || got.at("portalEndpoint") == nil || got.at("authentication.loginEndpoint") != w.login.URL {
			t.Errorf("%s: %v", version, got.body)
		}
		if audiences, _ := got.at("authentication.audiences").([]any); len(audiences) != 2 || audiences[0] != arm.Resource {
			t.Errorf("%s: %v", version, audiences)
		}
	}
	for _, version := range []string{"2019-05-01", "2020-06-01"} {
		clouds, _ := w.metadata(version).([]any)
		if len(clouds) != 1 {
			t.Fatalf("%s: %v", version, clouds)
		}
		w.isCloud(version, clouds[0])
	}
	for _, version := range []string{"2022-09-01", "2022-12-01", "2031-01-01-preview", "latest"} {
		w.isCloud(version, w.metadata(version))
	}
}

// isCloud holds a cloud to what the Azure CLI and Terraform require.
func (w *world) isCloud(version string, cloud any) {
	w.Helper()
	got := answer{body: cloud.(map[string]any)}
	for path, want := range map[string]any{
		"name": "Rolecall", "resourceManager": ownURL, "microsoftGraphResourceId": graphAt, "graphAudience": graphAt,
		"authentication.loginEndpoint": w.login.URL, "authentication.identityProvider": "AAD", "authentication.tenant": "common",
	} {
		if got.at(path) != want {
			w.Errorf("%s: %s is %v, want %v", version, path, got.at(path), want)
		}
	}
	if audiences, _ := got.at("authentication.audiences").([]any); len(audiences) == 0 || audiences[0] != arm.Resource {
		w.Errorf("%s: audiences %v", version, audiences)
	}
	if _, there := got.at("suffixes").(map[string]any); !there {
		w.Errorf("%s: no suffixes", version)
	}
}

// Under Microsoft's names the list has all clouds, the one that was asked first.
func TestMetadataOfSeveralClouds(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	manager, err := arm.New(arm.Config{
		Cloud:     arm.Cloud{Name: "AzureUSGovernment", Login: "https://login.microsoftonline.us", Manager: "https://management.usgovcloudapi.net/", Audience: "https://management.core.usgovcloudapi.net", Graph: "https://graph.microsoft.us/"},
		Others:    []arm.Cloud{{Name: "AzureCloud", Login: "https://login.microsoftonline.com", Manager: "https://management.azure.com/", Graph: "https://graph.microsoft.com/"}},
		Directory: login.Directory(), HTTPClient: login.HTTPClient(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(manager.Close)
	w := &world{T: t, login: login, arm: manager.Handler()}
	clouds, _ := w.metadata("2019-05-01").([]any)
	if len(clouds) != 2 {
		t.Fatalf("got %v", clouds)
	}
	for i, want := range []struct{ name, audience string }{{"AzureUSGovernment", "https://management.core.usgovcloudapi.net/"}, {"AzureCloud", arm.Resource}} {
		got := answer{body: clouds[i].(map[string]any)}
		if audiences, _ := got.at("authentication.audiences").([]any); got.at("name") != want.name || len(audiences) == 0 || audiences[0] != want.audience {
			t.Errorf("%d: got %v", i, got.body)
		}
	}
}
