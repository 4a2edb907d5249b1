package rolecall

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestDocumentedPrograms builds every whole program in the documentation, as it stands there.
func TestDocumentedPrograms(t *testing.T) {
	block := regexp.MustCompile("(?s)```go\n(// Command [^`]*?package main\n.*?)```")
	text, err := os.ReadFile("docs/quickstart.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := block.FindAllSubmatch(text, -1)
	if len(programs) < 2 {
		t.Fatalf("found %d programs in docs/quickstart.md, want the API and the daemon", len(programs))
	}
	for i, program := range programs {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(file, program[1], 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput()
			if err != nil {
				t.Errorf("go vet: %v\n%s", err, out)
			}
		})
	}
}

// TestDocumentedSnippets builds the pieces of programs in the README and the quickstart, each
// as it stands there, in a function that has what the text around the piece speaks of.
func TestDocumentedSnippets(t *testing.T) {
	packages := map[string]string{
		"authoritytest": "github.com/rolecall-auth/rolecall/authoritytest",
		"credential":    "github.com/rolecall-auth/rolecall/credential",
		"exec":          "os/exec",
		"guard":         "github.com/rolecall-auth/rolecall/guard",
		"http":          "net/http",
		"httptest":      "net/http/httptest",
	}
	const given = `t *testing.T, ctx context.Context, cred azcore.TokenCredential, tenant, bundle string, ` +
		`greet, listOrders func(http.ResponseWriter, *http.Request), getOrders http.Handler`
	imports := map[string]bool{"context": true, "net/http": true, "testing": true, "github.com/Azure/azure-sdk-for-go/sdk/azcore": true}
	var functions strings.Builder
	found := 0
	for _, page := range []string{"README.md", "docs/quickstart.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(text, -1) {
			snippet := string(block[1])
			if strings.HasPrefix(snippet, "// Command ") {
				continue // a whole program: TestDocumentedPrograms
			}
			found++
			for name, path := range packages {
				imports[path] = imports[path] || strings.Contains(snippet, name+".")
			}
			functions.WriteString("\nfunc _(" + given + ") {\n" + snippet)
			for _, declared := range regexp.MustCompile(`(?m)^([a-z]+(?:, [a-z]+)*) := `).FindAllStringSubmatch(snippet, -1) {
				names := strings.Split(declared[1], ", ")
				functions.WriteString(strings.Repeat("_, ", len(names)-1) + "_ = " + declared[1] + "\n")
			}
			functions.WriteString("}\n")
		}
	}
	if found < 4 {
		t.Fatalf("found %d snippets, want the API, the daemon and two tests", found)
	}
	program := "package snippets\n\nimport (\n"
	for path, used := range imports {
		if used {
			program += strconv.Quote(path) + "\n"
		}
	}
	file := filepath.Join(t.TempDir(), "snippets.go")
	if err := os.WriteFile(file, []byte(program+")\n"+functions.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s\n%s", err, out, program+")\n"+functions.String())
	}
}

// TestDocumentedAPIs holds the settings in docs/apis.md, and the programs in docs/guard.md and
// docs/public-names.md, to those that the compat suites run.
func TestDocumentedAPIs(t *testing.T) {
	for page, least := range map[string]int{"docs/apis.md": 6, "docs/graph-clients.md": 2, "docs/guard.md": 3, "docs/public-names.md": 2} {
		documentedAPIs(t, page, least)
	}
}

func documentedAPIs(t *testing.T, name string, least int) {
	t.Helper()
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)From\\s+\\[((?:compat/(?:apis|graph)|examples)/[^]]+)\\][^\\n]*\\n\\n```[a-z]+\\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < least {
		t.Errorf("found %d blocks in %s, want %d", len(blocks), name, least)
	}
	for _, block := range blocks {
		api, err := os.ReadFile(block[1])
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(api), block[2]) {
			t.Errorf("%s does not have these lines of %s:\n%s", block[1], name, block[2])
		}
	}
}
