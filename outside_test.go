package rolecall

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// publicPackages are those that users import.
var publicPackages = []string{"guard", "credential", "authoritytest"}

// TestUsersBuildOutside runs testdata/outside, a module that is not ours, against this one,
// with what the module cache has. What it needs of us it has to find in the packages that
// users can import.
func TestUsersBuildOutside(t *testing.T) {
	t.Parallel()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/outside")); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"mod", "edit", "-replace=" + module + "=" + root},
		{"vet", "-mod=mod", "./..."},
		{"test", "-mod=mod", "./..."},
	} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestSignaturesAreForUsers: whatever a public package exports can be called and written
// down outside of this module, because it names nothing internal and takes nothing that has
// no public name.
func TestSignaturesAreForUsers(t *testing.T) {
	t.Parallel()
	for _, pkg := range load(t, publicPackages...) {
		for name, e := range exports(pkg) {
			if bad := unnameable(e.typ); bad != "" {
				t.Errorf("%s.%s mentions %s, which users cannot name", pkg.Name(), name, bad)
			}
		}
	}
}

// TestEveryPublicThingHasAnExample: each function, type and method that users can reach is
// shown in use.
func TestEveryPublicThingHasAnExample(t *testing.T) {
	t.Parallel()
	for _, pkg := range load(t, publicPackages...) {
		functions, methods := shown(t, pkg.Name())
		for name, e := range exports(pkg) {
			_, method, _ := strings.Cut(name, ".")
			switch e.kind {
			case aMethod:
				if !methods[method] && !standardMethods[method] {
					t.Errorf("no example of %s calls %s", pkg.Name(), name)
				}
			case aFunction, aType:
				if !functions[name] && !returned(pkg, name) {
					t.Errorf("no example of %s uses %s", pkg.Name(), name)
				}
			}
		}
	}
}

// standardMethods are those of interfaces that everybody knows.
var standardMethods = map[string]bool{"Error": true, "Unwrap": true, "String": true, "RoundTrip": true, "GetToken": true}

// load returns packages of ours as the compiler has exported them.
func load(t *testing.T, names ...string) []*types.Package {
	t.Helper()
	patterns := []string{"-export", "-deps"}
	for _, name := range names {
		patterns = append(patterns, "./"+name)
	}
	files := map[string]string{}
	for _, fields := range goList(t, "{{.ImportPath}} {{.Export}}", patterns...) {
		if len(fields) == 2 {
			files[fields[0]] = fields[1]
		}
	}
	from := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(files[path]) })
	var packages []*types.Package
	for _, name := range names {
		pkg, err := from.Import(module + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, pkg)
	}
	return packages
}

// An export is something that a package offers.
type export struct {
	kind exportKind
	typ  types.Type // what it mentions; of a type: nothing, for its parts are exports themselves
}

type exportKind int

const (
	aValue exportKind = iota // a variable, constant or field
	aFunction
	aMethod
	aType
)

// exports returns what a package offers, by name: functions, variables, constants, types,
// and the fields and methods of types.
func exports(pkg *types.Package) map[string]export {
	all := map[string]export{}
	for _, name := range pkg.Scope().Names() {
		object := pkg.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		switch object := object.(type) {
		case *types.TypeName:
			all[name] = export{aType, types.Typ[types.Invalid]}
			if alias, ok := object.Type().(*types.Alias); ok {
				all[name] = export{aType, alias.Rhs()}
			}
			for method := range types.NewMethodSet(types.NewPointer(object.Type())).Methods() {
				if method.Obj().Exported() {
					all[name+"."+method.Obj().Name()] = export{aMethod, method.Obj().Type()}
				}
			}
			if fields, ok := object.Type().Underlying().(*types.Struct); ok {
				for field := range fields.Fields() {
					if field.Exported() {
						all[name+"."+field.Name()] = export{aValue, field.Type()}
					}
				}
			}
		case *types.Func:
			all[name] = export{aFunction, object.Type()}
		default:
			all[name] = export{aValue, object.Type()}
		}
	}
	return all
}

// unnameable returns the first type in typ that code of another module cannot write down.
func unnameable(typ types.Type) string {
	switch typ := typ.(type) {
	case *types.Alias:
		if isPublic(typ.Obj()) {
			return "" // that is the name
		}
		return unnameable(typ.Rhs())
	case *types.Named:
		if !isPublic(typ.Obj()) {
			return typ.Obj().Pkg().Path() + "." + typ.Obj().Name()
		}
		for argument := range typ.TypeArgs().Types() {
			if bad := unnameable(argument); bad != "" {
				return bad
			}
		}
	case *types.Signature:
		for _, tuple := range []*types.Tuple{typ.Params(), typ.Results()} {
			for variable := range tuple.Variables() {
				if bad := unnameable(variable.Type()); bad != "" {
					return bad
				}
			}
		}
	case *types.Map:
		if bad := unnameable(typ.Key()); bad != "" {
			return bad
		}
		return unnameable(typ.Elem())
	case interface{ Elem() types.Type }: // pointer, slice, array, channel
		return unnameable(typ.Elem())
	case *types.Struct:
		for field := range typ.Fields() {
			if bad := unnameable(field.Type()); bad != "" {
				return bad
			}
		}
	}
	return ""
}

func isPublic(name *types.TypeName) bool {
	return name.Pkg() == nil || name.Exported() && !strings.Contains("/"+name.Pkg().Path()+"/", "/internal/")
}

// returned reports whether a function or method of the package returns the type, or a field
// or constant has it, so that examples use it without its name.
func returned(pkg *types.Package, name string) bool {
	want := pkg.Scope().Lookup(name).Type()
	for other, e := range exports(pkg) {
		if strings.HasPrefix(other, name+".") {
			continue
		}
		results := types.NewTuple(types.NewVar(token.NoPos, nil, "", e.typ))
		if signature, ok := e.typ.(*types.Signature); ok {
			results = signature.Results()
		}
		for result := range results.Variables() {
			if mentions(result.Type(), want) {
				return true
			}
		}
	}
	return false
}

func mentions(typ, want types.Type) bool {
	if types.Identical(typ, want) {
		return true
	}
	elem, ok := typ.(interface{ Elem() types.Type })
	return ok && mentions(elem.Elem(), want)
}

// shown returns what the examples of a package name: with the package's name before it, and
// as a method.
func shown(t *testing.T, name string) (functions, methods map[string]bool) {
	t.Helper()
	functions, methods = map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob(filepath.Join(name, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(function.Name.Name, "Example") {
				continue
			}
			ast.Inspect(function.Body, func(node ast.Node) bool {
				if selector, ok := node.(*ast.SelectorExpr); ok {
					methods[selector.Sel.Name] = true
					if of, ok := selector.X.(*ast.Ident); ok && of.Name == name {
						functions[selector.Sel.Name] = true
					}
				}
				return true
			})
			of, method, _ := strings.Cut(strings.TrimPrefix(function.Name.Name, "Example"), "_")
			functions[of], methods[method] = true, true
		}
	}
	return functions, methods
}
