package managedidentity

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzIdentityQuery checks that no query can be read in two ways: an accepted query contains each
// known parameter at most once, as plain text.
func FuzzIdentityQuery(f *testing.F) {
	for _, seed := range []string{
		"api-version=2019-08-01&resource=api%3A%2F%2Forders",
		"resource=https://vault.azure.net/&client_id=&api-version=2017-09-01",
		"api-version=2018-02-01&resource=api%3A%2F%2Forders&msi_res_id=%2Fsubscriptions%2F0&xms_cc=CP1",
		"resource=a&resource=b", "resource=a;client_id=b", "Resource=a&resource=b", "clientid=a&client_id=b", "%zz", "resource=%00", "resource=\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, refusal := parseQuery(raw)
		if refusal != nil {
			if q != (query{}) || refusal.status != 400 {
				t.Errorf("refused with %d, and yet something was read", refusal.status)
			}
			return
		}
		values, err := url.ParseQuery(raw)
		if err != nil || len(raw) > maxQuery {
			t.Fatalf("accepted what is no query: %v", err)
		}
		if q.resource != "" && values.Get("resource") != q.resource && len(values["resource"]) > 0 && values.Get("resource") != "" {
			t.Errorf("the resource is read as %q, and stands there as %q", q.resource, values.Get("resource"))
		}
		for _, value := range []string{q.resource, q.apiVersion, q.by.value} {
			if !isPlain(value) {
				t.Errorf("accepted %q", value)
			}
		}
		again, refusal := parseQuery(raw)
		if refusal != nil || again != q {
			t.Error("the same query is read in two ways")
		}
		isVersionSince(q.apiVersion, firstMetadataVersion)
	})
}

func TestQueriesAreBounded(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"resource", "api-version", "client_id", "msi_res_id"} {
		for _, value := range []string{strings.Repeat("a", 2049), "a\x7f", "a\x00", "a\n", "\xff\xfe"} {
			if q, refusal := parseQuery(name + "=" + url.QueryEscape(value)); refusal == nil {
				t.Errorf("%s of %d bytes is read as %+v", name, len(value), q)
			}
		}
	}
	if _, refusal := parseQuery(strings.Repeat("a=b&", 2048) + "a"); refusal == nil {
		t.Error("a query of 8 KiB and a byte is read")
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"2018-02-01": true, "2021-12-13": true, "2019-07-01-preview": true, "2018-01-31": false, "2017-09-01": false,
		"": false, "2018": false, "2018-02-1": false, "2018/02/01": false, "9999-99-99": true, "2018-02-0a": false, "2018-02-01x": false, "-018-02-01": false,
	} {
		if got := isVersionSince(version, firstMetadataVersion); got != want {
			t.Errorf("%q: got %t, want %t", version, got, want)
		}
	}
}
