package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/remote"
)

// What a command prints on standard output.
type printed int

const (
	nothing printed = iota // messages say what was done
	one                    // an object
	list                   // a list, with something in it here
	noList                 // a list, with nothing in it here
)

// A matrixRow is one command of the matrix. The rows of a column run one after the other, on a
// directory of the column's own, so each finds what those before it have made.
type matrixRow struct {
	command string // without the program: "app show orders-server"
	prints  printed
	id      string // the member with the id; empty: "id"
	member  string // of the object that has the list; empty: it is the list
	stdin   string
	anyone  bool // some of its rows are of nobody in particular
	secret  bool // it shows a secret that is new
}

// matrixRows has each command that prints as lists do, in an order that makes sense.
func matrixRows() []matrixRow {
	return []matrixRow{
		{command: "app list", prints: list},
		{command: "app show orders-server", prints: one},
		{command: "app create reports-client --identifier-uris api://reports", prints: one},
		{command: "app update reports-client --display-name Reports", prints: one},
		{command: "app role list orders-server", prints: list},
		{command: "app role add orders-server Orders.Delete", prints: list},
		{command: "app role update orders-server Orders.Delete --description Delete", prints: list},
		{command: "app role disable orders-server Orders.Delete", prints: list},
		{command: "app role remove orders-server Orders.Delete", prints: list},
		{command: "app permission list orders-client", prints: list},
		{command: "app permission add spare-client orders-server/Orders.Read", prints: list},
		{command: "app permission consent spare-client", prints: list},
		{command: "app permission remove orders-client orders-server/Orders.Read", prints: noList},
		{command: "app credential list orders-client", prints: list, id: "keyId"},
		{command: "app credential add spare-client --display-name ci --expires 90d", prints: one, id: "keyId", secret: true},
		{command: "app credential reset spare-client --display-name ci", prints: one, id: "keyId", secret: true},
		{command: "app credential rotate spare-client --display-name next --wait 0s", prints: one, id: "keyId", secret: true},
		{command: "app credential remove spare-client ci"},
		{command: "app federated-credential list orders-client", prints: list},
		{command: "app federated-credential create spare-client --name ci --issuer https://issuer.test --subject repo:spare", prints: one},
		{command: "app federated-credential delete spare-client ci"},
		{command: "app owner list orders-server", prints: list},
		{command: "app owner add orders-server nightly", prints: list},
		{command: "app owner remove orders-server nightly", prints: list},
		{command: "sp list --display-name o", prints: list},
		{command: "sp show orders-client", prints: one},
		{command: "sp create later-client", prints: one},
		{command: "sp update orders-server --app-role-assignment-required", prints: one},
		{command: "sp disable later-client", prints: one},
		{command: "sp enable later-client", prints: one},
		{command: "sp delete later-client"},
		{command: "user list", prints: list},
		{command: "user show dev@contoso.test", prints: one},
		{command: "user create ann@contoso.test --password-stdin", prints: one, stdin: "correct horse battery staple"},
		{command: "user update ann@contoso.test --display-name Ann", prints: one},
		{command: "user delete ann@contoso.test"},
		{command: "identity list", prints: list},
		{command: "identity show nightly", prints: one},
		{command: "identity create weekly --type user", prints: one},
		{command: "identity assign weekly agent", prints: one},
		{command: "identity unassign weekly agent", prints: one},
		{command: "identity delete weekly"},
		{command: "host list", prints: list},
		{command: "host show agent", prints: one},
		{command: "host create worker --listen 127.0.0.1:8461 --identity nightly", prints: one},
		{command: "host update worker --name worker.test", prints: one},
		{command: "host delete worker --yes"},
		{command: "tenant list", prints: list},
		{command: "tenant show contoso.test", prints: one},
		{command: "tenant create initech --domain initech.test", prints: one},
		{command: "tenant update initech --domain initech.example", prints: one},
		{command: "tenant delete initech"},
		{command: "assignment list --api orders-server", prints: list},
		{command: "report access", prints: list, id: "apiAppId", anyone: true},
		{command: "report open", prints: list},
		{command: "report unused --for 1d", prints: list, member: "unused"},
		{command: "app delete Reports"},
	}
}

