package main

import (
	"strings"

	"github.com/rolecall-auth/rolecall/internal/command"
)

// nameMisfits are those in which something goes by another name, in another tenant, or is gone.
func nameMisfits() []misfit {
	return []misfit{
		{
			name: "object id in place of the client id", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("client_id={object id of nightly}"),
			want: []string{"the client_id is the object id of nightly", "its client id is {id of nightly}: send that"},
			lead: bySetting,
		},
		{
			name: "object id of the registration in place of the client id", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("client_id={registration of nightly}"),
			want: []string{"the object id of nightly's registration", "its client id is {id of nightly}: send that"},
			lead: bySetting,
		},
		{
			name: "tenant's id in place of the client id", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("client_id={tenant id}"),
			want: []string{"the client_id is the id of the tenant {tenant}", "send the application's id as client_id"},
			lead: bySetting,
		},
		{
			name: "name in place of the client id", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("client_id=nightly"),
			want: []string{"the client_id is the name 'nightly', and must be an id", "The client id of nightly is {id of nightly}: send that"},
			lead: bySetting,
		},
		{
			name: "secret in the place of the client id", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("client_id={secret of nightly}"),
			want: []string{"The client_id is not a GUID", "Send the application's id as client_id"},
			not:  []string{"{secret of nightly}"},
			lead: bySetting,
		},
		{
			name: "client of another tenant", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { r.elsewhere() },
			ask:    nightlyAsks("client_id={id of elsewhere}"),
			want:   []string{"no application of the tenant {tenant} has the client id {id of elsewhere}", "It is the client id of elsewhere in the tenant {tenant}-other: use that tenant"},
			lead:   bySetting,
		},
		{
			name: "client that was deleted", yaml: nightlyAndGreeter + "  - name: gone\n    secrets: [{name: ci, generate: true}]\n",
			before: func(r *toldRow) { r.values["gone"] = r.values["id of gone"]; r.prune(nightlyAndGreeter) },
			ask:    nightlyAsks("client_id={gone}"),
			want:   []string{"It was that of gone, which was deleted at 20", "by cli:apply", "Register it again"},
			lead:   bySetting,
		},
		{
			name: "client that is switched off", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { r.apply("applications: [{name: nightly, enabled: false}]\n") },
			ask:    nightlyAsks(),
			want:   []string{"nightly is switched off", "It was switched off at 20", "by cli:apply", "Switch nightly on", "enabled: true"},
			lead:   byCommand,
		},
		{
			name: "API that is switched off", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { r.apply("applications: [{name: greeter, enabled: false}]\n") },
			ask:    nightlyAsks(),
			want:   []string{"greeter is switched off", "by cli:apply", "Switch greeter on"},
			lead:   byCommand,
		},
		{
			name: "tenant that is switched off", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { r.apply("enabled: false\n") },
			ask:    nightlyAsks(),
			want:   []string{"the tenant {tenant} is switched off", "by cli:apply", "Switch the tenant on"},
			lead:   byCommand,
		},
		{
			name: "managed identity that shows a secret", yaml: nightlyAndGreeter + "managedIdentities: [{name: batch, type: system}]\n",
			ask:  nightlyAsks("client_id={id of batch}"),
			want: []string{"batch is a managed identity, and has no credential to show", "rolecall run --as batch"},
			lead: byNothing,
		},
		{
			name: "scope with an object id", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("scope={object id of greeter}/.default"),
			want: []string{"the object id of greeter", "its client id is {id of greeter}"},
			lead: bySetting,
		},
		{
			name: "scope with the API's name", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("scope=api://greeeter/.default"),
			want: []string{"Did you mean api://greeter?", "scope=api://greeter/.default"},
			lead: bySetting,
		},
		{
			name: "scope with the name alone of an API that has another URI",
			yaml: strings.ReplaceAll(nightlyAndGreeter, "api://greeter", "api://salutations"),
			ask:  nightlyAsksThen([]string{"scope=api://greeter/.default"}, "scope=api://salutations/.default"),
			want: []string{"greeter is an application; clients ask for it by api://salutations: scope=api://salutations/.default"},
			lead: bySetting,
		},
		{
			name: "API of another tenant", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { r.elsewhere() },
			ask:    nightlyAsks("scope=api://{tenant}-elsewhere/.default"),
			want:   []string{"The tenant {tenant}-other has that API (elsewhere)"},
			lead:   bySetting,
		},
		{
			name: "API that was deleted", yaml: nightlyAndGreeter + "  - name: bygone\n    identifierUris: [api://past]\n",
			before: func(r *toldRow) { r.prune(nightlyAndGreeter) },
			ask:    nightlyAsks("scope=api://past/.default"),
			want:   []string{"It was that of bygone, which was deleted at 20", "by cli:apply"},
			lead:   bySetting,
		},
		{
			name: "scope that names a managed identity", yaml: nightlyAndGreeter + "managedIdentities: [{name: batch, type: system}]\n",
			ask:  nightlyAsks("scope={id of batch}/.default"),
			want: []string{"batch is a managed identity, for which there are no tokens"},
			lead: bySetting,
		},
		{
			name: "API whose name is misspelt on the command line", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { nightlyAsks()(r) },
			ask: func(r *toldRow) told {
				api := "greter"
				if r.fixed {
					api = "greeter"
				}
				code, out, said := r.run(r.values["token"], "explain", "--api", api, "-o", "table", "-")
				if code == command.ExitOK {
					return told{200, out}
				}
				return told{404, out + said}
			},
			want: []string{`there is no application "greter"`, "Did you mean greeter?"},
			not:  []string{": not found"},
			lead: bySetting,
		},
	}
}

// elsewhere makes another tenant, with a client and an API.
func (r *toldRow) elsewhere() {
	r.Helper()
	own := r.tenant
	defer func() { r.tenant = own; r.learn() }()
	r.tenant = own + "-other"
	r.apply("applications:\n  - name: elsewhere\n    identifierUris: [\"api://" + own + "-elsewhere\"]\n")
}

// prune applies the row's file again, and removes what is not in it.
func (r *toldRow) prune(members string) {
	r.Helper()
	file := "tenants:\n  - name: " + r.tenant + "\n    domains: [" + r.tenant + ".test]\n"
	for line := range strings.Lines(members) {
		file += "    " + line
	}
	if code, out, said := r.run(file, "apply", "-f", "-", "--prune"); code != command.ExitOK {
		r.Fatalf("prune: exit code %d\n%s%s", code, out, said)
	}
}
