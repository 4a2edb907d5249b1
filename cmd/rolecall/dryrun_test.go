package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// dryRunRows are further commands that change something.
func dryRunRows() []matrixRow {
	return []matrixRow{
		{command: "grant spare-client orders-server/Orders.Read"},
		{command: "revoke orders-client orders-server/Orders.Read"},
		{command: "revoke orders-client --tokens"},
		{command: "revoke dev@contoso.test --sessions"},
		{command: "admin create terraform"},
		{command: "keys rotate --force"},
	}
}

// Every command that changes something has a dry run, which says what would change, shows no
// secret, and leaves neither that nor an audit row nor a file.
func TestEveryChangeHasADryRun(t *testing.T) {
	t.Parallel()
	dir := newMatrixWorld(t, noon).dir
	run := func(args []string, stdin string) (int, string, string) {
		return invoked(t, noon.Add(48*time.Hour), dir, args, stdin)
	}
	trail := func() string {
		code, out, said := run([]string{"audit", "list", "--limit", "1", "-o", "json"}, "")
		if code != command.ExitOK {
			t.Fatal(said)
		}
		return out
	}
	for _, row := range slices.Concat(dryRunRows(), matrixRows()) {
		args := strings.Fields(row.command)
		if !strings.HasPrefix(row.command, "tenant ") {
			args = append(args, "--tenant", "contoso")
		}
		before := trail()
		code, out, said := run(append(slices.Clone(args), "--dry-run", "-o", "json"), row.stdin)
		if trail() != before {
			t.Errorf("%s: its dry run is in the audit trail", row.command)
		}
		hasDryRun := code != command.ExitUsage || !strings.Contains(said, "unknown flag: --dry-run")
		if hasDryRun {
			var told struct {
				DryRun  bool                   `json:"dryRun"`
				Changes []directory.ChangeNote `json:"changes"`
			}
			if err := json.Unmarshal([]byte(out), &told); err != nil || code != command.ExitOK || !told.DryRun || !strings.Contains(said, "dry run: nothing was changed") {
				t.Errorf("%s: exit code %d, %v, %s%s", row.command, code, err, out, said)
			}
			if newSecrets.MatchString(out + said) {
				t.Errorf("%s: a secret is shown", row.command)
			}
			if code, _, said := run(args, row.stdin); code != command.ExitOK {
				t.Fatalf("%s: exit code %d after the dry run: %s", row.command, code, said)
			}
			if changed := trail() != before; changed != (len(told.Changes) > 0) {
				t.Errorf("%s: changed something: %v; its dry run said %v", row.command, changed, told.Changes)
			}
			continue
		}
		if code, _, said := run(args, row.stdin); code != command.ExitOK {
			t.Fatalf("%s: exit code %d: %s", row.command, code, said)
		}
		if trail() != before {
			t.Errorf("%s: it changes something and has no --dry-run", row.command)
		}
	}
}

// A dry run in front of people is one line for each change.
func TestDryRunForPeople(t *testing.T) {
	t.Parallel()
	dir := newMatrixWorld(t, noon).dir
	file := filepath.Join(t.TempDir(), "secret")
	for _, tt := range []struct{ command, want string }{
		{"app create reports-client", "would create application reports-client\nwould create servicePrincipal reports-client: of the new application\n"},
		{"app create reports-client --registered-only", "would create application reports-client\n"},
		{"app credential add spare-client --display-name ci --file " + file, "would update application spare-client: secret added: ci\n"},
		{"grant orders-client orders-server/Orders.Read", ""},
	} {
		code, out, said := invoked(t, noon, dir, append(strings.Fields(tt.command), "--dry-run", "-o", "table", "--tenant", "contoso"), "")
		if code != command.ExitOK || out != tt.want || !strings.Contains(said, "dry run: nothing was changed") {
			t.Errorf("%s: exit code %d, %q, %q; want %q", tt.command, code, out, said, tt.want)
		}
	}
	if found, _ := filepath.Glob(file); len(found) > 0 {
		t.Error("a dry run made the file of a secret")
	}
}
