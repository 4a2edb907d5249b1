package odata_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/graph/odata"
)

// shown writes a path so that two meanings never look alike.
func shown(p *odata.Path) string {
	parts := []string{p.Version}
	for _, s := range p.Segments {
		part := s.Name
		if s.Qualified {
			part = "@" + part
		}
		if s.Called {
			part += fmt.Sprintf("%q", s.Keys)
		} else if s.Text != s.Name && !s.Qualified {
			part = s.Text
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " | ")
}

func TestParsePath(t *testing.T) {
	t.Parallel()
	const g = "11111111-2222-3333-4444-555555555555"
	for _, tt := range []struct{ path, want string }{
		{"/v1.0", "v1.0"},
		{"/v1.0/", "v1.0"},
		{"/BETA/me", "beta | me"},
		{"/v1.0/applications", "v1.0 | applications"},
		{"/v1.0/applications/", "v1.0 | applications"},
		{"//v1.0//applications//x//", "v1.0 | applications | x"},
		{"/v1.0/oAuth2PermissionGrants", "v1.0 | oAuth2PermissionGrants"},
		{"/v1.0/applications/" + g + "/owners/$ref", "v1.0 | applications | " + g + " | owners | $ref"},
		{"/v1.0/applications(appId='" + g + "')/owners", `v1.0 | applications[{"appid" "` + g + `"}] | owners`},
		{"/v1.0/applications(appId=" + g + ")", `v1.0 | applications[{"appid" "` + g + `"}]`},
		{"/v1.0/applications('" + g + "')", `v1.0 | applications[{"" "` + g + `"}]`},
		{"/v1.0/applications%28appId%3D%27x%27%29", `v1.0 | applications[{"appid" "x"}]`},
		{"/v1.0/applications(uniqueName='O''Brien%2Fx')", `v1.0 | applications[{"uniquename" "O'Brien/x"}]`},
		{"/v1.0/applications( appId = 'x' )", `v1.0 | applications[{"appid" "x"}]`},
		{"/v1.0/a(x='1',y='2')", `v1.0 | a[{"x" "1"} {"y" "2"}]`},
		{"/v1.0/a(x='(,)=')", `v1.0 | a[{"x" "(,)="}]`},
		{"/v1.0/applications/delta()", "v1.0 | applications | delta[]"},
		{"/v1.0/applications/microsoft.graph.delta()", "v1.0 | applications | @delta[]"},
		{"/v1.0/directory/deletedItems/Microsoft.Graph.Application", "v1.0 | directory | deletedItems | @application"},
		{"/v1.0/users/a%2Bb@example.com", "v1.0 | users | a+b@example.com"},
		{"/v1.0/users/a%252Fb", "v1.0 | users | a%2Fb"},
		{"/v1.0/applications/$count", "v1.0 | applications | $count"},
		{"", ""},
		{"/", ""},
	} {
		got, err := odata.ParsePath(tt.path)
		if err != nil {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		if shown(got) != tt.want {
			t.Errorf("%s: got %s, want %s", tt.path, shown(got), tt.want)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ path, want string }{
		{"/v1.0/applications(appId=x)", "position 7: the key 'x' is malformed"},
		{"/v1.0/applications/%", "percent sign"},
		{"/v1.0/applications/%zz", "percent sign"},
		{"/v1.0/applications/%00", "control character"},
		{"/v1.0/applications/%0a", "control character"},
		{"/v1.0/applications/%ff", "not valid UTF-8"},
		{"/v1.0/applications/..", "goes nowhere"},
		{"/v1.0/applications/%2e%2e/users", "goes nowhere"},
		{"/v1.0/applications%2Fx", "has a slash"},
		{`/v1.0/applications\x`, "backslash"},
		{"/v1.0/ applications", "space"},
		{"/v1.0/applications(", "not closed"},
		{"/v1.0/applications)", "parenthesis"},
		{"/v1.0/applications('x'", "parentheses must"},
		{"/v1.0/applications('x", "no end"},
		{"/v1.0/applications('x')y", "parentheses must"},
		{"/v1.0/applications('x''')x')", "parentheses must"},
		{"/v1.0/applications(appId='')", "empty"},
		{"/v1.0/applications(appId=)", "empty"},
		{"/v1.0/applications(='x')", "malformed"},
		{"/v1.0/applications(appId='x',appid='y')", "given twice"},
		{"/v1.0/applications('x','y')", "given twice"},
		{"/v1.0/applications('x',a='y')", "has a name"},
		{`/v1.0/applications("x")`, "malformed"},
		{"/v1.0/applications(x y)", "malformed"},
		{"/v1.0/('x')", "behind a name"},
		{"/v1.0/11111111-2222-3333-4444-555555555555('x')", "behind a name"},
		{"/v1.0/a(a='1',b='2',c='3',d='4',e='5')", "more than 4"},
		{"/v1.0/microsoft.graph.", "is missing"},
		{"/v1.0" + strings.Repeat("/a", 17), "more than 16 segments"},
		{"/v1.0/" + strings.Repeat("a", 5000), "longer than"},
	} {
		got, err := odata.ParsePath(tt.path)
		if err == nil {
			t.Errorf("%s: got %s, want an error", tt.path, shown(got))
			continue
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q, want %q in it", tt.path, err, tt.want)
		}
	}
}
