package graph_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// valuesOf are the members of the things in a list.
func valuesOf(body map[string]any, name string) []string {
	all := []string{}
	list, _ := body["value"].([]any)
	for _, one := range list {
		object, _ := one.(map[string]any)
		all = append(all, fmt.Sprint(object[name]))
	}
	return all
}

// pages follows the links of a list and returns a member of all things, and how many pages
// there were.
func (w *world) pages(token, path, name string) (all []string, pages int) {
	w.Helper()
	for path != "" {
		if pages++; pages > 100 {
			w.Fatal("a list without an end")
		}
		body := w.want(http.StatusOK, token, http.MethodGet, path, nil)
		all = append(all, valuesOf(body, name)...)
		next, _ := body["@odata.nextLink"].(string)
		if path = strings.TrimPrefix(next, ownURL); next != "" && path == next {
			w.Fatalf("the link %s does not lead to the API", next)
		}
	}
	return all, pages
}

// applications creates applications that are called app 00, app 01 …
func (w *world) applications(n int) {
	w.change(func(e *directory.Editor) error {
		for i := range n {
			_, err := e.Applications().Create(directory.Application{
				Tenant: tenant, DisplayName: fmt.Sprintf("app %02d", i), TokenVersion: 2, Tags: []string{[]string{"even", "odd"}[i%2]},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	w.applications(25)
	for _, tt := range []struct {
		options     string
		want, pages int
	}{
		{"$top=10&$filter=startswith(displayName,'app ')", 25, 3},
		{"$top=5&$filter=startswith(displayName,'app ')", 25, 5},
		{"%24top=10&%24filter=startswith(displayName%2c'app+')&$select=displayName", 25, 3},
		{"$top=10&$filter=endswith(displayName,'1') or endswith(displayName,'2')", 6, 1},
		{"$top=10&$search=\"displayName:app\"", 25, 3},
		{"$top=10&$filter=startswith(displayName,'app ')&$orderby=displayName desc", 25, 3},
		{"$filter=startswith(displayName,'app ')", 25, 1},
	} {
		path := "/v1.0/applications?" + strings.ReplaceAll(strings.ReplaceAll(tt.options, " ", "%20"), `"`, "%22")
		all, pages := w.pages(admin, path, "displayName")
		distinct := map[string]bool{}
		for _, name := range all {
			distinct[name] = true
		}
		if len(all) != tt.want || len(distinct) != tt.want || pages != tt.pages {
			t.Errorf("%s: %d applications on %d pages, want %d on %d: %v", tt.options, len(all), pages, tt.want, tt.pages, all)
		}
	}
	all, _ := w.pages(admin, "/v1.0/applications?$orderby=displayName&$top=7", "displayName")
	if got := strings.Join(all[:8], ","); !strings.Contains(got, "app 00,app 01,app 02") {
		t.Errorf("in order: %v", all)
	}
	all, _ = w.pages(admin, "/v1.0/applications?$orderby=displayName%20desc&$top=7&$filter=startswith(displayName,'app')", "displayName")
	if got := strings.Join(all[:3], ","); got != "app 24,app 23,app 22" {
		t.Errorf("in the other order: %v", all)
	}
}

// TestLinksAreForOneListOnly changes what a link is for, and the link itself.
func TestLinksAreForOneListOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	w.applications(5)
	next := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/applications?$top=2", nil)["@odata.nextLink"].(string)
	link, err := url.Parse(next)
	if err != nil || !strings.HasPrefix(next, ownURL+"/v1.0/applications?$top=2&$skiptoken=") {
		t.Fatalf("the link: %s %v", next, err)
	}
	token := link.Query().Get("$skiptoken")
	if len(valuesOf(w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/applications?%24skiptoken="+token+"&%24top=2", nil), "id")) != 2 {
		t.Error("the same options in another order and encoding")
	}
	for _, path := range []string{
		"/v1.0/applications?$skiptoken=" + token, "/v1.0/applications?$top=3&$skiptoken=" + token, "/beta/applications?$top=2&$skiptoken=" + token,
		"/v1.0/applications?$top=2&$skiptoken=" + token[:len(token)-2], "/v1.0/applications?$top=2&$skiptoken=x", "/v1.0/applications?$top=2&$skiptoken=" + "A" + token[1:] + "A",
	} {
		got := w.do(admin, http.MethodGet, path, nil)
		code, message := got.problem()
		if got.Code != http.StatusBadRequest || code != "Request_BadRequest" || !strings.Contains(message, "Follow @odata.nextLink") {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	if strings.Contains(token, "app") {
		t.Error("the token tells names")
	}
}

func TestCountSelectAndSingle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	w.applications(5)
	body := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/applications?$count=true&$top=2&$filter=startswith(displayName,'app')&$select=id,displayName", nil, "ConsistencyLevel", "eventual")
	if body["@odata.count"] != 5.0 || body["@odata.context"] != ownURL+"/v1.0/$metadata#applications(id,displayName)" {
		t.Errorf("got %v", body)
	}
	if first := body["value"].([]any)[0].(map[string]any); len(first) != 2 || first["displayName"] != "app 00" {
		t.Errorf("$select: %v", first)
	}
	got := w.do(admin, http.MethodGet, "/v1.0/applications/$count?$filter=startswith(displayName,'app')", nil, "ConsistencyLevel", "eventual")
	if got.Code != http.StatusOK || got.Body.String() != "5" || !strings.HasPrefix(got.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("$count: %d %s", got.Code, got.Body)
	}
	id := body["value"].([]any)[0].(map[string]any)["id"].(string)
	if one := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/applications/"+id+"?$select=appId", nil); len(one) != 2 || one["appId"] == nil || one["@odata.context"] != ownURL+"/v1.0/$metadata#applications(appId)/$entity" {
		t.Errorf("one: %v", one)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	w.applications(1)
	for _, tt := range []struct{ path, code, message string }{
		{"applications?$filter=colour eq 'red'", "Request_BadRequest", "Could not find a property named 'colour'"},
		{"applications?$filter=displayName", "Request_BadRequest", "position 12"},
		{"applications?$filter=displayName eq 3", "Request_BadRequest", "another type"},
		{"applications?$filter=length(displayName) eq 3", "Request_UnsupportedQuery", "not supported"},
		{"applications?$filter=identifierUris eq 'x'&$select=id", "Request_BadRequest", "use any("},
		{"applications?$skip=5", "Request_UnsupportedQuery", "@odata.nextLink"},
		{"applications?$top=1000", "Request_BadRequest", "1 to 999"},
		{"applications?$select=colour", "Request_BadRequest", "'colour'"},
		{"applications?$orderby=colour", "Request_BadRequest", "'colour'"},
		{"applications?$expand=colours", "Request_BadRequest", "'colours'"},
		{"applications?$apply=x", "Request_UnsupportedQuery", "$apply"},
		{"applications?filter=displayName eq 'x'", "Request_BadRequest", "Write $filter"},
		{"applications?$filter=" + strings.Repeat("not ", 100) + "a eq 1", "Request_UnsupportedQuery", "nested"},
		{"applications(appId='11111111-1111-4111-8111-111111111111')?$filter=displayName eq 'x'", "Request_ResourceNotFound", ""},
	} {
		got := w.do(admin, http.MethodGet, "/v1.0/"+strings.ReplaceAll(tt.path, " ", "%20"), nil)
		code, message := got.problem()
		if code != tt.code || !strings.Contains(message, tt.message) {
			t.Errorf("%s: %d %s", tt.path, got.Code, got.Body)
		}
	}
}

// What an application has of others is filtered as any other list is.
func TestFiltersOfWhatAnApplicationHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	me, other := w.principal("admin"), w.principal("other")
	app := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications",
		`{"displayName":"Orders","owners@odata.bind":["`+ownURL+`/v1.0/directoryObjects/`+me+`","`+ownURL+`/v1.0/directoryObjects/`+other+`"]}`)
	at := "/v1.0/applications/" + text(app, "id")
	for _, name := range []string{"ci", "release"} {
		w.want(http.StatusCreated, admin, http.MethodPost, at+"/federatedIdentityCredentials",
			`{"name":"`+name+`","issuer":"https://ci.test","subject":"`+name+`","audiences":["api://AzureADTokenExchange"]}`)
	}
	for _, tt := range []struct {
		path, member string
		want         []string
	}{
		{"/federatedIdentityCredentials?$filter=name eq 'ci'", "name", []string{"ci"}},
		{"/federatedIdentityCredentials?$filter=subject eq 'release'&$select=name", "name", []string{"release"}},
		{"/federatedIdentityCredentials?$top=1", "name", []string{"ci"}},
		{"/owners?$filter=displayName eq 'other'&$select=id", "id", []string{other}},
	} {
		got := w.want(http.StatusOK, admin, http.MethodGet, at+strings.ReplaceAll(tt.path, " ", "%20"), nil)
		if values := valuesOf(got, tt.member); !slices.Equal(values, tt.want) {
			t.Errorf("%s: %v, want %v", tt.path, values, tt.want)
		}
	}
	w.want(http.StatusBadRequest, admin, http.MethodGet, at+"/federatedIdentityCredentials?$filter=nothing%20eq%20'ci'", nil)
}
