package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/command"
)

// settingsMisfits are those of an API whose own settings are wrong, seen by `rolecall explain
// --guard` with its guard.yaml.
func settingsMisfits() []misfit {
	return []misfit{
		{
			name: "guard.yaml whose audience differs by case", yaml: strings.ReplaceAll(nightlyAndGreeter, "identifierUris: [api://greeter]", "identifierUris: [api://greeter]\n    requestedAccessTokenVersion: 1"),
			ask: withSettings("audience: [api://greeter, '{id of greeter}']", "audience: [api://Greeter]"),
			want: []string{"the audience in the settings of the API is not what its registration says", "audience presented: api://greeter",
				"audience registered as the API's setting (differs by case)", "Set audience in the API's settings to [{id of greeter}, api://greeter]"},
			lead: bySetting,
		},
		{
			name: "guard.yaml of another authority", yaml: nightlyAndGreeter,
			ask:  withSettings("authority: {authority}/{tenant id}", "authority: https://localhost:1/{tenant id}"),
			want: []string{"the settings of the API trust another authority than the one that issued the token", "Set authority in the API's settings to {authority}/{tenant id}"},
			lead: bySetting,
		},
		{
			name: "guard.yaml that asks for a role that is misspelt", yaml: nightlyAndGreeter,
			ask:  withSettings("roles: [Greetings.Read]", "roles: [Greetings.Raed]"),
			want: []string{"greeter offers no role Greetings.Raed, but Greetings.Read: correct the role in the settings of the API"},
			lead: bySetting,
		},
		{
			name: "guard.yaml that asks for a role that the client has not", yaml: greeterAlone,
			ask:  withSettings("", ""),
			want: []string{"nightly does not hold Greetings.Read of greeter", "rolecall grant nightly greeter/Greetings.Read"},
			lead: byCommand,
		},
		{
			name: "guard.yaml for users", yaml: nightlyAndGreeter,
			ask:  withSettings("caller: application", "caller: user"),
			want: []string{"the caller is an application, and greeter is for users", `or set Caller of the rule to "any" or "application"`},
			lead: bySetting,
		},
		{
			name: "guard.yaml with a member that is misspelt", yaml: nightlyAndGreeter,
			ask:  withSettings("rules:", "rulez:"),
			want: []string{`guard.yaml:4:1: there is no member "rulez" here`, "rules"},
			lead: bySetting,
		},
	}
}

// withSettings explains nightly's token with a guard.yaml in which something is wrong until the
// advice was followed.
func withSettings(right, wrong string) func(*toldRow) told {
	return func(r *toldRow) told {
		if got := nightlyAsks()(r); got.status != 200 {
			return got
		}
		settings := "authority: {authority}/{tenant id}\naudience: [api://greeter, '{id of greeter}']\ncaller: application\nrules:\n" +
			"  - {path: /api/Greet, methods: [GET], roles: [Greetings.Read]}\n  - {path: /healthz, anonymous: true}\n"
		if !r.fixed && right != "" {
			settings = strings.Replace(settings, right, wrong, 1)
		}
		file := filepath.Join(r.TempDir(), "guard.yaml")
		if err := os.WriteFile(file, []byte(r.fill(settings)), 0o600); err != nil {
			r.Fatal(err)
		}
		code, out, said := r.run(r.values["token"], "explain", "-o", "table", "--guard", file, "-")
		if code == command.ExitOK {
			return told{200, out}
		}
		return told{400, out + said}
	}
}
