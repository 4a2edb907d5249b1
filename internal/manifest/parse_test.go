package manifest_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// canary is a secret that no error may repeat.
const canary = "canary5Fq8hunter2"

func environment(name string) (string, bool) {
	values := map[string]string{"CI_SECRET": canary, "EMPTY": ""}
	value, ok := values[name]
	return value, ok
}

func readFile(path string) ([]byte, error) {
	if path == "config/client.pem" {
		return clientCertificate()
	}
	if path == "config/client.cer" { // the same in DER
		text, err := clientCertificate()
		block, _ := pem.Decode(text)
		return block.Bytes, err
	}
	files := map[string]string{
		"config/secret.txt": canary + "\r\n", "config/blank.txt": "\n", "config/key.pem": "no PEM", "/abs/secret.txt": canary,
	}
	content, ok := files[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}
	return []byte(content), nil
}

func parse(text string) (*manifest.File, error) {
	return manifest.Parse("config/rolecall.yaml", []byte(text), environment, readFile)
}

// head begins most files: what follows are the members of an application, in lines from 5
// and columns from 9.
const head = `tenants:
  - name: contoso
    applications:
      - name: orders
`

func app(lines ...string) string {
	return head + "        " + strings.Join(lines, "\n        ") + "\n"
}

func TestParseReportsTheExactPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		text string
		want []string // line:column: the beginning of what
	}{
		{"empty", "", []string{"1:1: the file is empty"}},
		{"only a comment", "# nothing\n", []string{"1:1: the file is empty"}},
		{"nothing in it", "---\n", []string{"2:1: nothing stands where the file"}},
		{"a list at the top", "- a\n", []string{"1:1: a list stands where the file"}},
		{"no tenants", "{}\n", []string{"1:1: the file lacks its tenants."}},
		{"no YAML", "tenants: [\n", []string{"1:0: this is no YAML"}},
		{"a tab", "tenants:\n\t- name: a\n", []string{"2:0: this is no YAML"}},
		{"a second document", "tenants: []\n---\ntenants: []\n", []string{"2:1: a second document begins."}},
		{"a torn second document", "tenants: []\n---\n[\n", []string{"3:0: this is no YAML"}},
		{"an unknown member at the top", "tenants: []\ntenant: x\n", []string{`2:1: "tenant" is no member of the file.`}},
		{"an unknown member deep down", app("appRoles:", "  - {value: A, enable: true}"), []string{`6:24: "enable" is no member of an app role.`}},
		{"a member twice", app("public: true", "public: true"), []string{"6:9: an application has its public twice, first in line 5."}},
		{"a member that is no text", app("[1, 2]: x"), []string{"5:9: this is no member of an application."}},
		{"no name", "tenants:\n  - id: 7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11\n", []string{"2:5: a tenant lacks its name."}},
		{"nothing behind a member", app("secrets:"), []string{"5:17: nothing stands where a list belongs."}},
		{"a number for a text", "tenants:\n  - name: 123\n", []string{"2:11: a number stands where text belongs."}},
		{"a date for a text", "tenants:\n  - name: 2026-11-23\n", []string{"2:11: a date stands where text belongs."}},
		{"an object for a text", "tenants:\n  - name: {a: b}\n", []string{"2:11: an object stands where text belongs."}},
		{"a text for a list", app("identifierUris: api://orders"), []string{"5:25: text stands where a list belongs."}},
		{"a text for an object", "tenants: [contoso]\n", []string{"1:11: text stands where a tenant belongs."}},
		{"an empty text", "tenants:\n  - name: ''\n", []string{"2:11: the text is empty."}},
		{"a text for true", app(`public: "yes"`), []string{"5:17: text stands where true or false belongs."}},
		{"a type of its own", app(`public: !bool true`), []string{"5:17: a value of another type stands where true or false belongs."}},
		{"no GUID", app("appId: a9100002"), []string{`5:16: "a9100002" is not a GUID.`}},
		{"a GUID with a wrong digit", app("appId: g9100002-5a5a-4c4c-8d8d-000000000002"), []string{`5:16: "g9100002-5a5a-4c4c-8d8d-000000000002" is not a GUID.`}},
		{"a token version there is not", app("requestedAccessTokenVersion: 3"), []string{"5:38: a number stands where one of the numbers 1 2 belongs."}},
		{"a token version in quotes", app(`requestedAccessTokenVersion: "2"`), []string{"5:38: text stands where one of the numbers 1 2 belongs."}},
		{"a member type there is not", app("appRoles: [{value: A, members: [application]}]"), []string{`5:41: "application" is none of Application, User.`}},
		{"an identity type there is not", "tenants:\n  - name: a\n    managedIdentities:\n      - {name: b, type: System}\n", []string{`4:25: "System" is none of system, user.`}},
		{"a consent there is not", app("scopes: [{value: A, consent: everyone}]"), []string{`5:38: "everyone" is none of admin, user.`}},
		{"a scope with members", app("scopes: [{value: A, members: [User]}]"), []string{"5:29: \"members\" is no member of a scope."}},
		{"a scope without a value", app("scopes: [{displayName: A}]"), []string{"5:18: a scope lacks its value."}},
		{"a scope twice", app("scopes: [{value: A.Read}, {value: a.read}]"), []string{`5:43: the scope value "a.read" is used twice, first in line 5.`}},
		{"a permission of no scope", app("permissions: [{api: a, scopes: []}]"), []string{"5:40: the list names no scope."}},
		{"a redirect URI twice", app("redirectUris: [\"http://localhost\", \"http://localhost\"]"), []string{`5:44: the redirect URI "http://localhost" is used twice, first in line 5.`}},
		{"a user who consents", "tenants:\n  - name: a\n    users:\n      - {userPrincipalName: dev@contoso.test, assignments: [{api: a, scopes: [A]}]}\n", []string{"4:61: an assignment lacks its roles.", `4:70: "scopes" is no member of an assignment.`}},
		{"no date", app("secrets: [{name: ci, generate: true, expires: soon}]"), []string{"5:55: text stands where a time belongs."}},
		{"a day there is not", app("secrets: [{name: ci, generate: true, expires: 2027-02-30}]"), []string{"5:55: text stands where a time belongs."}},
		{"a secret from nowhere", app("secrets: [{name: ci}]"), []string{"5:19: a secret says nowhere where it comes from."}},
		{"a secret from two places", app("secrets: [{name: ci, env: CI_SECRET, file: secret.txt}]"), []string{"5:52: a secret comes from env and from file."}},
		{"a secret generated and not", app("secrets: [{name: ci, generate: false}]"), []string{"5:40: generate can only be true."}},
		{"a variable that is not set", app("secrets: [{name: ci, env: " + canary + "}]"), []string{"5:35: the environment variable of this name is not set"}},
		{"a variable that is empty", app("secrets: [{name: ci, env: EMPTY}]"), []string{"5:35: the environment variable of this name is not set or empty"}},
		{"a file that is not there", app("secrets: [{name: ci, file: " + canary + "}]"), []string{"5:36: cannot read this file: file does not exist"}},
		{"a blank file", app("secrets: [{name: ci, file: blank.txt}]"), []string{"5:36: cannot read this file: it is empty"}},
		{"a secret for a member", app("secrets: [{name: ci, " + canary + "}]"), []string{"5:19: a secret says nowhere", "5:30: this is no member of a secret."}},
		{"a secret that is a list", app("secrets: [{name: ci, value: [" + canary + "]}]"), []string{"5:37: a list stands where text belongs."}},
		{"a secret that is a number", app("secrets: [{name: ci, value: 0123456}]"), []string{"5:37: a number stands where text belongs."}},
		{"a secret that is an alias", app("secrets: [{name: ci, value: *" + canary + "}]"), []string{"5:37: an alias (*name) refers to nothing."}},
		{"a password from nowhere", "tenants:\n  - name: a\n    users:\n      - {userPrincipalName: d@a.test, password: {}}\n", []string{"4:49: a password says nowhere"}},
		{"a generated password", "tenants:\n  - name: a\n    users:\n      - {userPrincipalName: d@a.test, password: {generate: true}}\n", []string{"4:49: a password says nowhere", "4:50: this is no member of a password."}},
		{"a certificate that is none", app("certificates: [{name: prod, file: key.pem}]"), []string{"5:43: cannot read this file: it holds no"}},
		{"a permission without roles", app("permissions: [{api: orders}]"), []string{"5:23: a permission lacks its roles and its scopes."}},
		{"a permission with no role", app("permissions: [{api: orders, roles: []}]"), []string{"5:44: the list names no role."}},
		{"a role asked for twice", app("permissions: [{api: orders, roles: [A, A]}]"), []string{`5:48: the role "A" is used twice, first in line 5.`}},
		{"an application name twice", app("public: true") + "      - name: Orders\n", []string{`6:15: the name "Orders" is used twice, first in line 4.`}},
		{"an identity named as an application", head + "    managedIdentities:\n      - {name: orders, type: system}\n", []string{`6:16: the name "orders" is used twice, first in line 4.`}},
		{"a role value twice", app("appRoles:", "  - value: A", "  - value: a"), []string{`7:20: the role value "a" is used twice, first in line 6.`}},
		{"a URI twice", app("identifierUris: [api://x, 'API://X/']"), []string{`5:35: the identifier URI "API://X/" is used twice, first in line 5.`}},
		{"a secret name twice", app("secrets:", "  - {name: ci, generate: true}", "  - {name: ci, generate: true}"), []string{`7:20: the secret name "ci" is used twice, first in line 6.`}},
		{"a tenant twice", "tenants:\n  - {name: a, domains: [a.test]}\n  - {name: A, domains: [A.test]}\n", []string{`3:12: the tenant name "A" is used twice`, `3:25: the domain "A.test" is used twice`}},
		{"several at once, in the order of lines", app("public: 1", "appId: x", "colour: red", "appRoles: [{}]"), []string{
			"5:17: a number stands", `6:16: "x" is not a GUID`, `7:9: "colour" is no member`, "8:20: an app role lacks its value",
		}},
		{"an alias to something wrong", app("identifierUris: &u [1]", "appRoles: [{value: A, members: *u}]"), []string{"5:29: a number stands", "5:29: a number stands"}},
		{"other alphabets before the place", app("appRoles: [{value: A, displayName: приказы, enable: true}]"), []string{`5:53: "enable" is no member`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(tt.text)
			checkProblems(t, err, tt.want)
		})
	}
}

