package main

import (
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// nightlyAndGreeter is a client with a secret that holds the role of an API.
const nightlyAndGreeter = `applications:
  - name: greeter
    identifierUris: [api://greeter]
    appRoles: [{value: Greetings.Read, displayName: Read greetings, members: [Application]}]
  - name: nightly
    secrets: [{name: ci, generate: true}]
    permissions: [{api: greeter, roles: [Greetings.Read], consent: true}]
`

// nightlyAsks is nightly's request for a token for greeter: at first with these values in
// place of the right ones, and once the advice was followed without them.
func nightlyAsks(wrong ...string) func(*toldRow) told {
	return nightlyAsksThen(wrong)
}

// nightlyAsksThen is nightlyAsks with what takes the place of the right ones then.
func nightlyAsksThen(wrong []string, right ...string) func(*toldRow) told {
	return func(r *toldRow) told {
		form := []string{"client_id={id of nightly}", "client_secret={secret of nightly}", "scope=api://greeter/.default"}
		if !r.fixed {
			return r.token(append(form, wrong...)...)
		}
		return r.token(append(form, right...)...)
	}
}

// credentialMisfits are those in which a client does not prove who it is by its secret, or not
// as the endpoint expects it.
func credentialMisfits() []misfit {
	return []misfit{
		{
			name: "secret that came with a line break", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("client_secret={secret of nightly}\n"),
			want: []string{"it came with a line break at its end", "take the line break off where the secret is read"},
			lead: bySetting,
		},
		{
			name: "secret that came with the line break of Windows", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("client_secret={secret of nightly}\r\n"),
			want: []string{"it came with a line break at its end", "take the line break off where the secret is read"},
			lead: bySetting,
		},
		{
			name: "secret that came with a blank", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("client_secret={secret of nightly} "),
			want: []string{"it came with blanks around it", "take them off where the secret is read"},
			lead: bySetting,
		},
		{
			name: "secret that came with its quotes", yaml: nightlyAndGreeter,
			ask:  nightlyAsks(`client_secret="{secret of nightly}"`),
			want: []string{"it came with quotes around it", "leave them out"},
			lead: bySetting,
		},
		{
			name: "secret that was cut", yaml: nightlyAndGreeter,
			ask: func(r *toldRow) told {
				r.values["beginning"] = r.values["secret of nightly"][:27]
				return nightlyAsksThen([]string{"client_secret={beginning}"}, "client_secret={new secret}")(r)
			},
			want: []string{"27 characters were sent; generated secrets have 46", "It begins as ci does", "put it between single quotes", "Secrets of nightly: ci (never ends)"},
			lead: byCommand,
		},
		{
			name: "secret that is another", yaml: nightlyAndGreeter,
			ask:  nightlyAsksThen([]string{"client_secret=another"}, "client_secret={new secret}"),
			want: []string{"the secret of nightly is wrong", "7 characters were sent; generated secrets have 46", "Add a new secret", "secrets: [{name: new, generate: true}]"},
			lead: byCommand,
		},
		{
			name: "secret's id in place of its value", yaml: nightlyAndGreeter,
			ask:  nightlyAsksThen([]string{"client_secret={secret id of nightly}"}, "client_secret={new secret}"),
			want: []string{"what was sent is the secret's id", "Send the secret's value", "a lost one cannot be shown again"},
			lead: byCommand,
		},
		{
			name: "secret with blanks that were plus signs", yaml: nightlyAndGreeter,
			ask:  nightlyAsksThen([]string{"client_secret=a b+c~d"}, "client_secret={new secret}"),
			want: []string{"There is a blank in it, which a plus sign becomes", "form-encode it"},
			lead: byCommand,
		},
		{
			name: "secret that was encoded twice", yaml: nightlyAndGreeter,
			ask:  nightlyAsksThen([]string{"client_secret=a%2Bc~d"}, "client_secret={new secret}"),
			want: []string{"There is an escape such as %2B in it", "form-encode it once, not twice"},
			lead: byCommand,
		},
		{
			name: "chosen secret whose plus sign was not encoded",
			yaml: strings.Replace(nightlyAndGreeter, "{name: ci, generate: true}", "{name: ci, value: one+two~three-four}", 1),
			before: func(r *toldRow) {
				r.values["secret of nightly"] = "one+two~three-four"
				if got := nightlyAsks()(r); got.status != 200 {
					r.Errorf("the right secret: %s", got.text)
				}
			},
			ask:  nightlyAsks("client_secret=one two~three-four"),
			want: []string{"its plus signs were not form-encoded, and arrived as blanks", "a plus sign as %2B"},
			lead: bySetting,
		},
		{
			name: "chosen secret that begins right, with a blank in it",
			yaml: strings.Replace(nightlyAndGreeter, "{name: ci, generate: true}", "{name: ci, value: one+two~three-four}", 1),
			ask:  nightlyAsksThen([]string{"client_secret=one two~three-five"}, "client_secret={new secret}"),
			want: []string{"the secret of nightly is wrong", "There is a blank in it, which a plus sign becomes", "form-encode it"},
			lead: byCommand,
		},
		{
			name: "secret that has ended", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { r.endSecret("nightly", "old") },
			ask:    nightlyAsksThen([]string{"client_secret={secret old}"}, "client_secret={new secret}"),
			want:   []string{"the secret of nightly has ended", "old (ended 20", "Add a new secret", "rolecall apply -f -"},
			lead:   byCommand,
		},
		{
			name: "client that has no secret",
			yaml: strings.Replace(nightlyAndGreeter, "    secrets: [{name: ci, generate: true}]\n", "", 1),
			ask:  nightlyAsksThen([]string{"client_secret=something"}, "client_secret={new secret}"),
			want: []string{"nightly sent a secret, and has none", "nightly has no secrets", "Add a new secret"},
			lead: byCommand,
		},
		{
			name: "client that sends no credential", yaml: nightlyAndGreeter,
			ask:  nightlyAsksThen([]string{"client_secret="}, "client_secret={new secret}"),
			want: []string{"nightly sent no credential", "Secrets of nightly: ci (never ends)"},
			lead: byCommand,
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
			want: []string{"The tenant '{tenant}.tset' was not found", "AADSTS90002", "Did you mean ", "{tenant}.test", "of nightly, an application of the tenant {tenant}: use that tenant"},
			not:  []string{"no token request has the correlation id"},
			lead: bySetting,
		},
		{
			name: "assertion that is no JWT", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("client_secret=", "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion=garbage"),
			want: []string{"The client assertion is not a valid JWT", "Let a client library make it"},
			not:  []string{"{"},
			lead: bySetting,
		},
		{
			name: "token type that is not issued", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("token_type=mac"),
			want: []string{"Tokens of the type 'mac' are not issued here", "Ask for a bearer token by leaving token_type out"},
			lead: bySetting,
		},
		{
			name: "grant type that is not supported", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("grant_type=client-credentials"),
			want: []string{"The grant type 'client-credentials' is not supported", "Use client_credentials"},
			lead: bySetting,
		},
		{
			name: "form without a client", yaml: nightlyAndGreeter,
			ask:  nightlyAsks("client_id="),
			want: []string{"must contain the parameter 'client_id'", "Send it once, with a value, in the form body of the POST"},
			lead: bySetting,
		},
		{
			name: "JSON in place of a form", yaml: nightlyAndGreeter,
			ask: func(r *toldRow) told {
				if r.fixed {
					return nightlyAsks()(r)
				}
				return r.tokenRaw("/{tenant}.test/oauth2/v2.0/token", `{"grant_type": "client_credentials"}`)
			},
			want: []string{"AADSTS900144"},
			lead: bySetting,
		},
		{
			name: "path that is no endpoint", yaml: nightlyAndGreeter,
			ask: func(r *toldRow) told {
				at := "/{tenant}.test/oauth/token"
				if r.fixed {
					at = "/{tenant}.test/oauth2/v2.0/token"
				}
				return r.tokenAt(at, "client_id={id of nightly}", "client_secret={secret of nightly}", "scope=api://greeter/.default")
			},
			want: []string{"There is no endpoint '/{tenant}.test/oauth/token'", "The endpoints of a tenant are listed at"},
			not:  []string{"no token request has the correlation id"},
			lead: bySetting,
		},
	}
}

// endSecret gives an application a secret that has ended: it was made the day before.
func (r *toldRow) endSecret(app, name string) {
	r.Helper()
	yesterday := func() time.Time { return time.Now().Add(-24 * time.Hour) }
	data, err := server.OpenData(r.Context(), server.DataConfig{Dir: r.dir, NewKey: newTestKeys(), Now: yesterday})
	if err != nil {
		r.Fatal(err)
	}
	defer data.Close()
	tenant := directory.TenantID(r.values["tenant id"])
	_, err = data.Directory.Change(r.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		found, err := e.Applications().Find(tenant, app)
		if err != nil {
			return err
		}
		_, r.values["secret "+name], err = e.Credentials().AddSecret(tenant, found.ID, name, yesterday().Add(time.Hour))
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
}
