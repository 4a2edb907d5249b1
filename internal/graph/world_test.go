package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/graph"
	"github.com/rolecall-auth/rolecall/internal/insidetest"
)

const (
	ownURL = "https://graph.contoso.test:8444"
	tenant = directory.TenantID(authoritytest.TenantID)
)

// A world is an authority and the API.
type world struct {
	testing.TB
	login *insidetest.Authority
	graph http.Handler

	tool, other string                        // object ids of clients
	users       map[string]directory.ObjectID // by their directory role
	certificate string                        // in base64
}

func newWorld(t testing.TB) *world {
	t.Helper()
	login := insidetest.Start(t)
	api, err := graph.New(graph.Config{
		Authority: login.URL, URL: ownURL, Directory: login.Directory(), HTTPClient: login.HTTPClient(), Minter: login.Issuer(), Explainer: explainer(login), Now: login.Clock().Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	return &world{TB: t, login: login, graph: api.Handler()}
}

// explainer explains what the authority issued and answered.
func explainer(login *insidetest.Authority) *explain.Explainer {
	return &explain.Explainer{
		Directory: login.Directory(), Keys: login.Keys(), Origin: login.Issuer().Origin(), Under: login.Issuer().Under, Now: login.Clock().Now,
		SignIns: func(ctx context.Context, f directory.SignInFilter) ([]directory.SignIn, error) {
			if err := login.Issuer().Flush(ctx); err != nil {
				return nil, err
			}
			return login.Directory().SignIns(ctx, f)
		},
	}
}

func (w *world) change(f func(*directory.Editor) error) {
	w.Helper()
	if _, err := w.login.Directory().Change(w.Context(), directory.Operator("test"), f); err != nil {
		w.Fatal(err)
	}
}

// app returns a token of an application with roles of Graph.
func (w *world) app(name string, roles ...string) string {
	w.Helper()
	credential := w.login.Credential(name)
	w.change(func(e *directory.Editor) error {
		holder, err := e.ServicePrincipals().Find(tenant, w.login.App(name).ClientID)
		if err != nil {
			return err
		}
		api, err := e.Applications().FindAPI(tenant, graph.AppID)
		if err != nil {
			return err
		}
		resource, err := e.ServicePrincipals().FindAPI(tenant, graph.AppID)
		if err != nil {
			return err
		}
		for _, value := range roles {
			role, ok := api.Role(value)
			if !ok {
				w.Fatalf("Graph has no role %s", value)
			}
			if _, _, err := e.Assignments().Add(tenant, holder.ID, resource.ID, role.ID); err != nil {
				return err
			}
		}
		return nil
	})
	token, err := credential.GetToken(w.Context(), policy.TokenRequestOptions{Scopes: []string{graph.Resource + "/.default"}})
	if err != nil {
		w.Fatal(err)
	}
	return token.Token
}

// A reply is an answer of the API.
type reply struct {
	*httptest.ResponseRecorder
	body map[string]any
}

// do sends a request with a body, which is JSON in a string, or a value to be encoded.
func (w *world) do(token, method, path string, content any, header ...string) reply {
	w.Helper()
	var reader io.Reader
	switch given := content.(type) {
	case nil:
	case string:
		reader = strings.NewReader(given)
	default:
		encoded, err := json.Marshal(given)
		if err != nil {
			w.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	request := httptest.NewRequestWithContext(w.Context(), method, path, reader)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if reader != nil {
		request.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	w.graph.ServeHTTP(recorder, request)
	got := reply{ResponseRecorder: recorder}
	if strings.HasPrefix(recorder.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(recorder.Body.Bytes(), &got.body); err != nil {
			w.Fatalf("%s %s: %v in %s", method, path, err, recorder.Body)
		}
	}
	return got
}

// want is do for what has to succeed.
func (w *world) want(status int, token, method, path string, content any, header ...string) map[string]any {
	w.Helper()
	got := w.do(token, method, path, content, header...)
	if got.Code != status {
		w.Fatalf("%s %s: %d, want %d: %s", method, path, got.Code, status, got.Body)
	}
	return got.body
}

// problem returns code and message of an error.
func (r reply) problem() (code, message string) {
	problem, _ := r.body["error"].(map[string]any)
	code, _ = problem["code"].(string)
	message, _ = problem["message"].(string)
	return code, message
}
