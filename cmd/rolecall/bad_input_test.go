package main

import (
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A badInput is a command line that cannot be, on the directory of the matrix.
type badInput struct {
	name string
	args []string
	code int
	what string // part of what is said
	hint string // part of the next step
}

const (
	noID      = "99999999-5a5a-4c4c-8d8d-000000000001" // of nothing
	foreignID = "a9100000-5a5a-4c4c-8d8d-0000000000f1" // of an application of the other tenant
	twins     = "a9100000-5a5a-4c4c-8d8d-000000000005, a9100000-5a5a-4c4c-8d8d-000000000006"
)

func badInputs() []badInput {
	long := strings.Repeat("x", 5000)
	words := strings.Fields
	return []badInput{
		// Names that look like ids, and ids of others.
		{"an application named like an id", words("app create " + noID), command.ExitUsage, "looks like an id", "name"},
		{"an application renamed like an id", words("app update orders-client --display-name " + noID), command.ExitUsage, "looks like an id", "name"},
		{"an identity named like an id", words("identity create " + noID), command.ExitUsage, "looks like an id", "name"},
		{"a host named like an id", words("host create " + noID + " --listen 127.0.0.1:8470"), command.ExitUsage, "looks like an id", "name"},
		{"a tenant named like an id", words("tenant create " + noID), command.ExitUsage, "looks like an id", "name"},
		{"an id of nothing", words("app show " + noID), command.ExitNotFound, noID, "app id"},
		{"an app id of another tenant", words("app show " + foreignID), command.ExitNotFound, "in the tenant contoso", "app id"},
		{"an object id of another tenant", words("app delete 0a900000-5a5a-4c4c-8d8d-0000000000f1 --yes"), command.ExitNotFound, "in the tenant contoso", "object id"},
		{"a service principal of another tenant", words("sp delete 0b1ec700-5a5a-4c4c-8d8d-0000000000f1 --yes"), command.ExitNotFound, "no service principal", ""},
		{"a client of another tenant", words("grant " + foreignID + " orders-server/Orders.Read"), command.ExitNotFound, foreignID, ""},
		// Twins of one display name.
		{"a twin", words("app show Twin"), command.ExitUsage, twins, "give the id"},
		{"a twin to delete", words("app delete Twin --yes"), command.ExitUsage, twins, "give the id"},
		{"a twin's service principal", words("sp disable Twin"), command.ExitUsage, twins, "give the id"},
		{"a twin to own something", words("app owner add orders-server Twin"), command.ExitUsage, twins, "give the id"},
		{"a twin to grant to", words("grant Twin orders-server/Orders.Read"), command.ExitUsage, twins, "give the id"},
		// No name.
		{"an empty name to delete", []string{"app", "delete", "", "--yes"}, command.ExitUsage, "the first argument is empty", "--help"},
		{"an empty name to show", []string{"sp", "show", " "}, command.ExitUsage, "the first argument is empty", "--help"},
		{"an empty name to create", []string{"app", "create", ""}, command.ExitUsage, "the first argument is empty", "--help"},
		{"an empty role", []string{"app", "role", "add", "orders-server", ""}, command.ExitUsage, "the second argument is empty", "--help"},
		{"an empty display name", []string{"app", "update", "orders-client", "--display-name", ""}, command.ExitUsage, "displayName", ""},
		{"an empty display name of a user", []string{"user", "update", "dev@contoso.test", "--display-name", ""}, command.ExitUsage, "displayName", ""},
		{"no name", words("app show"), command.ExitUsage, "there are 0 arguments", "--help"},
		{"two names", words("app show orders-client orders-server"), command.ExitUsage, "there are 2 arguments", "--help"},
		// Names that cannot be.
		{"control characters in a name", []string{"app", "create", "a\x1b[31mb"}, command.ExitUsage, "control or invisible", "visible characters"},
		{"a tab in a name", []string{"identity", "create", "tab\there"}, command.ExitUsage, "control or invisible", "visible characters"},
		{"control characters in what is looked for", []string{"app", "show", "\x1b[31m"}, command.ExitNotFound, "no application", ""},
		{"a long name", []string{"app", "create", long}, command.ExitUsage, "120 characters", ""},
		{"a long name of an identity", []string{"identity", "create", long}, command.ExitUsage, "120 characters", "Shorten"},
		{"a long name that is looked for", []string{"sp", "show", long}, command.ExitNotFound, "no service principal", ""},
		{"a long role that is looked for", []string{"app", "role", "disable", "orders-server", long}, command.ExitNotFound, "no app role", ""},
		{"a name that is taken", words("app create orders-server"), command.ExitFailed, "a9100000-5a5a-4c4c-8d8d-000000000001", "another name"},
		{"an identity's name that is taken", words("identity create nightly"), command.ExitFailed, "already", "another name"},
		{"a tenant's name that is taken", words("tenant create contoso"), command.ExitFailed, "contoso", "another name"},
		// Unknown names with near ones.
		{"an application with a slip", words("app show orders-cleint"), command.ExitNotFound, "orders-cleint", "Did you mean orders-client?"},
		{"a service principal with a slip", words("sp show orders-cleint"), command.ExitNotFound, "no service principal", "Did you mean orders-client?"},
		{"a user with a slip", words("user show dve@contoso.test"), command.ExitNotFound, "no user", "Did you mean dev@contoso.test?"},
		{"an identity with a slip", words("identity show nighty"), command.ExitNotFound, "no managed identity", "Did you mean nightly?"},
		{"a host with a slip", words("host show agnet"), command.ExitNotFound, "no host", "Did you mean agent?"},
		{"a tenant with a slip", words("tenant show contsoo"), command.ExitNotFound, "no tenant", "Did you mean contoso?"},
		{"a host for an identity with a slip", words("identity assign nightly agnet"), command.ExitNotFound, "no host", "Did you mean agent?"},
		{"an app role with a slip", words("app role update orders-server Orders.Raed --description x"), command.ExitNotFound, "no app role", "Did you mean Orders.Read?"},
		{"a credential with a slip", words("app credential remove orders-client cii"), command.ExitNotFound, "no credential", "Did you mean ci?"},
		{"a federated credential with a slip", words("app federated-credential delete orders-client bulids"), command.ExitNotFound, "no federated credential", "Did you mean builds?"},
		{"a permission with a slip", words("app permission add spare-client orders-server/Orders.Raed"), command.ExitNotFound, "no app role", "`rolecall app permission add spare-client orders-server/Orders.Read`"},
		{"a scope with a slip", words("app permission add spare-client orders-server/Orders.Lits --delegated"), command.ExitNotFound, "it has Orders.List", "Did you mean Orders.List?"},
		{"a good permission before a bad one", words("app permission add spare-client orders-server/Orders.Read orders-server/Nope"), command.ExitNotFound, "no app role", "app role add"},
		{"an API with a slip", words("app permission add spare-client orders-sevrer/Orders.Read"), command.ExitNotFound, "name of no API", "orders-server/Orders.Read"},
		{"a permission without an API", words("app permission add spare-client Orders.Read"), command.ExitUsage, "names no API and role", "orders-server/Orders.Read"},
		{"a verb with a slip", words("app role lsit"), command.ExitUsage, "unknown command", "`rolecall app role list`"},
		{"a tenant that is not there", words("app list --tenant contsoo"), command.ExitNotFound, "no tenant", "Did you mean contoso?"},
		// A verb on the wrong kind.
		{"an application verb on an identity", words("app show nightly"), command.ExitNotFound, "nightly is a managed identity, and no application", "rolecall identity"},
		{"a credential of an identity", words("app credential add nightly"), command.ExitNotFound, "nightly is a managed identity, and no application", "rolecall identity"},
		{"an application verb on a user", words("app delete dev@contoso.test"), command.ExitNotFound, "dev@contoso.test is a user, and no application", "rolecall user"},
		{"a user verb on an application", words("user delete orders-client"), command.ExitNotFound, "orders-client is a service principal, and no user", "rolecall sp"},
		{"a service principal verb on a user", words("sp disable dev@contoso.test"), command.ExitNotFound, "dev@contoso.test is a user, and no service principal", "rolecall user"},
		{"an identity verb on an application", words("identity delete orders-client"), command.ExitNotFound, "orders-client is an application, and no managed identity", "rolecall app"},
		{"a service principal of what has none", words("sp enable later-client"), command.ExitFailed, "has no service principal", "rolecall sp create"},
		{"what has one already", words("sp create orders-client"), command.ExitFailed, "orders-client has a service principal already", "rolecall sp show"},
		// Filters, queries and formats.
		{"a filter of words", words("app list --filter garbage"), command.ExitUsage, "Invalid $filter", ""},
		{"a filter without an end", []string{"user", "list", "--filter", "displayName eq 'x"}, command.ExitUsage, "Invalid $filter", ""},
		{"a filter of an unknown member", []string{"sp", "list", "--filter", "colour eq 1"}, command.ExitUsage, "'colour'", ""},
		{"a filter beside a prefix", []string{"identity", "list", "--display-name", "n", "--filter", ")("}, command.ExitUsage, "Invalid $filter", ""},
		{"a query of half", words("app list --query [?"), command.ExitUsage, "--query", "--help"},
		{"an empty query", []string{"app", "list", "--query", ""}, command.ExitUsage, "the expression is empty", "--help"},
		{"a query of an unknown function, for a change", words("app create reports --query nothing(@)"), command.ExitUsage, `no function "nothing"`, "--help"},
		{"a query beside names", words("app list -o name --query [].id"), command.ExitUsage, "-o tsv", "--help"},
		{"an unknown format", words("app list -o xml"), command.ExitUsage, "there are table, json, yaml, tsv, name", "--help"},
		{"an unknown flag", words("app list --colour"), command.ExitUsage, "--colour", "--help"},
		// Values.
		{"a role with a blank", []string{"app", "role", "add", "orders-server", "bad value"}, command.ExitUsage, "holds a space", "Write it as Orders.Read"},
		{"a role that is there", words("app role add orders-server Orders.Read"), command.ExitFailed, "occurs twice", "a value of its own"},
		{"a role of robots", words("app role add orders-server X --allowed-member-types Robots"), command.ExitUsage, "Robots", "Application, User"},
		{"a role that is enabled", words("app role remove orders-server Orders.Read"), command.ExitFailed, "is enabled", "rolecall app role disable orders-server Orders.Read"},
		{"a URI that is none", []string{"app", "create", "x", "--identifier-uris", "not a uri"}, command.ExitUsage, "not a uri", "api://orders"},
		{"a URI of another", words("app create x --identifier-uris api://orders"), command.ExitFailed, "belongs to another application", "Choose another"},
		{"a token version", words("app update orders-client --requested-access-token-version 3"), command.ExitUsage, "must be 1, 2", ""},
		{"a span that is none", words("app credential add orders-client --expires tomorrow"), command.ExitUsage, "--expires", "--help"},
		{"a file in no folder", words("app credential add orders-client --file /nowhere/secret"), command.ExitFailed, "/nowhere/secret", "a folder that is there"},
		{"a federated credential without anything", words("app federated-credential create orders-client"), command.ExitUsage, "--name, --issuer and --subject", "--help"},
		{"an issuer that is none", words("app federated-credential create orders-client --name x --issuer nothttps --subject y"), command.ExitUsage, "nothttps", "Write it exactly"},
		{"a federated credential that is there", words("app federated-credential create orders-client --name builds --issuer https://issuer.test --subject y"), command.ExitFailed, "already", "another name"},
		{"an owner that is none", words("app owner remove orders-server nightly --yes"), command.ExitNotFound, "nightly does not own orders-server", "rolecall app owner list orders-server"},
		{"an owner that is one", words("app owner add orders-server dev@contoso.test"), command.ExitFailed, "owns orders-server already", "rolecall app owner list orders-server"},
		{"a user without a password", words("user create ann@contoso.test"), command.ExitUsage, "--password-stdin", "--help"},
		{"a user of another domain", words("user create ann@elsewhere.test --password-stdin"), command.ExitUsage, "elsewhere.test", "domain"},
		{"a kind of identity", words("identity create x --type robot"), command.ExitUsage, "robot", "system or user"},
		{"an address that is none", words("host create h2 --listen nonsense"), command.ExitUsage, "nonsense", "127.0.0.1:8450"},
		{"an address of another host", words("host create h2 --listen 127.0.0.1:8460"), command.ExitFailed, "127.0.0.1:8460", "another port"},
		{"a platform", words("host create h2 --listen 127.0.0.1:8470 --via robot"), command.ExitUsage, "robot", "app-service"},
		{"a domain that is none", []string{"tenant", "create", "x", "--domain", "bad domain"}, command.ExitUsage, "bad domain", "contoso.test"},
		{"nothing to change of an application", words("app update orders-client"), command.ExitUsage, "say what to change", "--help"},
		{"nothing to change of a service principal", words("sp update orders-client"), command.ExitUsage, "say what to change", "--help"},
		{"nothing to change of a user", words("user update dev@contoso.test"), command.ExitUsage, "say what to change", "--help"},
		{"nothing to change of a tenant", words("tenant update contoso"), command.ExitUsage, "say what to change", "--help"},
		{"nothing to change of a host", words("host update agent"), command.ExitUsage, "say what to change", "--help"},
		// What others would notice.
		{"an API that others call", words("app delete orders-server"), command.ExitRefused, "nightly, which holds Orders.Read", "--yes"},
		{"the last owner", words("app owner remove orders-server dev@contoso.test"), command.ExitRefused, "the last owner", "--yes"},
		{"an identity that a host has", words("identity delete nightly"), command.ExitRefused, "agent", "--yes"},
		{"a tenant with something in it", words("tenant delete fabrikam"), command.ExitRefused, "fabrikam", "--yes"},
	}
}

// sequenceOf is how far the feed of changes of a folder has come.
func sequenceOf(t *testing.T, dir string) int64 {
	t.Helper()
	data, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir, NewKey: newTestKeys()})
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	at, err := data.Sequence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// What cannot be is refused with what it is, why and what to do, by the right exit code, and
// nothing of it is done.
func TestBadInputChangesNothing(t *testing.T) {
	t.Parallel()
	world := newMatrixWorld(t, noon).dir
	before := sequenceOf(t, world)
	for _, tt := range badInputs() {
		t.Run(tt.name, func(t *testing.T) {
			args := tt.args
			if args[0] != "tenant" && args[len(args)-1] != "lsit" && !strings.Contains(strings.Join(args, " "), "--tenant") {
				args = append(args, "--tenant", "contoso")
			}
			code, out, said := invoked(t, noon, world, args, "a password of many words")
			what, hint, hinted := strings.Cut(said, "\nhint: ")
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			switch {
			case out != "":
				t.Errorf("printed %q", out)
			case !strings.HasPrefix(what, "rolecall: ") || !strings.Contains(what, tt.what) || !strings.Contains(hint, tt.hint):
				t.Errorf("said %q, hint %q; want %q and %q", what, hint, tt.what, tt.hint)
			case !hinted && tt.hint != "", hinted && strings.Contains(what, strings.TrimSuffix(strings.TrimSpace(hint), ".")):
				t.Errorf("the hint says nothing more: %s", said)
			case len(said) > 1000 || text.CleanLines(said) != said:
				t.Errorf("%d characters, some of which no terminal should get: %.1000q", len(said), said)
			}
			if after := sequenceOf(t, world); after != before {
				t.Errorf("something was done: the feed is at %d, and was at %d", after, before)
				before = after
			}
		})
	}
}
