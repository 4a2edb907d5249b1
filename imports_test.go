package rolecall

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rolecall-auth/rolecall"

// goList runs go list over the module and returns its lines of space-separated fields.
func goList(t *testing.T, format string, patterns ...string) [][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-f", format}, patterns...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var lines [][]string
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.Fields(line))
	}
	return lines
}

func short(path string) string { return strings.TrimPrefix(path, module+"/") }

// TestImportArrows compares the imports between our packages with the agreed ones: a new
// arrow is a line to defend. UPDATE=1 go test . rewrites the file.
func TestImportArrows(t *testing.T) {
	const golden = "testdata/imports.golden"
	var arrows []string
	for _, fields := range goList(t, `{{.ImportPath}} {{join .Imports " "}}`, "./...") {
		for _, to := range fields[1:] {
			if strings.HasPrefix(to, module+"/") {
				arrows = append(arrows, short(fields[0])+" -> "+short(to))
			}
		}
	}
	slices.Sort(arrows)
	got := strings.Join(arrows, "\n") + "\n"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	agreed := strings.Split(strings.TrimSpace(string(want)), "\n")
	for _, arrow := range arrows {
		if !slices.Contains(agreed, arrow) {
			t.Errorf("new arrow %s: defend it in %s, or take it out", arrow, golden)
		}
	}
	for _, arrow := range agreed {
		if !slices.Contains(arrows, arrow) {
			t.Errorf("arrow %s is gone: take its line out of %s", arrow, golden)
		}
	}
}

// TestInheritance holds what users of our packages inherit: nothing but the standard
// library with guard, Microsoft's client libraries with credential, no database with either.
func TestInheritance(t *testing.T) {
	for pkg, allowed := range map[string][]string{
		"./guard":      {module + "/guard", module + "/internal/token"},
		"./credential": {module + "/credential", "github.com/Azure/azure-sdk-for-go/", "github.com/AzureAD/", "github.com/golang-jwt/jwt/", "github.com/google/uuid", "github.com/kylelemons/godebug/", "github.com/pkg/browser", "golang.org/x/", "software.sslmate.com/src/go-pkcs12"},
	} {
		for _, fields := range goList(t, `{{if not .Standard}}{{.ImportPath}}{{end}}`, "-deps", pkg) {
			if len(fields) == 0 {
				continue
			}
			if !slices.ContainsFunc(allowed, func(prefix string) bool { return strings.HasPrefix(fields[0], prefix) }) {
				t.Errorf("users of %s would inherit %s", pkg, fields[0])
			}
		}
	}
}
