package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// A dangerRow is a change that somebody would notice.
type dangerRow struct {
	command string // without the program; {key} is the key that signs
	before  string // what is done first; empty: nothing
	affects string // whom it is said to affect
}

// dangerRows has a row of each command in the table of docs/commands.md.
func dangerRows() []dangerRow {
	const client, nightly = `orders-client itself, which got a token at 2026-11-22`, `its programs, which act as nightly \(last used at 2026-11-22`
	const holder = `orders-client, which holds Orders.Read \(last used at 2026-11-22`
	const held = `orders-client, which holds it since .* \(last used at 2026-11-22`
	return []dangerRow{
		{"app credential remove orders-client ci", "", `orders-client, which signed in with "ci" at 2026-11-22`},
		{"app credential reset orders-client", "", `orders-client, which signed in with "ci" at 2026-11-22`},
		{"app federated-credential delete orders-client builds", "", `orders-client, which signed in with "builds" at 2026-11-22`},
		{"app delete orders-server", "", holder},
		{"app delete orders-client", "", client},
		{"app role disable orders-server Orders.Read", "", held},
		{"app role update orders-server Orders.Read --enabled=false", "", held},
		{"app role remove orders-server Orders.Read", "app role disable orders-server Orders.Read --yes", held},
		{"app owner remove orders-server dev@contoso.test", "", `administrators alone can manage then`},
		{"sp disable orders-client", "", client},
		{"sp delete orders-server", "", holder},
		{"sp delete administrator", "", `the tenant contoso, whose last administrator it is`},
		{"sp update open-server --app-role-assignment-required", "", `spare-client, which holds no role of it \(last used at 2026-11-22`},
		{"user delete dev@contoso.test", "", `dev@contoso.test, who signed in at 2026-11-22`},
		{"user update dev@contoso.test --account-enabled=false", "", `dev@contoso.test, who signed in at 2026-11-22`},
		{"user delete boss@contoso.test", "admin create --user boss@contoso.test", `what the user does as Global Administrator`},
		{"identity delete nightly", "", `the programs of the host agent; nightly itself, which got a token at 2026-11-22`},
		{"identity unassign nightly agent", "", `the programs of the host agent, which act as nightly \(last used at 2026-11-22`},
		{"host update agent --identity spare", "", nightly},
		{"host delete agent", "", nightly},
		{"tenant update contoso --enabled=false", "", `orders-client, which may call orders-server \(last used at 2026-11-22`},
		{"tenant delete contoso", "", `orders-client, which may call orders-server`},
		{"keys revoke {key} --reason lost", "", `orders-client, which got a token at 2026-11-22`},
		{"revoke administrator https://graph.microsoft.com/AppRoleAssignment.ReadWrite.All", "", `the tenant contoso, whose last administrator it is`},
	}
}

// A change that somebody would notice is refused, names who and since when, and changes nothing;
// a dry run says the same, and --yes does it. The documentation has a row of each such command.
func TestDangerousChangesAreHard(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(content), "| command | affects |")
	table, _, _ = strings.Cut(table, "\n\n")
	world := newMatrixWorld(t, noon).dir
	key := usedLately(t, world)
	told := map[string]bool{}
	for _, row := range dangerRows() {
		words := strings.Fields(row.command)
		n := slices.IndexFunc(words, func(w string) bool {
			return strings.ContainsAny(w, "-{") && w != "federated-credential" || w == "dev@contoso.test" || w == "nightly" || w == "agent" || w == "contoso" || w == "administrator" || w == "boss@contoso.test"
		})
		name := strings.Join(words[:n], " ")
		told[name] = true
		if !strings.Contains(table, "`"+name) {
			t.Errorf("docs/commands.md does not tell of %q", name)
		}
		t.Run(row.command, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, world)
			run := func(line string, more ...string) (int, string, string) {
				args := append(strings.Fields(strings.ReplaceAll(line, "{key}", key)), more...)
				if !strings.HasPrefix(line, "tenant ") {
					args = append(args, "--tenant", "contoso")
				}
				return invoked(t, noon, dir, args, "")
			}
			if row.before != "" {
				if code, _, said := run(row.before); code != command.ExitOK {
					t.Fatalf("%s: exit code %d: %s", row.before, code, said)
				}
			}
			trail := func() string {
				_, out, _ := invoked(t, noon, dir, []string{"audit", "list", "--limit", "1", "-o", "json"}, "")
				return out
			}
			before := trail()
			affects := regexp.MustCompile(row.affects)
			if code, out, said := run(row.command); code != command.ExitRefused || out != "" || !affects.MatchString(said) || !strings.Contains(said, "add --yes") {
				t.Errorf("without --yes: exit code %d, %s%s", code, out, said)
			}
			if code, out, said := run(row.command, "--dry-run", "-o", "json"); code != command.ExitOK || !affects.MatchString(said) || !strings.Contains(out, `"affected"`) {
				t.Errorf("a dry run: exit code %d, %s%s", code, out, said)
			}
			if trail() != before {
				t.Error("something changed")
			}
			if code, _, said := run(row.command, "--yes"); code != command.ExitOK || trail() == before {
				t.Errorf("with --yes: exit code %d, %s", code, said)
			}
		})
	}
	for _, one := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllStringSubmatch(table, -1) {
		for _, quoted := range regexp.MustCompile("`([a-z][a-z -]*[a-z])").FindAllStringSubmatch(one[1], -1) {
			name, _, _ := strings.Cut(quoted[1], " --")
			if !told[name] {
				t.Errorf("docs/commands.md tells of %q, which no row tries", name)
			}
		}
	}
}

// usedLately lets those of the matrix have got tokens the day before, and returns the key that
// signs.
func usedLately(t *testing.T, dir string) (key string) {
	t.Helper()
	c := testCLI(streamsOf(noEnvironment(t), nil, io.Discard, io.Discard))
	c.Dir, c.Now = dir, func() time.Time { return noon }
	data, err := c.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := data.Close(); err != nil {
			t.Error(err)
		}
	}()
	tenant, err := data.Directory.View(t.Context()).Tenants().Find("contoso")
	if err != nil {
		t.Fatal(err)
	}
	app := func(name string) *directory.Application {
		found, err := data.Directory.View(t.Context()).Applications().Find(tenant.ID, name)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	client, spare := app("orders-client"), app("spare-client")
	row := func(id directory.AppID, name, credential, resource, user string, roles ...string) directory.SignIn {
		return directory.SignIn{
			Time: noon.Add(-23 * time.Hour), Tenant: tenant.ID, AppID: id, Name: name, CredentialID: credential, Resource: resource, User: user, Roles: roles,
		}
	}
	err = data.Directory.AddSignIns(t.Context(), []directory.SignIn{
		row(client.AppID, client.Name, client.Secrets[0].ID, "api://orders", "", "Orders.Read"),
		row(client.AppID, client.Name, client.Federated[0].ID, "api://orders", "", "Orders.Read"),
		row(spare.AppID, spare.Name, "", "api://open", ""),
		row("a9100000-5a5a-4c4c-8d8d-0000000000a1", "nightly", "", "api://orders", "", "Orders.Read"),
		row(spare.AppID, spare.Name, "", "api://orders", "dev@contoso.test"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := data.Keys.Ensure(t.Context(), string(tenant.ID)); err != nil {
		t.Fatal(err)
	}
	keys, err := data.Keys.List(t.Context(), string(tenant.ID))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.State == keyring.Current {
			key = k.ID
		}
	}
	return key
}