// otherLists print as lists do and are no nouns; TestListingsAreStableForScripts has them.
var otherLists = []string{"apply", "audit list", "audit verify", "backup", "diff", "explain", "expiring", "guard check", "grant", "guard test", "keys list", "keys revoke", "keys rotate", "keys show", "restore", "revoke", "servers", "signins", "version"}

// A matrixFormat is a column of the matrix: how output is asked for, and what is held of it.
type matrixFormat struct {
	name  string
	args  []string
	check func(*matrixCell)
}

func matrixFormats() []matrixFormat {
	return []matrixFormat{
		{"json", []string{"-o", "json"}, (*matrixCell).checkJSON},
		{"yaml", []string{"-o", "yaml"}, (*matrixCell).checkYAML},
		{"tsv", []string{"-o", "tsv"}, (*matrixCell).checkTSV},
		{"name", []string{"-o", "name"}, (*matrixCell).checkName},
		{"table", []string{"-o", "table"}, (*matrixCell).checkTable},
		{"query", []string{"-o", "tsv", "--query"}, (*matrixCell).checkQuery},
	}
}

// A place is where the commands of a matrix work.
type place struct {
	name string
	// open returns how a command line works on a directory that no other column has. It begins as
	// rolecall.yaml of the matrix says, and none of the secrets may be seen.
	open func(t *testing.T) (run func(args []string, stdin string) (code int, out, said string), secrets []string)
	only func(matrixRow) bool // the rows that can work there; nil: all
	kept func(string) string  // what of a text scripts find in every place the same; nil: all
}

func matrixPlaces(t *testing.T) []place {
	world := newMatrixWorld(t, noon)
	return []place{{name: "local", open: func(t *testing.T) (func([]string, string) (int, string, string), []string) {
		dir := copied(t, world.dir)
		return func(args []string, stdin string) (int, string, string) {
			return invoked(t, noon.Add(48*time.Hour), dir, args, stdin)
		}, world.secrets
	}}, remotePlace(t)}
}

// A matrixWorld is a folder with the directory of the matrix, and the secrets in it.
type matrixWorld struct {
	dir     string
	secrets []string
	// Who can sign in from elsewhere: one who may do everything, and one who may do nothing.
	admin, weak remote.Login
}

// newMatrixWorld makes the directory of the matrix, as of a time.
func newMatrixWorld(t *testing.T, at time.Time) *matrixWorld {
	t.Helper()
	w := &matrixWorld{dir: filepath.Join(t.TempDir(), "data")}
	code, out, said := invoked(t, at, w.dir, []string{"apply", "-f", filepath.Join("testdata", "matrix", "rolecall.yaml"), "-o", "json"}, "")
	var applied struct {
		Secrets []struct{ Application, AppID, Value string }
	}
	if code != command.ExitOK || json.Unmarshal([]byte(out), &applied) != nil {
		t.Fatalf("apply: exit code %d, %s", code, said)
	}
	for _, secret := range applied.Secrets {
		w.secrets = append(w.secrets, secret.Value)
		switch login := (remote.Login{ClientID: secret.AppID, Secret: secret.Value}); secret.Application {
		case "administrator":
			w.admin = login
		case "weak-client":
			w.weak = login
		}
	}
	if w.weak.Secret == "" || w.admin.Secret == "" {
		t.Fatal("nobody can sign in from elsewhere")
	}
	return w
}

// newSecrets finds secrets that a directory has made.
var newSecrets = regexp.MustCompile(`rc_[\w-]{40,}`)

