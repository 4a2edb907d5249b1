package graph_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// BenchmarkGraph is what tools ask most, token and all, in a small tenant and in a large one.
// Nothing of it may grow with the tenant.
func BenchmarkGraph(b *testing.B) {
	for _, applications := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("applications=%d", applications), func(b *testing.B) {
			w := newWorld(b)
			admin := w.app("admin", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")
			apps := w.fill(applications)
			hot := func(i int) *directory.Application { return apps[i%100*(applications/100)] }
			for _, one := range []struct {
				name string
				path func(*directory.Application) string
			}{
				{"get-by-id", func(app *directory.Application) string { return "/v1.0/applications/" + string(app.ID) }},
				{"get-by-app-id", func(app *directory.Application) string {
					return "/v1.0/applications(appId='" + string(app.AppID) + "')"
				}},
				{"filter-app-id", func(app *directory.Application) string { return filtered("appId eq '" + string(app.AppID) + "'") }},
				{"filter-display-name", func(app *directory.Application) string { return filtered("displayName eq '" + app.DisplayName + "'") }},
				{"filter-identifier-uri", func(app *directory.Application) string {
					return filtered("identifierUris/any(s:s eq '" + app.IdentifierURIs[0] + "')")
				}},
				{"page-of-100", func(*directory.Application) string { return "/v1.0/applications?$top=100" }},
			} {
				b.Run(one.name, func(b *testing.B) {
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, one.path(hot(i)), nil)
						request.Header.Set("Authorization", "Bearer "+admin)
						got := httptest.NewRecorder() // nobody reads the answer, whose reading would be measured too
						if w.graph.ServeHTTP(got, request); got.Code != http.StatusOK {
							b.Fatal(got.Code, got.Body)
						}
					}
				})
			}
			b.Run("create-and-grant", func(b *testing.B) { w.benchmarkGrant(b, admin) })
		})
	}
}

func filtered(filter string) string {
	return "/v1.0/applications?$filter=" + url.QueryEscape(filter)
}

// fill makes applications with the names and URIs that tools look for.
func (w *world) fill(n int) []*directory.Application {
	w.Helper()
	apps := make([]*directory.Application, n)
	w.change(func(e *directory.Editor) (err error) {
		for i := range apps {
			apps[i], err = e.Applications().Create(directory.Application{
				Tenant: tenant, DisplayName: fmt.Sprintf("Client %d", i), IdentifierURIs: []string{fmt.Sprintf("api://client-%d", i)},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return apps
}

// benchmarkGrant makes a client with its service principal, and gives it an app role.
func (w *world) benchmarkGrant(b *testing.B, admin string) {
	role := guid.New()
	api := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", map[string]any{"displayName": "API", "appRoles": []any{map[string]any{
		"id": role, "value": "Orders.Read", "displayName": "Read", "description": "Read", "isEnabled": true, "allowedMemberTypes": []string{"Application"},
	}}})
	resource := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/servicePrincipals", map[string]any{"appId": api["appId"]})
	b.ReportAllocs()
	for b.Loop() {
		client := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", `{"displayName":"Client"}`)
		principal := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/servicePrincipals", map[string]any{"appId": client["appId"]})
		w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/servicePrincipals/"+resource["id"].(string)+"/appRoleAssignedTo", map[string]any{
			"principalId": principal["id"], "resourceId": resource["id"], "appRoleId": role,
		})
	}
}
