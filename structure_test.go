package rolecall

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// sources gives the Go files of the module that are not tests, by folder. Modules within it
// (bench, compat, what is below testdata) are others' business.
func sources(t *testing.T) map[string][]string {
	t.Helper()
	folders := map[string][]string{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch base := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && (base == "testdata" || base == "bench" || base == "compat" || base == "node_modules" || len(base) > 1 && base[0] == '.'):
			return fs.SkipDir
		case !entry.IsDir() && strings.HasSuffix(base, ".go") && !strings.HasSuffix(base, "_test.go"):
			folder := filepath.ToSlash(filepath.Dir(name))
			folders[folder] = append(folders[folder], base)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) < 30 {
		t.Fatalf("found %d folders of source, too few to be the module", len(folders))
	}
	return folders
}

// TestFindable holds that a stranger who looks for one of the field's terms finds the one
// package or file that bears its name. What guard and credential do with the same words stands
// beside, in packages that users import.
func TestFindable(t *testing.T) {
	folders := sources(t)
	for _, term := range []string{
		"authorization request", "session", "consent", "client assertion", "federated credential", "token endpoint",
		"claims", "error table", "signing key", "platform",
	} {
		var found []string
		name := strings.ReplaceAll(term, " ", "_")
		for folder, files := range folders {
			if !strings.HasPrefix(folder, "internal/") {
				continue
			}
			if path.Base(folder) == strings.ReplaceAll(name, "_", "") {
				found = append(found, folder)
			}
			for _, file := range files {
				if file == name+".go" {
					found = append(found, folder+"/"+file)
				}
			}
		}
		if len(found) != 1 {
			t.Errorf("%q is found at %d places, want one: %q", term, len(found), found)
		}
	}
}

// TestSizes holds the bounds within which a reader keeps the overview: of what one type can do,
// and of how many files lie in one folder.
func TestSizes(t *testing.T) {
	const maxMethods, maxFiles = 60, 35
	for folder, files := range sources(t) {
		if len(files) > maxFiles {
			t.Errorf("%s has %d files, more than %d: is it two packages?", folder, len(files), maxFiles)
		}
		methods := map[string]int{}
		for _, file := range files {
			for receiver, n := range methodsIn(t, filepath.Join(folder, file)) {
				methods[receiver] += n
			}
		}
		for receiver, n := range methods {
			if n > maxMethods {
				t.Errorf("%s: the type %s has %d methods, more than %d: is it two types?", folder, receiver, n, maxMethods)
			}
		}
	}
}

// methodsIn counts the methods in a file by the type that has them.
func methodsIn(t *testing.T, file string) map[string]int {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	methods := map[string]int{}
	for _, declaration := range parsed.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Recv == nil {
			continue
		}
		receiver := function.Recv.List[0].Type
		if pointer, ok := receiver.(*ast.StarExpr); ok {
			receiver = pointer.X
		}
		if generic, ok := receiver.(*ast.IndexExpr); ok {
			receiver = generic.X
		}
		if name, ok := receiver.(*ast.Ident); ok {
			methods[name.Name]++
		}
	}
	return methods
}

// TestCommandsHaveOneWayToChange holds that there is one management API: commands go through
// Graph's handlers, internal/operate or a rolecall.yaml, and never edit a directory or rotate
// keys in a way of their own.
func TestCommandsHaveOneWayToChange(t *testing.T) {
	folders := sources(t)
	for _, folder := range []string{"cmd/rolecall", "internal/command", "internal/noun"} {
		if len(folders[folder]) == 0 {
			t.Errorf("there is no %s: where are the commands?", folder)
		}
		for _, file := range folders[folder] {
			name := filepath.Join(folder, file)
			for _, found := range ownChanges(t, name, nil) {
				t.Errorf("%s: %s changes the directory by itself: use Line.Manage", name, found)
			}
		}
	}
	const way = `package p
func f() {
	_, _ = data.Directory.Change(ctx, actor, func(e *directory.Editor) error { return nil })
	_, _ = s.Data.Keys.Rotate(ctx, ring, actor, options)
	_ = data.Keys.Revoke(ctx, ring, actor, id, reason)
	_ = dir.SetKeyring(ctx, tenant, 1, nil, event, "")
}`
	if found := ownChanges(t, "way.go", way); len(found) != 5 {
		t.Errorf("of five ways to change a directory, this finds %q", found)
	}
}

// ownChanges finds where a file changes a directory or its keys.
func ownChanges(t *testing.T, name string, source any) (found []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		selected, is := n.(*ast.SelectorExpr)
		if !is {
			return true
		}
		of := ""
		switch x := selected.X.(type) {
		case *ast.Ident:
			of = x.Name
		case *ast.SelectorExpr:
			of = x.Sel.Name
		}
		switch what := of + "." + selected.Sel.Name; {
		case what == "directory.Editor", what == "Directory.Change", what == "Keys.Rotate", what == "Keys.Revoke", selected.Sel.Name == "SetKeyring":
			found = append(found, what)
		}
		return true
	})
	return found
}
