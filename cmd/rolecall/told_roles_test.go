package main

import "github.com/rolecall-auth/rolecall/guard"

// greeterAlone is an API, and a client without its role.
const greeterAlone = `applications:
  - name: greeter
    identifierUris: [api://greeter]
    appRoles: [{value: Greetings.Read, displayName: Read greetings, members: [Application]}]
  - name: nightly
    secrets: [{name: ci, generate: true}]
`

// roleMisfits are those in which a client is known, and may not do what it does.
func roleMisfits() []misfit {
	return []misfit{
		{
			name: "role that nobody granted", yaml: greeterAlone,
			ask:  callsFor(guard.Rule{Roles: []string{"Greetings.Read"}}),
			want: []string{"Greetings.Read of greeter", "rolecall grant nightly greeter/Greetings.Read"},
			lead: byCommand,
		},
	}
}

// callsFor lets nightly get a token for the API greeter, and call it under a rule.
func callsFor(rule guard.Rule) func(*toldRow) told {
	return func(r *toldRow) told {
		if got := r.token("client_id={id of nightly}", "client_secret={secret of nightly}", "scope=api://greeter/.default"); got.status != 200 {
			return got
		}
		return r.visit(r.api("{id of greeter}", rule))
	}
}
