package exchange

import (
	"bytes"
	"maps"
	"mime/multipart"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

// parts makes a multipart body of parts, each with its header and its content.
func parts(all ...string) string {
	return "--b\r\n" + strings.Join(all, "\r\n--b\r\n") + "\r\n--b--\r\n"
}

func field(name, value string) string {
	return `Content-Disposition: form-data; name="` + name + "\"\r\n\r\n" + value
}

func manyParts(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = field("f"+strings.Repeat("x", i), "1")
	}
	return parts(all...)
}

func TestParseMultipart(t *testing.T) {
	t.Parallel()
	const disposition = "Content-Disposition: form-data; name=a"
	for _, tt := range []struct {
		name, body string
		want       Form
		code       int
	}{
		{"two parameters", parts(field("a", "1"), field("b", "2")), Form{"a": "1", "b": "2"}, 0},
		{"nothing is decoded", parts(field("a", "x+y%20z&c=d")), Form{"a": "x+y%20z&c=d"}, 0},
		{"a line break is data", parts(field("a", "x\r\n")), Form{"a": "x\r\n"}, 0},
		{"an empty value counts as left out", parts(field("a", ""), field("b", "2")), Form{"b": "2"}, 0},
		{"a type of text", parts(disposition + "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n1"), Form{"a": "1"}, 0},
		{"not encoded, by its header", parts(disposition + "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n1"), Form{"a": "1"}, 0},
		{"a preamble and an epilogue", "hello\r\n" + parts(field("a", "1")) + "bye", Form{"a": "1"}, 0},
		{"no part", "--b--\r\n", Form{}, 0},
		{"64 parameters", manyParts(MaxFields), nil, 0},
		{"65 parameters", manyParts(MaxFields + 1), nil, 9002313},
		{"a parameter twice", parts(field("a", "1"), field("a", "2")), nil, 9002313},
		{"twice, once empty", parts(field("a", ""), field("a", "2")), nil, 9002313},
		{"a file", parts(`Content-Disposition: form-data; name="a"; filename="a.txt"` + "\r\n\r\n1"), nil, 9002313},
		{"a file without a name", parts(`Content-Disposition: form-data; name="a"; filename=""` + "\r\n\r\n1"), nil, 9002313},
		{"a file by its other name", parts(`Content-Disposition: form-data; name="a"; filename*=utf-8''x` + "\r\n\r\n1"), nil, 9002313},
		{"no name", parts("Content-Disposition: form-data\r\n\r\n1"), nil, 9002313},
		{"an empty name", parts(field("", "1")), nil, 9002313},
		{"no disposition", parts("X: y\r\n\r\n1"), nil, 9002313},
		{"two dispositions", parts(disposition + "\r\n" + disposition + "\r\n\r\n1"), nil, 9002313},
		{"another disposition", parts("Content-Disposition: attachment; name=a\r\n\r\n1"), nil, 9002313},
		{"a disposition that is none", parts("Content-Disposition: form-data; name=\r\n\r\n1"), nil, 9002313},
		{"base64", parts(disposition + "\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ=="), nil, 9002313},
		{"quoted-printable", parts(disposition + "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=31"), nil, 9002313},
		{"a NUL", parts(field("a", "x\x00y")), nil, 9002313},
		{"not UTF-8", parts(field("a", "\xff")), nil, 9002313},
		{"no last boundary", strings.TrimSuffix(parts(field("a", "1")), "--\r\n"), nil, 9002313},
		{"cut in a part", "--b\r\n" + field("a", "1"), nil, 9002313},
		{"cut in a header", "--b\r\nContent-Dis", nil, 9002313},
		{"another boundary", strings.ReplaceAll(parts(field("a", "1")), "--b", "--c"), nil, 9002313},
		{"a form", "a=1", nil, 9002313},
		{"nothing", "", nil, 9002313},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseMultipart([]byte(tt.body), "b")
			if aadsts.Code(err) != tt.code || tt.code == 0 && tt.want != nil && !maps.Equal(got, tt.want) {
				t.Errorf("got %q, %v; want %q, code %d", got, err, tt.want, tt.code)
			}
		})
	}
	for _, boundary := range []string{"", strings.Repeat("b", 71)} {
		if _, err := ParseMultipart([]byte(parts(field("a", "1"))), boundary); aadsts.Code(err) != 9002313 {
			t.Errorf("boundary %q: %v", boundary, err)
		}
	}
}

