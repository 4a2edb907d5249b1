package main

import (
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
)

// greeterAlone is an API, and a client without its role.
const greeterAlone = `applications:
  - name: greeter
    identifierUris: [api://greeter]
    appRoles: [{value: Greetings.Read, displayName: Read greetings, members: [Application]}]
  - name: nightly
    secrets: [{name: ci, generate: true}]
`

// twoRoles is an API with two roles, and a client without them.
const twoRoles = `applications:
  - name: greeter
    identifierUris: [api://greeter]
    appRoles:
      - {value: Multi.Admin, displayName: Do everything, members: [Application]}
      - {value: Multi.Read, displayName: Read, members: [Application]}
  - name: nightly
    secrets: [{name: ci, generate: true}]
`

// requires is a rule for applications with a role.
func requires(role string) guard.Rule { return guard.Rule{Roles: []string{role}} }

// roleMisfits are those in which a client is known, and may not do what it does.
func roleMisfits() []misfit {
	granted := "    permissions: [{api: greeter, roles: [Greetings.Read], consent: true}]\n"
	return []misfit{
		{
			name: "role that nobody granted", yaml: greeterAlone,
			ask:  callsFor(requires("Greetings.Read")),
			want: []string{"refused: nightly holds no app role of greeter", "Greetings.Read of greeter", "rolecall grant nightly greeter/Greetings.Read"},
			lead: byCommand,
		},
		{
			name: "role that was requested and not granted",
			yaml: twoRoles + "    permissions: [{api: greeter, roles: [Multi.Read]}]\n",
			ask:  callsFor(requires("Multi.Read")),
			want: []string{"nightly requests Multi.Read of greeter, and nobody has granted it", "rolecall grant nightly greeter/Multi.Read"},
			not:  []string{"greeter/Multi.Admin"},
			lead: byCommand,
		},
		{
			name: "role that was granted and is switched off", yaml: greeterAlone + granted,
			before: func(r *toldRow) {
				r.apply("applications:\n  - name: greeter\n    appRoles: [{value: Greetings.Read, enabled: false, members: [Application]}]\n")
			},
			ask:  callsFor(requires("Greetings.Read")),
			want: []string{"nightly holds Greetings.Read, but the role cannot be used: Greetings.Read is switched off", "Greetings.Read is granted to nightly and switched off"},
			not:  []string{"Tasks.Read", "rolecall grant"},
			lead: byCommand,
		},
		{
			name: "role that only users may hold",
			yaml: strings.Replace(greeterAlone, "members: [Application]", "members: [User]", 1),
			ask:  callsFor(requires("Greetings.Read")),
			want: []string{"Greetings.Read is offered and for users only", "rolecall grant nightly greeter/Greetings.Read"},
			not:  []string{"Tasks.Read"},
			lead: byCommand,
		},
		{
			name: "one of several roles", yaml: twoRoles,
			ask:  callsFor(requires("Multi.Read")),
			want: []string{"Grant nightly the one role of greeter that it needs, and no more. There are Multi.Admin, Multi.Read", "rolecall grant nightly greeter/ROLE"},
			lead: byNothing,
		},
		{
			name: "one of several roles, which is named", yaml: twoRoles,
			ask:  callsFor(requires("Multi.Read"), "--role", "Multi.Read"),
			want: []string{"nightly does not hold Multi.Read of greeter", "rolecall grant nightly greeter/Multi.Read"},
			not:  []string{"Multi.Admin of"},
			lead: byCommand,
		},
		{
			name: "role that the API's settings misspell", yaml: greeterAlone + granted,
			ask: func(r *toldRow) told {
				role := "Greetings.Raed"
				if r.fixed {
					role = "Greetings.Read"
				}
				return callsFor(requires(role), "--role", role)(r)
			},
			want: []string{"greeter offers no role Greetings.Raed, but Greetings.Read: correct the role in the settings of the API"},
			lead: bySetting,
		},
		{
			name: "role that the API does not offer", yaml: greeterAlone + granted,
			ask:  callsFor(requires("Greetings.Write"), "--role", "Greetings.Write"),
			want: []string{"Let greeter offer the role Greetings.Write"},
			lead: byNothing, // what follows is the row about a role that nobody granted
		},
		{
			name: "API without roles",
			yaml: strings.Replace(greeterAlone, "    appRoles: [{value: Greetings.Read, displayName: Read greetings, members: [Application]}]\n", "", 1),
			ask:  callsFor(requires("Greetings.Read")),
			want: []string{"greeter has no app roles", "rolecall explain --role NAME -"},
			not:  []string{"Tasks.Read"},
			lead: byNothing,
		},
		{
			name: "token that is older than the grant", yaml: greeterAlone,
			before: func(r *toldRow) {
				if got := nightlyAsks()(r); got.status != 200 {
					r.Errorf("no token: %s", got.text)
				}
				r.must("grant", "nightly", "greeter/Greetings.Read")
			},
			ask: func(r *toldRow) told {
				if r.fixed {
					if got := nightlyAsks()(r); got.status != 200 {
						return got
					}
				}
				return r.visit(r.api("{id of greeter}", requires("Greetings.Read")))
			},
			want: []string{"the token of nightly is older than the grant of Greetings.Read", "Greetings.Read was granted", "issued", "A client keeps a token until about five minutes before its end", "unless it is restarted", "rolecall token --as nightly --scope api://greeter/.default"},
			lead: byCommand,
		},
		{
			name: "API that gives tokens to nobody without a role",
			yaml: strings.Replace(greeterAlone, "    identifierUris: [api://greeter]\n", "    identifierUris: [api://greeter]\n    assignmentRequired: true\n", 1),
			ask:  nightlyAsks(),
			want: []string{"AADSTS501051", "nightly holds no app role of greeter, which gives tokens to nobody without one", "rolecall grant nightly greeter/Greetings.Read"},
			lead: byCommand,
		},
		{
			name: "client whose name is in two tenants", yaml: greeterAlone,
			ask: func(r *toldRow) told {
				got := callsFor(requires("Greetings.Read"))(r)
				r.values["where"] = "--tenant " + r.tenant
				return got
			},
			want: []string{"rolecall grant nightly greeter/Greetings.Read {where}"},
			lead: byCommand,
		},
		{
			name: "user where the Azure CLI is not registered",
			yaml: greeterAlone + "  - name: lists\n    identifierUris: [api://lists]\n    scopes: [{value: Lists.Read, displayName: Read lists, consent: user}]\nusers: [{userPrincipalName: \"dev@{tenant}.test\"}]\n",
			ask:  does("token", "--as", "dev@{tenant}.test", "--scope", "api://lists/Lists.Read", "-o", "claims"),
			want: []string{"the tenant {tenant} has none", "register it in rolecall.yaml", "scopes: [Lists.Read], consent: true"},
			lead: byCommand,
		},
		{
			name: "scope that nobody consented to",
			yaml: greeterAlone + "  - name: lists\n    identifierUris: [api://lists]\n    scopes: [{value: Lists.Read, displayName: Read lists}]\n  - {name: azure-cli, appId: 04b07795-8ddb-461a-bbee-02f9e1bf7b46, public: true}\nusers: [{userPrincipalName: \"dev@{tenant}.test\"}]\n",
			ask: func(r *toldRow) told {
				got := does("token", "--as", "dev@{tenant}.test", "--scope", "api://lists/Lists.Read", "-o", "claims")(r)
				if id := correlationID.FindStringSubmatch(got.text); got.status != 200 && id != nil {
					got.text += r.explained("--correlation-id", id[1])
				} else if _, after, ok := strings.Cut(got.text, "--correlation-id "); got.status != 200 && ok {
					got.text += r.explained("--correlation-id", after[:36])
				}
				return got
			},
			want: []string{"AADSTS65001", "permissions: [{api: lists, scopes: [Lists.Read], consent: true}]"},
			lead: byCommand,
		},
		{
			name: "principal that is misspelt in a grant", yaml: greeterAlone,
			ask: func(r *toldRow) told {
				if r.fixed {
					return does("grant", "nightly", "greeter/Greetings.Read")(r)
				}
				return does("grant", "nihgtly", "greeter/Greetings.Read")(r)
			},
			want: []string{`"nihgtly"`, "Did you mean nightly?"},
			lead: bySetting,
		},
		{
			name: "role that is misspelt in a grant", yaml: greeterAlone,
			ask: func(r *toldRow) told {
				if r.fixed {
					return does("grant", "nightly", "greeter/Greetings.Read")(r)
				}
				return does("grant", "nightly", "greeter/Greetings.Raed")(r)
			},
			want: []string{"Greetings.Raed", "rolecall grant nightly greeter/Greetings.Read"},
			lead: bySetting,
		},
		{
			name: "API that is misspelt in a grant", yaml: greeterAlone,
			ask: func(r *toldRow) told {
				if r.fixed {
					return does("grant", "nightly", "greeter/Greetings.Read")(r)
				}
				return does("grant", "nightly", "greter/Greetings.Read")(r)
			},
			want: []string{`"greter/Greetings.Read"`, "Did you mean `rolecall grant nightly greeter/Greetings.Read`?"},
			lead: bySetting,
		},
	}
}

// callsFor lets nightly get a token for the API greeter, and call it under a rule. What is said
// of `rolecall explain` goes along when it is asked.
func callsFor(rule guard.Rule, args ...string) func(*toldRow) told {
	return func(r *toldRow) told {
		if got := nightlyAsks()(r); got.status != 200 {
			return got
		}
		return r.visit(r.api("{id of greeter}", rule), args...)
	}
}
