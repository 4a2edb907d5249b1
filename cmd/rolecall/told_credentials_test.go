package main

// nightlyAndGreeter is a client with a secret that holds the role of an API.
const nightlyAndGreeter = `applications:
  - name: greeter
    identifierUris: [api://greeter]
    appRoles: [{value: Greetings.Read, displayName: Read greetings, members: [Application]}]
  - name: nightly
    secrets: [{name: ci, generate: true}]
    permissions: [{api: greeter, roles: [Greetings.Read], consent: true}]
`

// credentialMisfits are those in which a client does not prove who it is.
func credentialMisfits() []misfit {
	return []misfit{
		{
			name: "secret that came with a line break", yaml: nightlyAndGreeter,
			ask: func(r *toldRow) told {
				end := "\n"
				if r.fixed {
					end = ""
				}
				return r.token("client_id={id of nightly}", "client_secret={secret of nightly}"+end, "scope=api://greeter/.default")
			},
			want: []string{"it ends in a line break", "Take the line break off where the secret is read"},
			lead: bySetting,
		},
	}
}