// copied is a copy of a data folder that nobody uses.
func copied(t *testing.T, world string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(dir, os.DirFS(world)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		mode := fs.FileMode(0o600)
		if err == nil && entry.IsDir() {
			mode = 0o700
		}
		return errors.Join(err, os.Chmod(path, mode))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// invoked runs one command line on a folder, at a time.
func invoked(t *testing.T, at time.Time, dir string, args []string, stdin string) (code int, out, said string) {
	t.Helper()
	return invokedIn(t, noEnvironment(t), func() time.Time { return at }, append(slices.Clone(args), "--data", dir), stdin)
}

// invokedIn runs one command line in an environment.
func invokedIn(t *testing.T, env func(string) (string, bool), now func() time.Time, args []string, stdin string) (code int, out, said string) {
	t.Helper()
	var data, messages bytes.Buffer
	c := testCLI(streamsOf(env, strings.NewReader(stdin), &data, &messages))
	c.Now = now
	code = c.run(t.Context(), args)
	return code, data.String(), messages.String()
}

// A matrixCell is what one command said, asked for one format.
type matrixCell struct {
	*testing.T
	row       matrixRow
	out, said string
	elements  []map[string]any // of what it printed as JSON
}

// Every command that lists or shows things prints them in every format: data alone on standard
// output, well-formed, with the ids, the same in all formats, and no secret but a new one.
func TestEveryVerbPrintsEveryFormat(t *testing.T) {
	t.Parallel()
	everyVerbHasARow(t)
	for _, where := range matrixPlaces(t) {
		t.Run(where.name, func(t *testing.T) {
			t.Parallel()
			var asJSON = make(chan []matrixCell, 1)
			for _, format := range matrixFormats() {
				t.Run(format.name, func(t *testing.T) {
					t.Parallel()
					run, secrets := where.open(t)
					cells := matrixColumn(t, where, format, run, secrets)
					switch format.name {
					case "json", "yaml":
						select {
						case asJSON <- cells:
						default:
							sameElements(t, where, <-asJSON, cells)
						}
					}
					if format.name == "json" || format.name == "tsv" {
						keptForScripts(t, where, format.name, cells)
					}
				})
			}
		})
	}
}

// everyVerbHasARow holds the rows to the tree of commands.
func everyVerbHasARow(t *testing.T) {
	t.Helper()
	missing := map[string]bool{}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			walk(below)
		}
		f := cmd.Flags().Lookup("output")
		if f == nil || cmd.HasSubCommands() {
			return
		}
		if format, ok := f.Value.(*output.Format); ok && slices.Contains(format.Offered, "name") {
			missing[strings.TrimPrefix(cmd.CommandPath(), "rolecall ")] = true
		}
	}
	walk(newCLI(streamsOf(noEnvironment(t), nil, io.Discard, io.Discard)).root())
	has := func(name string) {
		if !missing[name] {
			t.Errorf("the matrix has a row of %q, which is no such command or has two rows", name)
		}
		delete(missing, name)
	}
	for _, name := range otherLists {
		has(name)
	}
	for _, row := range matrixRows() {
		has(row.path())
	}
	for name := range missing {
		t.Errorf("%q has no row in the matrix", name)
	}
}

// path is the command without arguments and flags.
func (r matrixRow) path() string {
	words := strings.Fields(r.command)
	n := 2
	if slices.Contains([]string{"role", "permission", "credential", "federated-credential", "owner"}, words[1]) {
		n = 3
	}
	return strings.Join(words[:n], " ")
}

// matrixColumn runs all rows in one format.
func matrixColumn(t *testing.T, where place, format matrixFormat, run func([]string, string) (int, string, string), secrets []string) (cells []matrixCell) {
	for _, row := range matrixRows() {
		if where.only != nil && !where.only(row) {
			continue
		}
		t.Run(row.path(), func(t *testing.T) {
			args := slices.Concat(strings.Fields(row.command), format.args)
			if format.name == "query" {
				args = append(args, row.query())
			}
			if !strings.HasPrefix(row.command, "tenant ") {
				args = append(args, "--tenant", "contoso")
			}
			code, out, said := run(args, row.stdin)
			cell := matrixCell{T: t, row: row, out: out, said: said}
			if code != command.ExitOK {
				t.Fatalf("exit code %d: %s", code, said)
			}
			cell.checkSecrets(format.name, secrets)
			if made := newSecrets.FindAllString(out, -1); row.secret {
				secrets = append(slices.Clone(secrets), made...)
			}
			switch {
			case row.prints == nothing:
				if out != "" || said == "" {
					t.Errorf("printed %q and said %q, want a message alone", out, said)
				}
			case row.prints != noList || format.name == "json" || format.name == "yaml":
				format.check(&cell)
			case out != "":
				t.Errorf("printed %q for an empty list", out)
			}
			cells = append(cells, cell)
		})
	}
	return cells
}

// query chooses the ids.
func (r matrixRow) query() string {
	of := "@"
	if r.member != "" {
		of = r.member
	}
	return "[" + of + "][]." + r.idMember() + " | []"
}

