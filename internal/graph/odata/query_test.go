package odata_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/graph/odata"
)

func showQuery(q *odata.Query) string {
	var parts []string
	add := func(name string, value any) { parts = append(parts, fmt.Sprintf("%s=%v", name, value)) }
	if q.Filter != nil {
		add("filter", q.Filter)
	}
	if q.Select != nil {
		add("select", q.Select)
	}
	if q.Expand != nil {
		add("expand", q.Expand)
	}
	for _, o := range q.OrderBy {
		add("orderby", fmt.Sprint(o.Path, o.Descending))
	}
	if q.Search != nil {
		add("search", q.Search)
	}
	if q.Top != 0 {
		add("top", q.Top)
	}
	if q.Count {
		add("count", true)
	}
	if q.SkipToken != "" {
		add("skiptoken", q.SkipToken)
	}
	if q.DeltaToken != "" {
		add("deltatoken", q.DeltaToken)
	}
	if len(q.Others) > 0 {
		add("others", q.Others.Encode())
	}
	return strings.Join(parts, " ")
}

func TestParseQuery(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ query, want string }{
		{"", ""},
		{"&&", ""},
		{"$filter=appId%20eq%20%27x%27", "filter=appId eq 'x'"},
		{"%24filter=appId+eq+'x'", "filter=appId eq 'x'"},
		{"$FILTER=appId eq 'a%2Bb%26c'", "filter=appId eq 'a+b&c'"},
		{"$select=id, displayName", "select=[id displayName]"},
		{"$select=*", ""},
		{"$select=id,*", ""},
		{"$top=999&$count=true", "top=999 count=true"},
		{"$count=false", ""},
		{"$expand=owners", "expand=[{owners []}]"},
		{"$expand=owners($select=id,displayName),appRoleAssignedTo", "expand=[{owners [id displayName]} {appRoleAssignedTo []}]"},
		{"$orderby=displayName desc,createdDateTime", "orderby=displayName true orderby=createdDateTime false"},
		{`$search="displayName:one two"`, "search=contains(displayName,'one two')"},
		{`$search="displayName:a" AND "description:b\"c" OR "displayName:d"`, `search=(contains(displayName,'a') and contains(description,'b"c')) or contains(displayName,'d')`},
		{"$skiptoken=abc&$deltatoken=latest", "skiptoken=abc deltatoken=latest"},
		{"$format=json", ""},
		{"api-version=1.0&x=1", "others=api-version=1.0&x=1"},
	} {
		q, err := odata.ParseQuery(tt.query)
		if err != nil {
			t.Errorf("%s: %v", tt.query, err)
			continue
		}
		if got := showQuery(q); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.query, got, tt.want)
		}
	}
}

func TestParseQueryRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		query, want string
		unsupported bool
	}{
		{"$skip=1", "Follow @odata.nextLink", true},
		{"$apply=x", "'$apply' is not supported", true},
		{"$format=xml", "answers are JSON", true},
		{"filter=appId eq 'x'", "Write $filter in place of filter", false},
		{"Select=id", "Write $select", false},
		{"$filter=a eq 1&$filter=b eq 2", "given twice", false},
		{"$top=1&%24TOP=2", "given twice", false},
		{"$top=0", "1 to 999", false},
		{"$top=1000", "1 to 999", false},
		{"$top=%2B5", "1 to 999", false},
		{"$top=", "1 to 999", false},
		{"$count=1", "true or false", false},
		{"$select=", "no name of a member", false},
		{"$select=a;b", "no name of a member", false},
		{"$select=" + strings.Repeat("a,", 100) + "a", "more than 100", false},
		{"$expand=", "no name of a relation", false},
		{"$expand=owners($expand=owners)", "$select alone", true},
		{"$expand=owners($select=id;$top=1)", "$select alone", true},
		{"$expand=owners($select=id($select=x))", "one level", true},
		{"$expand=owners($select=id", "one level", false},
		{"$expand=owners($select=id)x", "separated by commas", false},
		{"$expand=a,b,c,d,e,f,g,h,i", "more than 8", false},
		{"$orderby=a down", "asc or desc", false},
		{"$orderby=a b c", "separated by commas", false},
		{"$orderby=a,b,c,d,e", "more than 4", false},
		{"$orderby=", "separated by commas", false},
		{"$search=x", "double quotes", false},
		{`$search="x"`, "double quotes", false},
		{`$search="displayName:"`, "double quotes", false},
		{`$search="a:b" XOR "a:c"`, "AND or OR", false},
		{`$search="a:b" AND`, "double quotes", false},
		{"$skiptoken=", "empty", false},
		{"$filter=%zz", "percent sign", false},
		{"$filter=%ff", "UTF-8", false},
		{"$filter=" + strings.Repeat("a", 17000), "longer than", false},
	} {
		_, err := odata.ParseQuery(tt.query)
		var is *odata.Error
		if !errors.As(err, &is) {
			t.Errorf("%.80s: got %v, want an error", tt.query, err)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) || is.Unsupported != tt.unsupported {
			t.Errorf("%.80s: got %q (unsupported: %t), want %q in it (%t)", tt.query, err, is.Unsupported, tt.want, tt.unsupported)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{
		"$filter=appId+eq+'x'&$select=id,displayName&$top=5&$count=true", "$expand=owners($select=id)&$orderby=displayName desc",
		`$search="displayName:a" AND "b:c"`, "%24skiptoken=abc&$deltatoken=latest&$format=json&x=%ff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := odata.ParseQuery(raw)
		if err != nil {
			if !errors.As(err, new(*odata.Error)) {
				t.Fatalf("%q: an error of type %T", raw, err)
			}
			return
		}
		if q.Top < 0 || q.Top > odata.MaxTop {
			t.Fatalf("%q: $top is %d", raw, q.Top)
		}
		if q.Filter == nil {
			return
		}
		again, err := odata.ParseQuery("$filter=" + url.QueryEscape(q.Filter.String()))
		if err == nil && again.Filter.String() != q.Filter.String() {
			t.Fatalf("%q: %s became %s", raw, q.Filter, again.Filter)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, seed := range []string{
		"/v1.0/applications(appId='x''y')/owners/$ref", "/beta/users/a%40b", "/v1.0/applications/microsoft.graph.delta()", "//v1.0/a(b='c',d=e)/", "/v1.0/%2e%2e",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, escaped string) {
		p, err := odata.ParsePath(escaped)
		if err != nil {
			if !errors.As(err, new(*odata.Error)) {
				t.Fatalf("%q: an error of type %T", escaped, err)
			}
			return
		}
		for _, s := range p.Segments {
			if s.Text == "" || s.Text == "." || s.Text == ".." || strings.ContainsAny(s.Name, "/()\x00\\") {
				t.Fatalf("%q: segment %+v", escaped, s)
			}
			for _, key := range s.Keys {
				if key.Value == "" || key.Name != strings.ToLower(key.Name) {
					t.Fatalf("%q: key %+v", escaped, key)
				}
			}
		}
		// A path written from its segments means the same.
		var b strings.Builder
		b.WriteString("/" + url.PathEscape(p.Version))
		for _, s := range p.Segments {
			b.WriteString("/" + url.PathEscape(s.Text))
		}
		if b.Len() > odata.MaxPath || p.Version == "" {
			return
		}
		again, err := odata.ParsePath(b.String())
		if err != nil || shown(again) != shown(p) {
			t.Fatalf("%q: %s became %v (%v)", escaped, shown(p), again, err)
		}
	})
}
