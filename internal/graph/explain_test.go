package graph_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/graph"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/inprocess"
)

// bearing is a transport to the API that sends a token along.
type bearing struct {
	inprocess.Transport
	raw string
}

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.raw)
	return b.Transport.RoundTrip(r)
}

func (w *world) client(token string) *graphclient.Client {
	return &graphclient.Client{Base: ownURL + "/v1.0", HTTP: &http.Client{Transport: bearing{inprocess.Transport{Handler: w.graph}, token}}}
}

// reader is a caller who may ask for explanations.
func (w *world) reader() string { return w.app("auditor", "AuditLog.Read.All", "Application.Read.All") }

// refuse has the authority refuse a client, and returns the correlation id.
func (w *world) refuse(in directory.TenantID, client, correlation string) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.login.URL+"/"+string(in)+"/oauth2/v2.0/token", strings.NewReader(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {"wrong"}, "scope": {"api://orders/.default"},
	}.Encode()))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("client-request-id", correlation)
	answer, err := w.login.HTTPClient().Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode < http.StatusBadRequest {
		w.Fatalf("got %s", answer.Status)
	}
}

// From afar, the explanation is the one that a command beside the directory gets.
func TestExplanationsAreTheSameFromAfar(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log strings.Builder
	own := explainer(w.login)
	api, err := graph.New(graph.Config{
		Authority: w.login.URL, URL: ownURL, Directory: w.login.Directory(), HTTPClient: w.login.HTTPClient(), Explainer: own, Now: w.login.Clock().Now,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	w.graph = api.Handler()
	orders := w.login.API("orders")
	orders.Require("Orders.Read", nil)
	good, poor := w.login.Token("report", "orders", "Orders.Read"), w.login.Token("other", "orders")
	const correlation = "0a1b2c3d-1111-4222-8333-444455556666"
	w.refuse(tenant, w.login.App("report").ClientID, correlation)
	settings := &explain.Guard{Name: "guard.yaml", Text: "authority: " + w.login.URL + "/" + string(tenant) + "\naudience: [api://elsewhere]\nupstream: http://localhost:1\nrules: [{path: /, roles: [Orders.Read]}]\n"}
	client := w.client(w.reader())
	for _, tt := range []struct {
		name     string
		question explain.Question
		reason   string // empty: accepted
		says     string // part of the whole
	}{
		{"a good token", explain.Question{Token: "Bearer " + good}, "", "by orders, which it is for"},
		{"a token without a role", explain.Question{Token: poor}, "role_missing", "rolecall grant other orders/Orders.Read"},
		{"an API by its name", explain.Question{Token: good, API: "orders", Roles: []string{"Orders.Write"}}, "role_missing", "Orders.Write"},
		{"the API's own settings", explain.Question{Token: good, Guard: settings}, "audience_mismatch", "Set audience in the API's settings"},
		{"a refusal by the API", explain.Question{Token: good, Refusal: &explain.Refusal{
			Answer: explain.Answer{Status: 401, Reason: guard.AudienceMismatch, Says: "wrong audience"}, Method: "GET", Path: "/orders",
		}}, "", "its Audience is not what its registration says"},
		{"no token", explain.Question{Token: "nonsense"}, "token_malformed", "this is no token"},
		{"a token request", explain.Question{CorrelationID: correlation}, "AADSTS7000215", "secret"},
		{"a token request by the beginning of its id", explain.Question{CorrelationID: correlation[:13]}, "AADSTS7000215", "secret"},
	} {
		got, err := client.Explain(t.Context(), tt.question)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		want, err := own.Explain(t.Context(), tt.question, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			beside, _ := json.Marshal(want)
			t.Errorf("%s:\nfrom afar %s\nbeside    %s", tt.name, text, beside)
		}
		if got.Reason != tt.reason || got.Accepted != (tt.reason == "") || !strings.Contains(string(text), tt.says) {
			t.Errorf("%s: %s", tt.name, text)
		}
		if strings.Contains(string(text), good) || strings.Contains(string(text), poor) {
			t.Errorf("%s: the explanation repeats the token", tt.name)
		}
	}
	rows, err := w.login.Directory().AuditRows(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{good, poor} {
		if strings.Contains(log.String(), raw) || strings.Contains(string(kept), raw) {
			t.Error("a token is in the log, or in the audit log")
		}
	}
}

// Nothing of another tenant is told, whatever the question names: not even whether it is here.
func TestExplanationsTellOfOneTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.login.API("orders").Require("Orders.Read", nil)
	own, reader, foreign := w.login.Token("report", "orders", "Orders.Read"), w.reader(), w.foreign()
	const correlation = "0a1b2c3d-1111-4222-8333-444455556666"
	w.refuse(tenant, w.login.App("report").ClientID, correlation)
	for _, asked := range []struct {
		name, token string
		question    string
		status      int
		secrets     []string
	}{
		{"their token", foreign, `{"token":"` + own + `"}`, http.StatusOK, []string{"report", "contoso", `"orders"`, "rolecall grant"}},
		{"their token, by the name of the API", foreign, `{"token":"` + own + `","api":"orders"}`, http.StatusOK, []string{"report", "contoso", `"orders"`}},
		{"their token, by our settings", foreign, `{"token":"` + own + `","guard":{"name":"g","text":"authority: ` + w.login.URL + `/organizations\naudience: [api://orders]\ntenants: [` + string(tenant) + `]\nupstream: http://localhost:1\nrules: [{path: /, roles: [Orders.Read]}]\n"}}`, http.StatusOK, []string{"report", "contoso", `"orders"`}},
		{"their token request", foreign, `{"correlationId":"` + correlation + `"}`, http.StatusNotFound, []string{"report", "contoso", "secret"}},
		{"a token of ours at their API", foreign, `{"token":"` + foreign + `","api":"orders"}`, http.StatusNotFound, []string{"report", "contoso"}},
		{"a token of fabrikam", reader, `{"token":"` + foreign + `"}`, http.StatusOK, []string{"intruder", "fabrikam"}},
	} {
		got := w.do(asked.token, http.MethodPost, "/v1.0/rolecall.explain", asked.question)
		if got.Code != asked.status {
			t.Errorf("%s: %d %s", asked.name, got.Code, got.Body)
		}
		for _, secret := range asked.secrets {
			if strings.Contains(strings.ReplaceAll(got.Body.String(), ownURL, ""), secret) {
				t.Errorf("%s: tells %s: %s", asked.name, secret, got.Body)
			}
		}
		if got.Code == http.StatusOK && (got.body["accepted"] != false || !strings.Contains(text(got.body, "verdict"), "the token says that it is of the tenant")) {
			t.Errorf("%s: %s", asked.name, got.Body)
		}
	}
	// A tenant that is nowhere is answered as one that is here.
	const nowhere = "99999999-2222-4222-8333-000000000099"
	stranger := w.login.Bad().With("report", "orders", []string{"Orders.Read"}, func(claims map[string]any) {
		for name, value := range claims {
			if s, is := value.(string); is {
				claims[name] = strings.ReplaceAll(s, authoritytest.TenantID, nowhere)
			}
		}
	})
	for _, more := range []string{"", `,"api":"orders"`, `,"guard":{"name":"g","text":"authority: ` + w.login.URL + `/organizations\naudience: [api://orders]\nupstream: http://localhost:1\nrules: [{path: /, roles: [Orders.Read]}]\n"}`} {
		here := w.do(foreign, http.MethodPost, "/v1.0/rolecall.explain", `{"token":"`+own+`"`+more+`}`).Body.String()
		there := w.do(foreign, http.MethodPost, "/v1.0/rolecall.explain", `{"token":"`+stranger+`"`+more+`}`).Body.String()
		if without(strings.ReplaceAll(there, nowhere, authoritytest.TenantID)) != without(here) {
			t.Errorf("%s:\nhere    %s\nnowhere %s", more, here, there)
		}
	}
	// A request of this tenant with the client id of another one.
	intruder, err := w.login.Directory().View(t.Context()).Applications().Find("1b1ec703-2222-4222-8333-0000000000bb", "intruder")
	if err != nil {
		t.Fatal(err)
	}
	const mistaken = "1a1b2c3d-1111-4222-8333-444455556666"
	w.refuse(tenant, string(intruder.AppID), mistaken)
	got := w.do(reader, http.MethodPost, "/v1.0/rolecall.explain", `{"correlationId":"`+mistaken+`"}`)
	if got.Code != http.StatusOK || got.body["reason"] != "AADSTS700016" || strings.Contains(got.Body.String(), "fabrikam") || strings.Contains(got.Body.String(), "intruder") {
		t.Errorf("a client of another tenant: %d %s", got.Code, got.Body)
	}
}

// without is an explanation without the times in it.
func without(s string) string {
	before, rest, _ := strings.Cut(s, "valid until ")
	_, after, _ := strings.Cut(rest, ".")
	return before + after
}

func TestQuestionsThatAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reader := w.reader()
	for _, question := range []string{
		`{}`, `{"token":""}`, `{"token":"a","correlationId":"b"}`, `{"correlationId":"b","api":"orders"}`, `{"token":7}`, `{"token":"a","apis":"orders"}`,
		`{"token":"a","token":"b"}`, `{"token":"a","guard":{"name":"guard.yaml","text":"audience: {"}}`, `{"token":"a","roles":"Orders.Read"}`, `[]`,
		`{"token":"a","guard":{"name":"g","host":"x","text":"apis: []"}}`,
	} {
		got := w.do(reader, http.MethodPost, "/v1.0/rolecall.explain", question)
		if code, _ := got.problem(); got.Code != http.StatusBadRequest || code != "Request_BadRequest" {
			t.Errorf("%s: %d %s", question, got.Code, got.Body)
		}
	}
	own := w.login.Token("report", "orders")
	if got := w.do(reader, http.MethodPost, "/v1.0/rolecall.explain", `{"token":"`+own+`","guard":{"name":"g","text":"authority: `+w.login.URL+`/organizations\naudience: [api://orders]\nrules: [{path: /}]\n"}}`); got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), "Tenants") {
		t.Errorf("settings with which no guard works: %d %s", got.Code, got.Body)
	}
	for _, roles := range []string{`[""]`, `["\u0000"]`, `["Orders.Read\n"]`} {
		if got := w.do(reader, http.MethodPost, "/v1.0/rolecall.explain", `{"token":"`+own+`","roles":`+roles+`}`); got.Code != http.StatusOK || got.body["accepted"] != false {
			t.Errorf("roles %s: %d %s", roles, got.Code, got.Body)
		}
	}
	if got := w.do(reader, http.MethodPost, "/v1.0/rolecall.explain", `{"correlationId":"0a1b2c3d"}`); got.Code != http.StatusNotFound {
		t.Errorf("a token request that was none: %d %s", got.Code, got.Body)
	}
}