func (r matrixRow) idMember() string {
	if r.id == "" {
		return "id"
	}
	return r.id
}

// checkSecrets looks for secrets, old and new, and for tokens.
func (c *matrixCell) checkSecrets(format string, old []string) {
	c.Helper()
	everything := c.out + c.said
	for _, secret := range append(slices.Clone(old), "eyJ") {
		if strings.Contains(everything, secret) {
			c.Errorf("it shows a secret that is not new")
		}
	}
	if c.row.stdin != "" && strings.Contains(everything, c.row.stdin) {
		c.Errorf("it shows the password")
	}
	made := newSecrets.FindAllString(everything, -1)
	shown := c.row.secret && format != "name" && format != "query" // which print ids here
	if len(made) > 1 || (len(made) == 1) != shown {
		c.Errorf("it shows %d new secrets", len(made))
	}
}

// checkJSON reads one value of JSON and nothing more.
func (c *matrixCell) checkJSON() {
	c.Helper()
	d := json.NewDecoder(strings.NewReader(c.out))
	var value any
	if err := d.Decode(&value); err != nil {
		c.Fatalf("%v in %s", err, c.out)
	}
	if rest, err := io.ReadAll(d.Buffered()); err != nil || string(rest) != "\n" || !strings.HasSuffix(c.out, "\n") {
		c.Errorf("after the value: %q, %v", rest, err)
	}
	c.checkValue(value)
}

// checkYAML reads one document of YAML, in block style.
func (c *matrixCell) checkYAML() {
	c.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(c.out), &value); err != nil {
		c.Fatalf("%v in %s", err, c.out)
	}
	b, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(b, &value) // numbers as JSON has them
	}
	if err != nil {
		c.Fatal(err)
	}
	c.checkValue(value)
}

// checkValue holds a value to what the row prints: an object, or a list of them, each with an id.
func (c *matrixCell) checkValue(value any) {
	c.Helper()
	if c.row.member != "" {
		whole, _ := value.(map[string]any)
		value = whole[c.row.member]
	}
	elements, isList := value.([]any)
	if want := c.row.prints != one; isList != want {
		c.Fatalf("a list: %t, want %t: %s", isList, want, c.out)
	}
	if !isList {
		elements = []any{value}
	}
	if (len(elements) == 0) != (c.row.prints == noList) {
		c.Errorf("there are %d elements", len(elements))
	}
	for _, each := range elements {
		object, ok := each.(map[string]any)
		if id, _ := object[c.row.idMember()].(string); !ok || !isGUID.MatchString(id) {
			c.Errorf("%q is no id: %v", id, each)
		}
		c.elements = append(c.elements, object)
	}
}

var (
	isGUID  = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	anyGUID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
)

// lines are what was printed, without an end that is missing.
func (c *matrixCell) lines() []string {
	c.Helper()
	if !strings.HasSuffix(c.out, "\n") {
		c.Errorf("the last line has no end: %q", c.out)
	}
	return strings.Split(strings.TrimSuffix(c.out, "\n"), "\n")
}

// checkTSV holds rows to one number of columns, an id among them, and no header.
func (c *matrixCell) checkTSV() {
	c.Helper()
	lines := c.lines()
	if c.row.prints == one && len(lines) != 1 {
		c.Errorf("%d rows of one thing", len(lines))
	}
	for _, line := range lines {
		if strings.Count(line, "\t") != strings.Count(lines[0], "\t") {
			c.Errorf("rows of different length: %q, %q", lines[0], line)
		}
		if !slices.ContainsFunc(strings.Split(line, "\t"), isGUID.MatchString) && !c.row.anyone {
			c.Errorf("no id in %q", line)
		}
	}
}

// checkName holds each line to one name.
func (c *matrixCell) checkName() {
	c.Helper()
	lines := c.lines()
	if c.row.prints == one && len(lines) != 1 {
		c.Errorf("%d names of one thing", len(lines))
	}
	for _, line := range lines {
		if strings.TrimSpace(line) == "" || strings.Contains(line, "\t") {
			c.Errorf("%q is no name", line)
		}
	}
}

