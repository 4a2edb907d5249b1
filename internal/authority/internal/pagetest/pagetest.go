// Package pagetest compares pages with what they should be, whatever text is on them.
//
// It owns the texts that have made pages say something else, and the reading of a page as a
// browser reads it. It is for tests alone, and refuses to know which pages there are.
package pagetest

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/html"

	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// breakers are texts that have made pages say something else: for text, attributes, URLs,
// style sheets, comments, templates and for those who look at a page.
func breakers() []string {
	all := []string{
		"<b>", "</p>", "</dd></dl></main><main>", "</title><base href=//evil.test>", "</style><style>*{}", "<!--", "-->", "<![CDATA[", "]]>", "<?xml", "<!doctype html>",
		"<script>alert(1)</script>", "<script src=//evil.test>", "<svg onload=alert(1)>", "<svg><script>alert(1)</script>", "<math><mtext></form><form>", "<iframe srcdoc=x>",
		"<img src=x onerror=alert(1)>", "<input name=form value=x>", "<form action=//evil.test>", "</form><form action=//evil.test>", "<button formaction=//evil.test>", "<meta http-equiv=refresh content=0>",
		"<link rel=stylesheet href=//evil.test>", "<a href=javascript:alert(1)>", "<textarea>", "<plaintext>", "<xmp>", "<noscript>", "<template>", "<select>", "<table>", "<frameset>", "<object data=x>", "<b", "<", ">", "< b>", "<\tb>",
		`"`, `'`, "`", `">`, `'>`, `"/>`, `" onfocus=alert(1) autofocus x="`, `' onfocus='alert(1)`, `" autofocus`, `x" type="submit`, `"formaction="//evil.test`, `\"`, `\'`, `" style="x`, `"=`, "=",
		"&lt;b&gt;", "&#60;b&#62;", "&#x3c;b&#x3e;", "&quot;", "&amp;", "&amp;lt;", "&", "&#0;", "&nbsp", "&NewLine;", "&Tab;", "%3Cb%3E", "%22", "%00", "%0d%0a", `\u003cb\u003e`, `\x3cb\x3e`, "+ADw-b+AD4-",
		"{{.}}", "{{.Form}}", "${7*7}", "<%= 7 %>", "#{7}", "{%x%}", "[[x]]", "javascript:alert(1)", "data:text/html,<b>", "vbscript:x", "//evil.test", "https://evil.test", `\\evil.test`, "expression(alert(1))", "url(//evil.test)", "@import", "*/", "/*", ";", "}", "{",
		"a\tb", "a\nb", "a\r\nb", "a\rb", "a\vb", "a\fb", "a\x00b", "\x1b[31m", "a\u2028b", "a\u2029b", "a\u0085b", "\ufeffa", "a\u200bb", "a\u202eb\u202c", "a\u2066b\u2069", "a\u00adb", "\ufffd", "\ufffe", "\U000e0041", "\U0001f469\u200d\U0001f4bb",
		"e\u0301", strings.Repeat("\u0336", 50) + "a", "＜script＞", "ʺ", "‹b›", "аpp", "\xff", "\xc0\xbcb\xc0\xbe", "\xed\xa0\x80", "a\xf0\x9f", " ", "  a  ", "\u3000", strings.Repeat("<b>", 100), strings.Repeat("x", 5000),
	}
	for _, before := range []string{`"`, `'`, "", "</strong>", "</code>", "</option>", "-->", "&quot;"} {
		for _, payload := range []string{"<i>", " onclick=x ", "<i x='", "<!--", "<script>"} {
			all = append(all, before+">"+payload, "x"+before+payload+before)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Texts gives our own breakers, and those that others collected where they are present.
// Time passes at once: refusals look for news in the directory, which is limited.
func Texts(t *testing.T, test func(t *testing.T, all []string)) {
	run := func(t *testing.T, all []string) {
		if fixture.Raced {
			all = some(all)
		}
		synctest.Test(t, func(t *testing.T) { test(t, all) })
	}
	t.Run("ours", func(t *testing.T) { run(t, breakers()) })
	t.Run("collected", func(t *testing.T) {
		root := filepath.Join("..", "..") // of the project, from package authority, or one below it
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
			root = filepath.Join(root, "..")
		}
		b, err := os.ReadFile(filepath.Join(root, "..", "shared", "vectors", "naughty_strings.json"))
		if err != nil {
			t.Skipf("public test data naughty_strings.json is not here: %v", err)
		}
		var all []string
		if err := json.Unmarshal(b, &all); err != nil {
			t.Fatal(err)
		}
		if len(all) < 500 {
			t.Errorf("%d strings, want more than 500", len(all))
		}
		run(t, all)
	})
}

// some is every eighth text.
func some(all []string) (few []string) {
	for i := 0; i < len(all); i += 8 {
		few = append(few, all[i])
	}
	return few
}

// A Sketch is a page as a browser reads it, a line for each element and each text.
type Sketch []string

// fleeting are the fields whose values differ from one page to the next.
var fleeting = regexp.MustCompile(`^(form|code|id_token|client_info|session_state)$`)

// Draw parses a page, and leaves out what differs each time.
func Draw(t *testing.T, r *httptest.ResponseRecorder) Sketch {
	t.Helper()
	body := strings.ToValidUTF8(r.Body.String(), "\ufffd")
	if trace := r.Header().Get("x-ms-request-id"); trace != "" {
		body = strings.ReplaceAll(body, trace, "TRACE")
	}
	if correlation := r.Header().Get("client-request-id"); correlation != "" {
		body = strings.ReplaceAll(body, correlation, "CORRELATION")
	}
	document, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var lines Sketch
	var walk func(node *html.Node, depth int)
	walk = func(node *html.Node, depth int) {
		indent := strings.Repeat(" ", depth)
		switch node.Type {
		case html.ElementNode:
			lines = append(lines, indent+"<"+node.Data)
			for _, attribute := range node.Attr {
				value := attribute.Val
				if attribute.Key == "value" && slices.ContainsFunc(node.Attr, func(a html.Attribute) bool { return a.Key == "name" && fleeting.MatchString(a.Val) }) {
					value = "FLEETING"
				}
				lines = append(lines, indent+" @"+attribute.Namespace+attribute.Key+"="+value)
			}
		case html.TextNode:
			if strings.TrimSpace(node.Data) != "" {
				lines = append(lines, indent+" #"+node.Data)
			}
		case html.DocumentNode:
		default:
			lines = append(lines, fmt.Sprintf("%s?%d %s", indent, node.Type, node.Data))
		}
		for child := range node.ChildNodes() {
			walk(child, depth+1)
		}
	}
	walk(document, 0)
	return lines
}

// With puts a text in the place of another one throughout, as a browser will read it.
func (s Sketch) With(pairs ...string) Sketch {
	for i := 1; i < len(pairs); i += 2 {
		pairs[i] = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "\ufffd").Replace(strings.ToValidUTF8(pairs[i], "\ufffd"))
	}
	replacer := strings.NewReplacer(pairs...)
	out := make(Sketch, len(s))
	for i, line := range s {
		out[i] = replacer.Replace(line)
	}
	return out
}

// Frame is a Sketch without its texts and its values.
func (s Sketch) Frame() Sketch {
	var out Sketch
	for _, line := range s {
		switch bare := strings.TrimLeft(line, " "); bare[0] {
		case '#':
			out = append(out, "#")
		case '@':
			name, _, _ := strings.Cut(bare, "=")
			out = append(out, name)
		default:
			out = append(out, bare)
		}
	}
	return out
}

// strictPolicy lets no script run but the one that sends the page of a form.
var strictPolicy = regexp.MustCompile(`^default-src 'none'; (script-src 'sha256-ePniVEkSivX/c7XWBGafqh8tSpiRrKiqYeqbG7N1TOE='; )?style-src 'self'; form-action 'self'( https?://[A-Za-z0-9.:-]+| [a-zA-Z][a-zA-Z0-9+.-]*:)?; base-uri 'none'; frame-ancestors 'none'$`)

// Check requires a page to be the one that is expected, with the policy that every page has.
func (s Sketch) Check(t *testing.T, what, text string, r *httptest.ResponseRecorder) {
	t.Helper()
	if policy := r.Header().Get("Content-Security-Policy"); !strictPolicy.MatchString(policy) {
		t.Errorf("%s with %+q: the policy is %q", what, text, policy)
	}
	got := Draw(t, r)
	for i := range max(len(got), len(s)) {
		if i >= len(got) || i >= len(s) || got[i] != s[i] {
			t.Errorf("%s with %+q: got %d, with %+q where %+q is expected", what, text, r.Code, got[min(i, len(got)):min(i+3, len(got))], s[min(i, len(s)):min(i+3, len(s))])
			return
		}
	}
}

// Subset requires a frame to have nothing that another one has not.
func Subset(t *testing.T, what, text string, got, of Sketch) {
	t.Helper()
	for _, line := range got {
		if !slices.Contains(of, line) && line != "@autofocus" {
			t.Errorf("%s with %+q: there is a new %s", what, text, line)
		}
	}
}

// RedirectMutations returns strings that have sent browsers astray elsewhere.
func RedirectMutations(registered []string) []string {
	evil := []string{"evil.test", "evil.test%2f", "//evil.test", "\\evil.test", "/\\evil.test", "evil.test#", "evil.test?", "evil.test;", "127.0.0.2", "[::1]"}
	var all []string
	for _, uri := range registered {
		scheme, rest, _ := strings.Cut(uri, "://")
		for _, e := range evil {
			all = append(all,
				uri+e, uri+"@"+e, uri+"."+e, uri+":80@"+e, uri+"/"+e, uri+"?"+e, uri+"#"+e, uri+"\\"+e, uri+"%00"+e, uri+"\r\nLocation: https://"+e,
				uri+"%0d%0a"+e, uri+"\t"+e, uri+" "+e, uri+"/../"+e, uri+"/.."+"/"+"..//"+e, uri+";@"+e, uri+"&next=https://"+e,
				e+uri, "https://"+e+"/"+uri, "https://"+e+"@"+rest, "https://"+e+"#@"+rest, "https://"+e+"\\@"+rest, "https://"+e+"?"+uri,
				scheme+":"+e, scheme+":/"+e, scheme+":///"+e, scheme+"://"+e+"/"+rest, scheme+"://"+e+":80#"+rest,
				strings.ToUpper(scheme)+"://"+e, "javascript://"+rest+"/%0aalert(1)//"+e, "data:text/html,"+e, " "+uri, uri+" ", "\x00"+uri, uri+"\x00",
				strings.Replace(uri, "://", ":\\\\", 1)+e, strings.Replace(uri, "://", "://"+e+"@", 1)+"@", strings.Replace(uri, ".", "%2e", 1)+e,
			)
		}
	}
	return all
}
