package arm_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/arm"
)

// Whatever a path says, what stands for a brace is one segment of it, and no segment leads elsewhere.
func FuzzPath(f *testing.F) {
	for _, path := range []string{
		"/", "//", "/subscriptions", "/subscriptions/", "/SUBSCRIPTIONS/x/resourcegroups/rolecall/providers/microsoft.managedidentity/userassignedidentities/orders-mi",
		"/subscriptions/x/resourceGroups/g/providers/Microsoft.Web/sites/s/providers/Microsoft.ManagedIdentity/identities/default",
		"/subscriptions/%2e%2e/providers", "/a%2Fb", "/%", "/subscriptions/x/providers/Microsoft.Authorization/roleAssignments/y", "/\x00", "/ä/%c3%a4", "/.",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		segments, found, err := arm.MatchPath(path)
		if segments == nil {
			if err == nil {
				t.Errorf("%q: neither segments nor an error", path)
			}
			return
		}
		for _, segment := range segments {
			if segment == "" || segment == "." || segment == ".." || strings.ContainsAny(segment, "/\\\x00") {
				t.Errorf("%q: the segment %q", path, segment)
			}
		}
		whole := arm.JoinPath(segments)
		if plain, err := url.PathUnescape(strings.TrimSuffix(path, "/")); err != nil || plain != whole {
			t.Errorf("%q: segments %q", path, segments)
		}
		for _, at := range found {
			for name, value := range at {
				if !strings.Contains(whole+"/", "/"+strings.TrimPrefix(value, "/")+"/") {
					t.Errorf("%q: {%s} is %q", path, name, value)
				}
			}
		}
	})
}

// A body is one object whose members nobody can read in two ways.
func FuzzBody(f *testing.F) {
	for _, body := range []string{"", "{}", `{"a":1,"A":2}`, `{"a":{"b":[{"c":1,"c":2}]}}`, `[]`, `{} {}`, `{"a":`, strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20), `{"tags":{"x":"y"}}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if err := arm.CheckJSON(body); err == nil && !strings.HasPrefix(strings.TrimSpace(body), "{") {
			t.Errorf("%q is taken", body)
		}
	})
}

func TestBodiesThatAreRefused(t *testing.T) {
	t.Parallel()
	for body, good := range map[string]bool{
		"{}": true, `{"a":[1,{"b":null}]}`: true, `{"tags":{"a":"1","b":"2"}}`: true,
		"": false, "null": false, "[]": false, `{"a":1,"a":1}`: false, `{"location":"x","Location":"y"}`: false, `{"a":{"b":1,"B":1}}`: false,
		`{"a":[{"b":1,"b":1}]}`: false, "{} {}": false, `{"a":1`: false, `{"a"}`: false,
		strings.Repeat(`{"a":`, 17) + "1" + strings.Repeat("}", 17): false,
	} {
		if err := arm.CheckJSON(body); (err == nil) != good {
			t.Errorf("%s: %v", body, err)
		}
	}
}