// checkProblems compares an error with what is wanted: places, and how the words begin.
func checkProblems(t *testing.T, err error, want []string) {
	t.Helper()
	var problems manifest.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v, want problems", err)
	}
	if strings.Contains(err.Error(), canary) {
		t.Error("the error repeats a secret")
	}
	for i, problem := range problems {
		got := fmt.Sprintf("%d:%d: %s", problem.Line, problem.Column, problem.What)
		if i >= len(want) || !strings.HasPrefix(got, want[i]) {
			t.Errorf("problem %d: got %s", i, got)
		}
		if problem.Fix() == "" || problem.File != "config/rolecall.yaml" {
			t.Errorf("problem %d lacks a fix or the file: %v", i, problem)
		}
	}
	if len(problems) < len(want) {
		t.Errorf("%d problems, want %d", len(problems), len(want))
	}
}

// What is wrong and what to do about it are told apart as for every other error. Of several
// problems, each says its own step: one step for all of them would be wrong for the others.
func TestProblemsKnowTheirFix(t *testing.T) {
	t.Parallel()
	one := &manifest.Problem{File: "rolecall.yaml", Line: 3, Column: 5, What: "It broke.", Advice: "Repair it."}
	other := &manifest.Problem{File: "rolecall.yaml", Line: 4, Column: 5, What: "So did this.", Advice: "Remove it."}
	for _, tt := range []struct {
		name      string
		err       error
		what, fix string
	}{
		{"one", manifest.Problems{one}, "rolecall.yaml:3:5: It broke.", "Repair it."},
		{"one, wrapped", fmt.Errorf("apply: %w", manifest.Problems{one}), "apply: rolecall.yaml:3:5: It broke.", "Repair it."},
		{"two", manifest.Problems{one, other}, "rolecall.yaml:3:5: It broke. Repair it.\nrolecall.yaml:4:5: So did this. Remove it.", ""},
		{"none", manifest.Problems{}, "", ""},
	} {
		if what, step := fix.What(tt.err), fix.Of(tt.err); what != tt.what || step != tt.fix {
			t.Errorf("%s: got %q and %q, want %q and %q", tt.name, what, step, tt.what, tt.fix)
		}
	}
}

