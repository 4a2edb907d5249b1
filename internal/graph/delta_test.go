package graph_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// follow reads a delta to its end, and returns the ids of what is there, what is gone and why,
// and the link to go on with.
func (w *world) follow(token, path string) (there []string, gone map[string]string, link string) {
	w.Helper()
	gone = map[string]string{}
	for range 50 {
		body := w.want(http.StatusOK, token, http.MethodGet, path, nil)
		for _, one := range body["value"].([]any) {
			object := one.(map[string]any)
			if removed, is := object["@removed"].(map[string]any); is {
				gone[text(object, "id")] = text(removed, "reason")
			} else {
				there = append(there, text(object, "id"))
			}
		}
		if link = text(body, "@odata.deltaLink"); link != "" {
			return there, gone, strings.TrimPrefix(link, ownURL)
		}
		path = strings.TrimPrefix(text(body, "@odata.nextLink"), ownURL)
	}
	w.Fatal("a delta without an end")
	return nil, nil, ""
}

func TestDelta(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All", "Directory.Read.All")
	w.applications(7)
	app, _, sp := w.api(admin, orders)
	for _, path := range []string{"/v1.0/applications/delta", "/v1.0/applications/delta()?$top=3", "/beta/applications/microsoft.graph.delta()?$select=displayName,id&$top=2"} {
		there, gone, link := w.follow(admin, path)
		if !slices.Contains(there, app) || len(there) < 8 || len(gone) != 0 {
			t.Errorf("%s: %v %v", path, there, gone)
		}
		if again, gone, _ := w.follow(admin, link); len(again)+len(gone) != 0 {
			t.Errorf("%s: without a change: %v %v", path, again, gone)
		}
	}
	_, _, applications := w.follow(admin, "/v1.0/applications/delta?$select=displayName")
	_, _, principals := w.follow(admin, "/v1.0/servicePrincipals/delta")
	_, _, users := w.follow(admin, "/v1.0/users/delta")
	_, gone, latest := w.follow(admin, "/v1.0/applications/delta?$deltatoken=latest")
	if len(gone) != 0 {
		t.Errorf("latest: %v", gone)
	}
	w.user("dev@contoso.test", nil, "User.Read")
	w.want(http.StatusNoContent, admin, http.MethodPatch, "/v1.0/applications/"+app, `{"displayName":"renamed"}`)
	second := text(w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", `{"displayName":"second"}`), "id")
	for _, link := range []string{applications, latest} {
		if there, gone, _ := w.follow(admin, link); !slices.Contains(there, app) || !slices.Contains(there, second) || len(gone) != 0 {
			t.Errorf("changed: %v %v", there, gone)
		}
	}
	if there, _, _ := w.follow(admin, principals); !slices.Contains(there, sp) {
		t.Errorf("a service principal that has its application's name: %v", there)
	}
	if there, _, _ := w.follow(admin, users); len(there) != 1 {
		t.Errorf("users: %v", there)
	}
	_, _, applications = w.follow(admin, applications)
	w.want(http.StatusNoContent, admin, http.MethodDelete, "/v1.0/applications/"+app, nil)
	w.want(http.StatusNoContent, admin, http.MethodDelete, "/v1.0/applications/"+second, nil)
	w.want(http.StatusNoContent, admin, http.MethodDelete, "/v1.0/directory/deletedItems/"+second, nil)
	if _, gone, _ := w.follow(admin, applications); gone[app] != "changed" || gone[second] != "deleted" {
		t.Errorf("gone: %v", gone)
	}
	if _, gone, _ := w.follow(admin, principals); gone[sp] == "" {
		t.Errorf("what went with it: %v", gone)
	}
	for _, path := range []string{
		"/v1.0/applications/delta?$filter=id%20eq%20'x'", "/v1.0/applications/delta?$deltatoken=x", "/v1.0/applications/delta?$skiptoken=x",
		strings.Replace(applications, "applications", "servicePrincipals", 1), strings.Replace(applications, "$select=displayName", "$select=id", 1),
	} {
		if got := w.do(admin, http.MethodGet, path, nil); got.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
}

// TestDeltaThatIsTooOld makes more changes than anybody may be behind.
func TestDeltaThatIsTooOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.Read.All")
	_, _, link := w.follow(admin, "/v1.0/applications/delta?$deltatoken=latest")
	d := w.login.Directory()
	since, err := directory.Sequence(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	// A role that comes and goes is two changes; many in one transaction take little time.
	for changed := true; changed; {
		w.change(func(e *directory.Editor) error {
			for range 1500 {
				user, err := e.Users().Create(directory.User{Tenant: tenant, PrincipalName: "u@contoso.test"}, nil)
				if err != nil {
					return err
				}
				if err := e.Users().Delete(tenant, user.ID); err != nil {
					return err
				}
			}
			return nil
		})
		_, _, err := directory.ChangedSince(context.WithoutCancel(t.Context()), d, tenant, since, 1, directory.KindApplication)
		changed = err == nil
	}
	got := w.do(admin, http.MethodGet, link, nil)
	if code, message := got.problem(); got.Code != http.StatusGone || code != "syncStateNotFound" || !strings.Contains(message, "Read everything anew") || got.Header().Get("Location") != ownURL+"/v1.0/applications/delta" {
		t.Errorf("got %d %s %v", got.Code, got.Body, got.Header())
	}
	w.follow(admin, strings.TrimPrefix(got.Header().Get("Location"), ownURL))
}
