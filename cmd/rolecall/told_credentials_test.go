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
		{
			name: "tenant that is not there", yaml: nightlyAndGreeter,
			ask: func(r *toldRow) told {
				at := "/{tenant}.tset/oauth2/v2.0/token"
				if r.fixed {
					at = "/{tenant}.test/oauth2/v2.0/token"
				}
				return r.tokenAt(at, "client_id={id of nightly}", "client_secret={secret of nightly}", "scope=api://greeter/.default")
			},
			want: []string{"The tenant '{tenant}.tset' was not found", "AADSTS90002"},
			not:  []string{"no token request has the correlation id"},
			lead: bySetting,
		},
		{
			name: "assertion that is no JWT", yaml: nightlyAndGreeter,
			ask: func(r *toldRow) told {
				return r.token("client_id={id of nightly}", "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion=garbage", "scope=api://greeter/.default")
			},
			want: []string{"The client assertion is not a valid JWT", "Let a client library make it"},
			not:  []string{"{"},
			lead: byNothing,
		},
		{
			name: "token type that is not issued", yaml: nightlyAndGreeter,
			ask: func(r *toldRow) told {
				form := []string{"client_id={id of nightly}", "client_secret={secret of nightly}", "scope=api://greeter/.default"}
				if !r.fixed {
					form = append(form, "token_type=mac")
				}
				return r.token(form...)
			},
			want: []string{"Tokens of the type 'mac' are not issued here", "Ask for a bearer token by leaving token_type out"},
			lead: bySetting,
		},
		{
			name: "grant type that is not supported", yaml: nightlyAndGreeter,
			ask: func(r *toldRow) told {
				form := []string{"client_id={id of nightly}", "client_secret={secret of nightly}", "scope=api://greeter/.default"}
				if !r.fixed {
					form = append(form, "grant_type=client-credentials")
				}
				return r.token(form...)
			},
			want: []string{"The grant type 'client-credentials' is not supported", "Use client_credentials"},
			lead: bySetting,
		},
		{
			name: "form without a client", yaml: nightlyAndGreeter,
			ask: func(r *toldRow) told {
				form := []string{"client_secret={secret of nightly}", "scope=api://greeter/.default"}
				if r.fixed {
					form = append(form, "client_id={id of nightly}")
				}
				return r.token(form...)
			},
			want: []string{"must contain the parameter 'client_id'", "Send it once, with a value, in the form body of the POST"},
			lead: bySetting,
		},
		{
			name: "JSON in place of a form", yaml: nightlyAndGreeter,
			ask: func(r *toldRow) told {
				if r.fixed {
					return r.token("client_id={id of nightly}", "client_secret={secret of nightly}", "scope=api://greeter/.default")
				}
				return r.tokenRaw("/{tenant}.test/oauth2/v2.0/token", `{"grant_type": "client_credentials"}`)
			},
			want: []string{"AADSTS900144"},
			lead: bySetting,
		},
	}
}