func TestProblemReadsLikeACompilersError(t *testing.T) {
	t.Parallel()
	_, err := parse(app("public: 1", "colour: red"))
	want := "config/rolecall.yaml:5:17: a number stands where true or false belongs. Write true or false, without quotes.\n" +
		`config/rolecall.yaml:6:9: "colour" is no member of an application. Its members are: `
	if !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %q", err)
	}
}

func TestParseIsBounded(t *testing.T) {
	t.Parallel()
	t.Run("aliases of aliases", func(t *testing.T) {
		var b strings.Builder
		b.WriteString("tenants:\n  - name: a\n    domains: &d0 [x, x, x, x, x, x, x, x, x, x]\n")
		// Each level lists the one before ten times, though no list of lists is a list of
		// texts: it must end early for one reason or the other.
		for i := range 30 {
			fmt.Fprintf(&b, "    d%d: &d%d [%s]\n", i, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*d%d, ", i), 10), ", "))
		}
		if _, err := parse(b.String()); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("one alias many times", func(t *testing.T) {
		role := "{value: A, members: [" + strings.Repeat("Application, ", 10_000) + "]}"
		text := app("appRoles:", "  - &r "+role, strings.Repeat("  - *r\n        ", 2_000))
		_, err := parse(text)
		if err == nil || !strings.Contains(err.Error(), "grows beyond all bounds") {
			t.Error("not refused for its size")
		}
	})
	t.Run("wrong throughout", func(t *testing.T) {
		_, err := parse("tenants: [" + strings.Repeat("1, ", 10_000) + "]")
		var problems manifest.Problems
		if !errors.As(err, &problems) || len(problems) != 100 {
			t.Errorf("%d problems, want the first 100", len(problems))
		}
	})
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no tenant":          "tenants: []\n",
		"JSON":               `{"tenants": [{"name": "contoso"}]}`,
		"aliases":            app("identifierUris: &u [api://a]", "appRoles: [{value: A, members: [Application]}]"),
		"a date":             app("secrets: [{name: ci, generate: true, expires: 2027-12-31}]"),
		"a date in quotes":   app(`secrets: [{name: ci, generate: true, expires: "2027-12-31"}]`),
		"a time":             app("secrets: [{name: ci, generate: true, expires: 2027-12-31T12:00:00Z}]"),
		"a relative file":    app("secrets: [{name: ci, file: secret.txt}]"),
		"an absolute file":   app("secrets: [{name: ci, file: /abs/secret.txt}]"),
		"a variable":         app("secrets: [{name: ci, env: CI_SECRET}]"),
		"an upper case GUID": app("appId: A9100002-5A5A-4C4C-8D8D-000000000002"),
	} {
		if _, err := parse(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