// checkTable holds a table to 80 columns. Ids that it has no room for, it says.
func (c *matrixCell) checkTable() {
	c.Helper()
	lines := c.lines()
	header := lines[0]
	if c.row.secret { // which is too long for a table, so there is a line for each column
		header = strings.ToUpper(strings.Join(lines, " "))
	} else if header != strings.ToUpper(header) || len(lines) < 2 {
		c.Fatalf("no table:\n%s", c.out)
	}
	for _, line := range lines {
		if utf8.RuneCountInString(line) > 80 {
			c.Errorf("more than 80 columns: %s", line)
		}
	}
	if !regexp.MustCompile(`\bID\b`).MatchString(header) && !regexp.MustCompile(`left out: .*\bid\b`).MatchString(c.said) {
		c.Errorf("neither an id nor a word of it:\n%s%s", c.out, c.said)
	}
}

// checkQuery holds each line to an id, which is what the query chooses.
func (c *matrixCell) checkQuery() {
	c.Helper()
	for _, line := range c.lines() {
		if !isGUID.MatchString(line) {
			c.Errorf("the query for ids found %q", line)
		}
	}
}

// sameElements compares what two columns printed.
func sameElements(t *testing.T, where place, some, others []matrixCell) {
	t.Helper()
	for i, cell := range some {
		a, b := []any{}, []any{}
		for _, each := range cell.elements {
			a = append(a, regular(t, where, each))
		}
		for _, each := range others[i].elements {
			b = append(b, regular(t, where, each))
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: as JSON and as YAML\n%v\n%v", cell.row.command, a, b)
		}
	}
}

// regular is a value without what is new each time.
func regular(t *testing.T, where place, value any) (as any) {
	t.Helper()
	b, err := json.Marshal(value)
	if err == nil {
		text := withoutNews(string(b))
		if where.kept != nil {
			text = where.kept(text)
		}
		err = json.Unmarshal([]byte(text), &as)
	}
	if err != nil {
		t.Fatal(err)
	}
	return as
}

// withoutNews is a text without the ids and secrets that are new each time: those that the
// directory of the matrix begins with are regular.
func withoutNews(text string) string {
	text = anyGUID.ReplaceAllStringFunc(text, func(id string) string {
		if strings.Contains(id, "-5a5a-4c4c-8d8d-") || strings.HasSuffix(id, "-0a4e-4b8e-9c61-2d5e8f0a1b11") || strings.HasPrefix(id, "00000") {
			return id
		}
		return "(new)"
	})
	text = regexp.MustCompile(`"hint":"[^"]{3}"|"hint": "[^"]{3}"`).ReplaceAllString(text, `"hint": "(new)"`)
	return newSecrets.ReplaceAllString(text, "(secret)")
}

// keptForScripts compares a column with its golden files, one for each noun.
func keptForScripts(t *testing.T, where place, format string, cells []matrixCell) {
	t.Helper()
	nouns := map[string]string{}
	for _, cell := range cells {
		noun, _, _ := strings.Cut(cell.row.command, " ")
		nouns[noun] += fmt.Sprintf("$ rolecall %s\n%s\n", cell.row.command, withoutNews(cell.out))
	}
	if where.kept != nil {
		sameElsewhere(t, where, format, cells)
		return
	}
	for noun, got := range nouns {
		file := filepath.Join("testdata", "matrix", noun+"."+format)
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		} else if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s\nIf that is meant: UPDATE=1 go test ./cmd/rolecall -run %s", file, got, want, "TestEveryVerbPrintsEveryFormat")
		}
	}
}

// sameElsewhere compares what a place prints, as far as that is the same everywhere, with the
// golden files of the first place.
func sameElsewhere(t *testing.T, where place, format string, cells []matrixCell) {
	t.Helper()
	for _, cell := range cells {
		noun, _, _ := strings.Cut(cell.row.command, " ")
		golden, err := os.ReadFile(filepath.Join("testdata", "matrix", noun+"."+format))
		if err != nil {
			t.Fatal(err)
		}
		_, want, _ := strings.Cut("\n"+string(golden), "\n$ rolecall "+cell.row.command+"\n")
		want, _, _ = strings.Cut(want, "\n$ rolecall ")
		if got := where.kept(withoutNews(cell.out)); strings.TrimSpace(got) != strings.TrimSpace(where.kept(want)) {
			t.Errorf("%s prints there\n%s\nand here\n%s", cell.row.command, got, where.kept(want))
		}
	}
}
