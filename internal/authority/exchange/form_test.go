package exchange

import (
	"maps"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

func TestParseForm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		want       Form
		code       int
	}{
		{"nothing", "", Form{}, 0},
		{"two parameters", "a=1&b=2", Form{"a": "1", "b": "2"}, 0},
		{"plus is a blank", "scope=a+b%20c", Form{"scope": "a b c"}, 0},
		{"an encoded plus stays", "client_secret=a%2Bb", Form{"client_secret": "a+b"}, 0},
		{"decoded once", "client_secret=a%2525", Form{"client_secret": "a%25"}, 0},
		{"an empty value counts as left out", "client_secret=&a=1", Form{"a": "1"}, 0},
		{"so does a bare name", "client_secret&a=1", Form{"a": "1"}, 0},
		{"empty pairs do not matter", "&&a=1&", Form{"a": "1"}, 0},
		{"a value with an equals sign", "a=b=c", Form{"a": "b=c"}, 0},
		{"names keep their case", "A=1&a=2", Form{"A": "1", "a": "2"}, 0},
		{"a semicolon is data", "a=1;b=2", Form{"a": "1;b=2"}, 0},
		{"a line break is data", "client_secret=x%0A", Form{"client_secret": "x\n"}, 0},
		{"a parameter twice", "a=1&a=2", nil, 9002313},
		{"the same twice", "a=1&a=1", nil, 9002313},
		{"twice, once empty", "a=&a=1", nil, 9002313},
		{"twice, once encoded", "client_id=1&client%5Fid=2", nil, 9002313},
		{"a bad escape", "a=%zz", nil, 9002313},
		{"a cut escape", "a=%4", nil, 9002313},
		{"a NUL", "client_secret=x%00y", nil, 9002313},
		{"not UTF-8", "a=%ff", nil, 9002313},
		{"a name that is not UTF-8", "%ff=a", nil, 9002313},
		{"64 parameters", fields(MaxFields), fieldMap(MaxFields), 0},
		{"65 parameters", fields(MaxFields + 1), nil, 9002313},
		{"6400 parameters", fields(100 * MaxFields), nil, 9002313},
		{"65 separators", strings.Repeat("&", MaxFields+1), nil, 9002313},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, problem := ParseForm(tt.body)
			if aadsts.Code(problem) != tt.code || tt.code == 0 && !maps.Equal(got, tt.want) {
				t.Errorf("got %q, %v; want %q, code %d", got, problem, tt.want, tt.code)
			}
		})
	}
}

func fields(n int) string {
	values := make([]string, n)
	for i := range values {
		values[i] = "f" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + strings.Repeat("y", i/26) + "=1"
	}
	return strings.Join(values, "&")
}

func fieldMap(n int) Form {
	m := Form{}
	for pair := range strings.SplitSeq(fields(n), "&") {
		m[strings.TrimSuffix(pair, "=1")] = "1"
	}
	return m
}

func TestReadForm(t *testing.T) {
	t.Parallel()
	body := func(n int) string { return "a=" + strings.Repeat("x", n-2) }
	const formType = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name, contentType, encoding, body string
		length                            int64 // declared; 0: as it is
		status, code                      int
	}{
		{"a form", formType, "", "a=1", 0, 0, 0},
		{"with a character set", formType + "; charset=utf-8", "", "a=1", 0, 0, 0},
		{"without a blank", formType + ";charset=UTF-8", "", "a=1", 0, 0, 0},
		{"in capitals", strings.ToUpper(formType), "", "a=1", 0, 0, 0},
		{"no content type", "", "", "a=1", 0, 400, 900144},
		{"JSON", "application/json", "", `{"grant_type":"client_credentials"}`, 0, 400, 900144},
		{"multipart", "multipart/form-data; boundary=x", "", "--x--", 0, 400, 900144},
		{"a prefix of the type", formType + "2", "", "a=1", 0, 400, 900144},
		{"compressed", formType, "gzip", "\x1f\x8b", 0, 400, 900144},
		{"64 KB", formType, "", body(MaxBody), 0, 0, 0},
		{"one byte more", formType, "", body(MaxBody + 1), 0, 413, 9002313},
		{"one byte more, length not declared", formType, "", body(MaxBody + 1), -1, 413, 9002313},
		{"6.4 MB", formType, "", body(100 * MaxBody), -1, 413, 9002313},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/t/oauth2/token?grant_type=client_credentials", strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.contentType)
			if tt.encoding != "" {
				r.Header.Set("Content-Encoding", tt.encoding)
			}
			if tt.length != 0 {
				r.ContentLength = tt.length
			}
			got, err := readForm(httptest.NewRecorder(), r)
			problem := &aadsts.Problem{}
			if err != nil {
				problem = aadsts.Of(err)
			}
			if problem.Code != tt.code || problem.Status != tt.status {
				t.Errorf("got %v, status %d; want code %d, status %d", problem, problem.Status, tt.code, tt.status)
			}
			if _, fromQuery := got["grant_type"]; fromQuery {
				t.Error("took a parameter from the query")
			}
		})
	}
}

// FuzzForm holds parseForm to the standard library: what it accepts, net/url reads the
// same, and what it refuses with words never shows in them unless it is a name.
func FuzzForm(f *testing.F) {
	for _, body := range []string{
		"grant_type=client_credentials&client_id=c&client_secret=Zk8%7Eexample&scope=api%3A%2F%2Forders%2F.default",
		"a=1&a=2", "a=%", "a=%00", "=", "&", "a==b", "%61=1&a=2", "a=+", "a;b=1",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := ParseForm(body)
		if err != nil {
			problem := aadsts.Of(err)
			if problem.Code != 9002313 || problem.Status != 400 {
				t.Fatalf("refused with %+v", problem)
			}
			return
		}
		if len(got) > MaxFields {
			t.Fatalf("%d parameters", len(got))
		}
		want, err := url.ParseQuery(strings.ReplaceAll(body, ";", "%3B"))
		if err != nil {
			t.Fatalf("accepted what net/url refuses: %v", err)
		}
		for name, values := range want {
			if len(values) != 1 || got[name] != values[0] {
				t.Fatalf("%q is %q, want %q", name, got[name], values)
			}
		}
		for name, value := range got {
			if value == "" || want.Get(name) != value {
				t.Fatalf("%q is %q, want %q", name, value, want.Get(name))
			}
		}
	})
}
