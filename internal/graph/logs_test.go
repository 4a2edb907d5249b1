package graph_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// signIns keeps rows of sign-ins of the client, some of them refused.
func (w *world) signIns(client directory.AppID, user string, n int) {
	w.Helper()
	var rows []directory.SignIn
	for i := range n {
		row := directory.SignIn{
			Time: w.login.Clock().Now(), Tenant: tenant, CorrelationID: guid.New(), TraceID: guid.New(), AppID: client, Name: "row", User: user,
			Resource: "https://vault.azure.net", Credential: "secret", CredentialID: "k", TokenID: "uti",
		}
		if i%3 == 0 {
			row.Code, row.Reason = 7000215, "Invalid client secret."
		}
		rows = append(rows, row)
	}
	if err := w.login.Directory().AddSignIns(w.Context(), rows); err != nil {
		w.Fatal(err)
	}
}

func TestSignIns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reader := w.app("reader", "AuditLog.Read.All")
	w.user("dev@contoso.test", nil, "User.Read")
	client := directory.AppID(w.login.App("reader").ClientID)
	worker := w.identity("worker")
	w.login.SignIns() // waits for those of the tokens above
	w.signIns(client, "", 9)
	w.signIns(worker.AppID, "", 5)
	w.signIns(client, "dev@contoso.test", 7)
	beta := func(filter string) string {
		return "/beta/auditLogs/signIns?$top=4&$filter=" + strings.ReplaceAll(filter, " ", "%20")
	}
	const principals, identities = "signInEventTypes/any(t: t eq 'servicePrincipal')", "signInEventTypes/any(t: t eq 'managedIdentity')"
	for path, want := range map[string]int{
		"/v1.0/auditLogs/signIns?$top=3":                                                        7,
		"/v1.0/auditLogs/signIns?$filter=appId%20eq%20'" + string(client) + "'":                 7,
		"/v1.0/auditLogs/signIns?$filter=userPrincipalName%20eq%20'DEV@contoso.test'":           7,
		"/v1.0/auditLogs/signIns?$filter=status/errorCode%20ne%200&$top=2":                      3,
		"/beta/auditLogs/signIns":                                                               7,
		beta(identities):                                                                        5,
		beta(principals + " and appDisplayName eq 'row'"):                                       9,
		beta(principals + " and status/errorCode eq 7000215 and createdDateTime ge 2020-01-01"): 3,
		beta(principals + " and createdDateTime ge 2099-01-01"):                                 0,
		beta(identities + " and appId eq '" + string(worker.AppID) + "'"):                       5,
	} {
		all, _ := w.pages(reader, path, "id")
		slices.Sort(all)
		if len(all) != want || len(slices.Compact(all)) != want {
			t.Errorf("%s: %d, want %d", path, len(all), want)
		}
	}
	one := w.want(http.StatusOK, reader, http.MethodGet, beta(identities), nil)["value"].([]any)[0].(map[string]any)
	if one["servicePrincipalId"] != string(worker.ID) || one["servicePrincipalName"] != "worker" || one["resourceDisplayName"] != "Azure Key Vault" || one["uniqueTokenIdentifier"] != "uti" || one["isInteractive"] != false {
		t.Errorf("one: %v", one)
	}
	again := w.want(http.StatusOK, reader, http.MethodGet, "/beta/auditLogs/signIns/"+text(one, "id"), nil)
	if again["id"] != one["id"] || again["@odata.context"] != ownURL+"/beta/$metadata#auditLogs/signIns/$entity" {
		t.Errorf("by id: %v", again)
	}
	w.want(http.StatusNotFound, reader, http.MethodGet, "/v1.0/auditLogs/signIns/"+text(one, "id"), nil)
	if got := w.do(reader, http.MethodGet, "/v1.0/auditLogs/signIns?$filter="+strings.ReplaceAll(principals, " ", "%20"), nil); got.Code != http.StatusBadRequest {
		t.Errorf("events in version 1.0: %d %s", got.Code, got.Body)
	}
	// A page stays where it was while the log grows.
	first := w.want(http.StatusOK, reader, http.MethodGet, beta(identities), nil)
	w.login.Clock().Advance(60e9)
	w.signIns(worker.AppID, "", 3)
	next, _ := w.pages(reader, strings.TrimPrefix(text(first, "@odata.nextLink"), ownURL), "id")
	if len(next) != 1 || slices.Contains(valuesOf(first, "id"), next[0]) {
		t.Errorf("afterwards: %v, then %v", valuesOf(first, "id"), next)
	}
}

func TestDirectoryAudits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reader := w.app("reader", "AuditLog.Read.All", "Application.ReadWrite.All")
	w.foreign() // what happens in another tenant stands in the same chain
	made := w.want(http.StatusCreated, reader, http.MethodPost, "/v1.0/applications", `{"displayName":"audited"}`)
	list := w.want(http.StatusOK, reader, http.MethodGet, "/v1.0/auditLogs/directoryAudits?$top=1", nil)
	row := list["value"].([]any)[0].(map[string]any)
	target := row["targetResources"].([]any)[0].(map[string]any)
	app := row["initiatedBy"].(map[string]any)["app"].(map[string]any)
	if row["activityDisplayName"] != "Add application" || row["category"] != "ApplicationManagement" || row["operationType"] != "Add" || target["id"] != made["id"] || target["type"] != "Application" || app["displayName"] != "reader" {
		t.Errorf("newest: %v", row)
	}
	w.want(http.StatusOK, reader, http.MethodPost, "/v1.0/applications/"+text(made, "id")+"/addPassword", "{}")
	w.want(http.StatusNoContent, reader, http.MethodDelete, "/v1.0/applications/"+text(made, "id"), nil)
	all, pages := w.pages(reader, "/v1.0/auditLogs/directoryAudits?$top=4&$filter=targetResources/any(t:t/id%20eq%20'"+text(made, "id")+"')", "activityDisplayName")
	for _, want := range []string{"Add application", "Update application – Certificates and secrets management", "Remove application"} {
		if !slices.Contains(all, want) {
			t.Errorf("no %q in %v (%d pages)", want, all, pages)
		}
	}
	everything, _ := w.pages(reader, "/v1.0/auditLogs/directoryAudits?$top=5", "targetResources")
	if text := strings.Join(everything, " "); len(everything) < 6 || strings.Contains(text, "intruder") || strings.Contains(text, "fabrikam") {
		t.Errorf("all: %v", everything)
	}
	if one := w.want(http.StatusOK, reader, http.MethodGet, "/v1.0/auditLogs/directoryAudits/"+text(row, "id"), nil); one["activityDisplayName"] != "Add application" {
		t.Errorf("one: %v", one)
	}
	w.want(http.StatusNotFound, reader, http.MethodGet, "/v1.0/auditLogs/directoryAudits/x", nil)
}
