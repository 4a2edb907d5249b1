package graph_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A dry run is answered after all checks, with what would change and without any secret, and
// leaves nothing behind.
func TestDryRunOfARequest(t *testing.T) {
	w := newWorld(t)
	admin := w.app("tool", "Application.ReadWrite.All")
	reader := w.app("reader", "Application.Read.All")
	made := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", `{"displayName":"kept"}`)
	id, _ := made["id"].(string)
	const dry = "/v1.0/rolecall.dryRun/"
	trace := func() (int, int64) {
		rows, err := w.login.Directory().AuditRows(t.Context(), 0, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		sequence, err := directory.Sequence(t.Context(), w.login.Directory())
		if err != nil {
			t.Fatal(err)
		}
		return len(rows), sequence
	}
	rows, sequence := trace()
	for _, tt := range []struct {
		method, path, body string
		status             float64
		change             string // of the first one: "create application"
	}{
		{http.MethodPost, "applications", `{"displayName":"new"}`, http.StatusCreated, "create application"},
		{http.MethodPatch, "applications/" + id, `{"displayName":"renamed"}`, http.StatusNoContent, "update application"},
		{http.MethodPost, "applications/" + id + "/addPassword", `{}`, http.StatusOK, "update application"},
		{http.MethodDelete, "applications/" + id, ``, http.StatusNoContent, "discard application"},
		{http.MethodPatch, "applications/" + id, `{"displayName":"kept"}`, http.StatusNoContent, ""},
		{http.MethodGet, "applications/" + id, ``, http.StatusOK, ""},
	} {
		var content any
		if tt.body != "" {
			content = tt.body
		}
		got := w.want(http.StatusOK, admin, tt.method, dry+tt.path, content)
		changes, _ := got["changes"].([]any)
		first := ""
		if len(changes) > 0 {
			change, _ := changes[0].(map[string]any)
			action, _ := change["action"].(string)
			kind, _ := change["kind"].(string)
			first = action + " " + kind
		}
		if got["status"] != tt.status || first != tt.change || got["secretText"] != nil || got["appId"] != nil {
			t.Errorf("%s %s: %v", tt.method, tt.path, got)
		}
	}
	batch := w.want(http.StatusOK, admin, http.MethodPost, dry+"$batch", `{"requests":[
		{"id":"1","method":"DELETE","url":"/applications/`+id+`"},
		{"id":"2","method":"DELETE","url":"/rolecall.dryRun/applications/`+id+`"}]}`)
	responses, _ := batch["responses"].([]any)
	for _, one := range responses {
		one, _ := one.(map[string]any)
		body, _ := one["body"].(map[string]any)
		if changes, _ := body["changes"].([]any); len(changes) == 0 || body["status"] != float64(http.StatusNoContent) {
			t.Errorf("in a batch: %v", one)
		}
	}
	for _, tt := range []struct {
		token, method, path, body string
		status                    int
	}{
		{reader, http.MethodPost, "applications", `{"displayName":"new"}`, http.StatusForbidden},
		{"", http.MethodPost, "applications", `{"displayName":"new"}`, http.StatusUnauthorized},
		{admin, http.MethodPost, "applications", `{"identifierUris":["not a uri"],"displayName":"new"}`, http.StatusBadRequest},
		{admin, http.MethodDelete, "applications/00000000-0000-4000-8000-00000000dead", ``, http.StatusNotFound},
	} {
		var content any
		if tt.body != "" {
			content = tt.body
		}
		if got := w.do(tt.token, tt.method, dry+tt.path, content); got.Code != tt.status {
			t.Errorf("%s %s: %d %s, want %d", tt.method, tt.path, got.Code, got.Body, tt.status)
		}
	}
	if r, s := trace(); r != rows || s != sequence {
		t.Errorf("dry runs left %d audit rows and %d changes", r-rows, s-sequence)
	}
	if got := w.do(admin, http.MethodGet, "/v1.0/applications/"+id, nil); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `"displayName":"kept"`) {
		t.Errorf("after all: %d %s", got.Code, got.Body)
	}
}
