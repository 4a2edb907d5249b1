package main

import (
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

func newCorrelation() string { return guid.New() }

// tokenMisfits are those of who asks about a token.
func tokenMisfits() []misfit {
	// about is what `rolecall explain -` says about a text, in place of a token.
	about := func(text string) func(*toldRow) told {
		return func(r *toldRow) told {
			if r.fixed {
				nightlyAsks()(r)
				text = r.values["token"]
			}
			code, out, said := r.run(r.fill(text), "explain", "-o", "table", "-")
			if code == command.ExitOK {
				return told{200, out}
			}
			return told{400, out + said}
		}
	}
	return []misfit{
		{
			name: "nothing on standard input", yaml: nightlyAndGreeter, ask: about(""),
			want: []string{"refused: nothing came on standard input", "rolecall explain - < token.txt"}, lead: bySetting,
		},
		{
			name: "text that is no token", yaml: nightlyAndGreeter, ask: about("hello world"),
			want: []string{"this is no token: it has 11 bytes and 0 dots, where a token has two dots"},
			not:  []string{"exactly three parts"}, lead: bySetting,
		},
		{
			name: "correlation id in place of a token", yaml: nightlyAndGreeter, ask: about("9F03D768-7e75-415e-b6d7-61f015f03a6b"),
			want: []string{"this is an id, not a token", "rolecall explain --correlation-id 9f03d768-7e75-415e-b6d7-61f015f03a6b"}, lead: bySetting,
		},
		{
			name: "error in place of a token", yaml: nightlyAndGreeter, ask: about("AADSTS7000215: no. Correlation ID: 9f03d768-7e75-415e-b6d7-61f015f03a6b"),
			want: []string{"this is an error, not a token"}, lead: bySetting,
		},
		{
			name: "token that was cut", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { nightlyAsks()(r); r.values["cut"] = r.values["token"][:len(r.values["token"])-20] },
			ask:    about("{cut}"),
			want:   []string{"it was cut"}, lead: bySetting,
		},
		{
			name: "token of Microsoft's cloud", yaml: nightlyAndGreeter,
			before: func(r *toldRow) {
				r.values["foreign"] = r.jwt(0, map[string]any{"kid": "abc"}, map[string]any{
					"iss": "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0", "aud": "api://theirs", "ver": "2.0",
					"tid": "72f988bf-86f1-41af-91ab-2d7cd011db47", "azp": "00000000-0000-4000-8000-000000000001", "oid": "00000000-0000-4000-8000-000000000002", "sub": "x",
				})
			},
			ask:  about("{foreign}"),
			want: []string{"the token was issued by login.microsoftonline.com, not here", "the tenant 72f988bf-86f1-41af-91ab-2d7cd011db47 of that authority"},
			not:  []string{"Let the authority name its key", "Register", "rolecall grant"}, lead: bySetting,
		},
		{
			name: "token of Microsoft's version 1.0", yaml: nightlyAndGreeter,
			before: func(r *toldRow) {
				r.values["foreign"] = r.jwt(0, map[string]any{"kid": "abc"}, map[string]any{
					"iss": "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/", "aud": "api://theirs", "ver": "1.0", "tid": "72f988bf-86f1-41af-91ab-2d7cd011db47",
				})
			},
			ask:  about("{foreign}"),
			want: []string{"the token was issued by sts.windows.net, not here"}, lead: bySetting,
		},
		{
			name: "token for another API than the one that was called",
			yaml: nightlyAndGreeter + "  - name: billing\n    identifierUris: [api://billing]\n    appRoles: [{value: Bills.Read, displayName: Read, members: [Application]}]\n",
			before: func(r *toldRow) {
				r.must("grant", "nightly", "billing/Bills.Read")
			},
			ask: func(r *toldRow) told {
				scope := "scope=api://billing/.default"
				if r.fixed {
					scope = "scope=api://greeter/.default"
				}
				if got := r.token("client_id={id of nightly}", "client_secret={secret of nightly}", scope); got.status != 200 {
					return got
				}
				got := r.visit(r.api("{id of greeter}", requires("Greetings.Read")))
				if got.status != 200 {
					got.text += r.explained("--api", "greeter", "-")
				}
				return got
			},
			want: []string{"accepted by billing, which it is for", "Did another API refuse it? rolecall explain --api NAME -", "the token of nightly is for {id of billing}, not for greeter",
				"rolecall token --as nightly --scope api://greeter/.default"},
			lead: byCommand,
		},
		{
			name: "token that has expired", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { nightlyAsks()(r) },
			ask: func(r *toldRow) told {
				if r.fixed {
					return about("")(r)
				}
				var out, said strings.Builder
				c := testCLI(streamsOf(func(name string) (string, bool) { return r.dir, name == "ROLECALL_DATA" }, strings.NewReader(r.values["token"]), &out, &said))
				c.Now = func() time.Time { return time.Now().Add(3 * time.Hour) }
				if c.run(r.Context(), []string{"explain", "-", "-o", "table"}) == command.ExitOK {
					return told{200, out.String()}
				}
				return told{401, out.String() + said.String()}
			},
			want: []string{"the token of nightly expired", "ago, at 20", "rolecall token --as nightly --scope api://greeter/.default"},
			lead: byCommand,
		},
		{
			name: "client whose tokens are accepted, and who gets no new ones", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { nightlyAsks()(r); r.apply("applications: [{name: nightly, enabled: false}]\n") },
			ask: func(r *toldRow) told {
				_, out, _ := r.run(r.values["token"], "explain", "-o", "table", "-")
				if r.fixed {
					return nightlyAsks()(r)
				}
				return told{400, out}
			},
			want: []string{"accepted by greeter", "Enable the client; it gets no new tokens", "enabled: true"},
			lead: byCommand,
		},
	}
}
