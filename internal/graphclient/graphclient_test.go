package graphclient_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/inprocess"
)

func client(answer http.HandlerFunc) *graphclient.Client {
	return &graphclient.Client{Base: "https://graph.test/v1.0", HTTP: &http.Client{Transport: inprocess.Transport{Handler: answer}}}
}

func TestPagesAreFollowedToTheEnd(t *testing.T) {
	t.Parallel()
	var asked []string
	c := client(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		if r.URL.Query().Has("$skiptoken") {
			fmt.Fprint(w, `{"value":["c"]}`)
			return
		}
		fmt.Fprint(w, `{"value":["a","b"],"@odata.nextLink":"https://graph.test/v1.0/applications?$skiptoken=x"}`)
	})
	var got []string
	err := c.Each(t.Context(), "applications", url.Values{"$filter": {"a eq 'b c'"}}, func(one json.RawMessage) error {
		got = append(got, string(one))
		return nil
	})
	if want := []string{`"a"`, `"b"`, `"c"`}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if want := []string{"/v1.0/applications?%24filter=a%20eq%20%27b%20c%27", "/v1.0/applications?$skiptoken=x"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

// A server that is told to send the caller elsewhere does not get the caller's token there.
func TestPagesElsewhereAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, next := range []string{"https://graph.test.evil.test/v1.0/applications", "https://graph.test/v1.0x", "http://graph.test/v1.0/applications"} {
		c := client(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"value":[],"@odata.nextLink":%q}`, next)
		})
		if err := c.Each(t.Context(), "applications", nil, func(json.RawMessage) error { return nil }); err == nil || !strings.Contains(err.Error(), "elsewhere") {
			t.Errorf("%s: %v", next, err)
		}
	}
}

func TestRefusalsAreErrorsThatSayWhatToDo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body, what, fix string
		status                int
	}{
		{"in Graph's form", `{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation.","details":[{"message":"The token must carry X."}]}}`, "Insufficient privileges to complete the operation", "The token must carry X.", 403},
		{"by a rule, behind Graph's sentence for it", `{"error":{"code":"Request_BadRequest","message":"One or more property values specified are invalid. name \"a. B\" holds a space. Write it without. Then try again.","details":[{"code":"Request_BadRequest","message":"name \"a. B\" holds a space. Write it without. Then try again."}]}}`, `name "a. B" holds a space`, "Write it without. Then try again.", 400},
		{"said twice", `{"error":{"code":"Request_BadRequest","message":"Property 'x' must be 1 or 2.","details":[{"message":"Property 'x' must be 1 or 2."}]}}`, "Property 'x' must be 1 or 2", "", 400},
		{"in an expression, whose place is kept", `{"error":{"code":"Request_BadRequest","message":"Invalid $filter at position 2: ')' stands there.","details":[{"message":"')' stands there."}]}}`, "Invalid $filter at position 2: ')' stands there", "", 400},
		{"of something in between", "<html>bad gateway</html>", "Graph answered 502", "", 502},
		{"without a message", `{"error":{"code":"ServiceUnavailable"}}`, "Graph answered 503 ServiceUnavailable", "", 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := client(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status); fmt.Fprint(w, tt.body) })
			err := c.Get(t.Context(), "applications/x", nil)
			refused, is := errors.AsType[*graphclient.Error](err)
			if !is || refused.Status != tt.status || strings.TrimSpace(err.Error()) != tt.what || fix.Of(err) != tt.fix {
				t.Errorf("got %v, fix %q", err, fix.Of(err))
			}
		})
	}
	if !graphclient.NotFound(client(http.NotFound).Get(t.Context(), "applications/x", nil)) {
		t.Error("404 does not mean that it is not there")
	}
}

// Commands tell apart what cannot be from what collides with something, and from what is forbidden.
func TestRefusalsAreOfKinds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body         string
		status             int
		invalid, forbidden bool
	}{
		{"a value that breaks a rule", `{"error":{"code":"Request_BadRequest","message":"x","details":[{"code":"Request_BadRequest","message":"x"}]}}`, 400, true, false},
		{"a value that another has", `{"error":{"code":"Request_BadRequest","message":"x","details":[{"code":"ObjectConflict","message":"x"}]}}`, 400, false, false},
		{"a key that another has", `{"error":{"code":"Request_MultipleObjectsWithSameKeyValue","message":"x"}}`, 400, false, false},
		{"something that is enabled", `{"error":{"code":"CannotDeleteOrUpdateEnabledEntitlement","message":"x"}}`, 400, false, false},
		{"a right that is missing", `{"error":{"code":"Authorization_RequestDenied","message":"x"}}`, 403, false, true},
		{"something in between", `<html>`, 400, false, false},
	} {
		err := client(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status); fmt.Fprint(w, tt.body) }).Get(t.Context(), "x", nil)
		if graphclient.Invalid(err) != tt.invalid || graphclient.Forbidden(err) != tt.forbidden {
			t.Errorf("%s: invalid %t, forbidden %t", tt.name, graphclient.Invalid(err), graphclient.Forbidden(err))
		}
	}
}

func TestBodiesAreJSON(t *testing.T) {
	t.Parallel()
	c := client(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"method":%q,"type":%q,"body":%s}`, r.Method, r.Header.Get("Content-Type"), b)
	})
	var got struct {
		Method, Type string
		Body         map[string]string
	}
	if err := c.Do(t.Context(), http.MethodPatch, "x", map[string]string{"a": "b"}, &got); err != nil || got.Method != "PATCH" || got.Type != "application/json" || got.Body["a"] != "b" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Whatever an answer says, reading it ends in a value or an error.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"value":[{"id":"x"}]}`))
	f.Add(404, []byte(`{"error":{"code":"x","message":"y","details":[{"message":"z"}]}}`))
	f.Add(500, []byte(`{"error":null}`))
	f.Add(400, []byte(`{"error":{"message":"a. \"b. C\\\" D. E\". F","details":[{"message":"\"b. C\\\" D. E\". F"}]}}`))
	f.Add(200, []byte(`[]`))
	f.Add(200, []byte(`{"value":null,"@odata.nextLink":"http://[::1"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		c := client(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(max(status, 100))
			if _, err := w.Write(body); err != nil {
				t.Error(err)
			}
		})
		calls := 0
		err := c.Each(t.Context(), "applications", nil, func(json.RawMessage) error {
			if calls++; calls > 1000 {
				return io.EOF // it repeats itself
			}
			return nil
		})
		if err != nil && err.Error() == "" {
			t.Error("an error without a word")
		}
	})
}