// Token endpoints take two kinds of forms, and no others; all other endpoints take one.
func TestReadTokenForm(t *testing.T) {
	t.Parallel()
	body, large := parts(field("a", "1")), parts(field("a", strings.Repeat("x", MaxBody)))
	for _, tt := range []struct {
		name, contentType, encoding, body string
		length                            int64 // declared; 0: as it is
		status, code                      int
	}{
		{"multipart", "multipart/form-data; boundary=b", "", body, 0, 0, 0},
		{"in capitals, quoted", `Multipart/Form-Data; Boundary="b"`, "", body, 0, 0, 0},
		{"a form", "application/x-www-form-urlencoded", "", "a=1", 0, 0, 0},
		{"no boundary", "multipart/form-data", "", body, 0, 400, 9002313},
		{"JSON", "application/json", "", `{"a":"1"}`, 0, 400, 900144},
		{"another multipart", "multipart/mixed; boundary=b", "", body, 0, 400, 900144},
		{"no type", "", "", body, 0, 400, 900144},
		{"compressed", "multipart/form-data; boundary=b", "gzip", body, 0, 400, 900144},
		{"too large", "multipart/form-data; boundary=b", "", large, 0, 413, 9002313},
		{"too large, length not declared", "multipart/form-data; boundary=b", "", large, -1, 413, 9002313},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/t/oauth2/token?a=2", strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.contentType)
			if tt.encoding != "" {
				r.Header.Set("Content-Encoding", tt.encoding)
			}
			if tt.length != 0 {
				r.ContentLength = tt.length
			}
			got, err := readTokenForm(httptest.NewRecorder(), r)
			problem := &aadsts.Problem{}
			if err != nil {
				problem = aadsts.Of(err)
			}
			if problem.Code != tt.code || problem.Status != tt.status || err == nil && got["a"] != "1" {
				t.Errorf("got %v, %v, status %d; want code %d, status %d", got, problem, problem.Status, tt.code, tt.status)
			}
		})
	}
}

// FuzzMultipart holds ParseMultipart to the standard library: what it accepts, that reads as
// the same parameters, and as no file.
func FuzzMultipart(f *testing.F) {
	for _, body := range []string{
		parts(field("grant_type", "client_credentials"), field("client_id", "c"), field("client_secret", "s")), parts(field("a", "1"), field("a", "2")),
		parts(`Content-Disposition: form-data; name="a"; filename="b"` + "\r\n\r\n1"), parts("Content-Disposition: form-data; name*=utf-8''%61\r\n\r\n1"),
		parts(field("a", "")), "--b--", "--b\r\n\r\n--b--", "--b\n" + field("a", "1") + "\n--b--\n", "--b \r\n" + field("a", "1") + "\r\n--b--", "",
		parts("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=31"),
	} {
		f.Add([]byte(body), "b")
	}
	f.Fuzz(func(t *testing.T, body []byte, boundary string) {
		got, err := ParseMultipart(body, boundary)
		if err != nil {
			if p := aadsts.Of(err); p.Code != 9002313 || p.Status != 400 {
				t.Fatalf("refused with %+v", p)
			}
			return
		}
		want, err := multipart.NewReader(bytes.NewReader(body), boundary).ReadForm(MaxBody)
		if err != nil {
			t.Fatalf("accepted what mime/multipart refuses: %v", err)
		}
		if len(want.File) > 0 || len(got) > MaxFields {
			t.Fatalf("%d files, %d parameters", len(want.File), len(got))
		}
		for name, values := range want.Value {
			if len(values) != 1 || got[name] != values[0] {
				t.Fatalf("%q is %q, want %q", name, got[name], values)
			}
		}
		for name, value := range got {
			if value == "" || !slices.Equal(want.Value[name], []string{value}) {
				t.Fatalf("%q is %q, want %q", name, value, want.Value[name])
			}
		}
	})
}
