package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/command"
)

// greeterGranted is an API, and a client that has its role.
const greeterGranted = `applications:
  - name: greeter
    identifierUris: [api://greeter]
    requestedAccessTokenVersion: {version}
    appRoles:
      - {value: Greetings.Read, displayName: Read greetings, members: [Application, User]}
      - {value: Greetings.Write, displayName: Write greetings, members: [Application]}
    scopes: [{value: Greetings.List, displayName: List greetings}]
  - name: nightly
    permissions: [{api: greeter, roles: [Greetings.Read], consent: true}]
  - name: azure-cli
    appId: 04b07795-8ddb-461a-bbee-02f9e1bf7b46
    public: true
    permissions: [{api: greeter, scopes: [Greetings.List], consent: true}]
users: [{userPrincipalName: "dev@{tenant}.test"}]
`

var (
	greeterV1 = strings.ReplaceAll(greeterGranted, "{version}", "1")
	greeterV2 = strings.ReplaceAll(greeterGranted, "{version}", "2")
)

// A service is an API as somebody has set it up, and how it is called.
type service struct {
	cfg   guard.Config
	rules []guard.Rule                    // empty: /, with the role Greetings.Read
	wrap  func(http.Handler) http.Handler // what stands before it; may be nil
	path  string                          // that is called; empty: /
	as    string                          // who calls; empty: nightly
}

// called is what somebody sees who calls the service with `rolecall call`: what that prints,
// and the API's log.
func called(setUp func(*toldRow) service) func(*toldRow) told {
	return func(r *toldRow) told {
		s := setUp(r)
		if s.as == "" {
			s.as = "nightly"
		}
		address, log := r.serve(s)
		code, out, said := r.run("", "call", "--as", s.as, "--scope", "api://greeter/.default", address+s.path)
		status := http.StatusOK
		if code != command.ExitOK {
			status = http.StatusForbidden
		}
		return told{status, out + said + log.String()}
	}
}

// serve listens as the service does, and returns its address and its log.
func (r *toldRow) serve(s service) (string, *bytes.Buffer) {
	r.Helper()
	var log bytes.Buffer
	s.cfg.Log = slog.New(slog.NewJSONHandler(&log, nil))
	if s.cfg.Authority == "" && len(s.cfg.Issuers) == 0 {
		s.cfg.Authority = r.authority()
	}
	if len(s.cfg.Audience) == 0 {
		s.cfg.Audience = []string{r.values["id of greeter"], "api://greeter"}
	}
	if s.cfg.CABundle == "" && s.cfg.HTTPClient == nil {
		s.cfg.CABundle = r.server.Endpoints().CABundle
	}
	if len(s.rules) == 0 {
		s.rules = []guard.Rule{{Path: "/", Roles: []string{"Greetings.Read"}}}
	}
	ctx, stop := context.WithCancel(r.Context())
	g, err := guard.New(ctx, s.cfg)
	if err != nil {
		r.Fatal(err)
	}
	handler, err := g.Handler(s.rules, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	if err != nil {
		r.Fatal(err)
	}
	if s.wrap != nil {
		handler = s.wrap(handler)
	}
	listening := httptest.NewServer(handler)
	r.Cleanup(func() { listening.Close(); stop() })
	if s.path == "" {
		return listening.URL + "/", &log
	}
	return listening.URL, &log
}

func (r *toldRow) authority() string {
	return r.server.Endpoints().Authority + "/" + r.values["tenant id"]
}

// misset is a service that has a mistake until the advice is followed.
func misset(mistake func(*toldRow, *service)) func(*toldRow) told {
	return called(func(r *toldRow) service {
		var s service
		if !r.fixed {
			mistake(r, &s)
		}
		return s
	})
}

// late is a machine whose clock goes wrong, also in what it says of the time.
func late(by time.Duration) func(*toldRow, *service) {
	return func(_ *toldRow, s *service) {
		now := func() time.Time { return time.Now().Add(-by) }
		s.cfg.Now = now
		s.wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				w.Header().Set("Date", now().UTC().Format(http.TimeFormat))
				next.ServeHTTP(w, q)
			})
		}
	}
}

// sends calls the service with a header of one's own making, from the row's token.
func sends(header func(token string) string) func(*toldRow) told {
	return func(r *toldRow) told {
		address, log := r.serve(service{})
		if r.values["token"] == "" {
			r.values["token"] = strings.TrimSpace(r.must("token", "--as", "nightly", "--scope", "api://greeter/.default", "-o", "raw"))
		}
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, address, http.NoBody)
		if err != nil {
			r.Fatal(err)
		}
		request.Header.Set("Authorization", header(r.values["token"]))
		if r.fixed {
			request.Header.Set("Authorization", "Bearer "+r.values["token"])
		}
		status, answer := r.send(request)
		return told{status, string(answer) + log.String()}
	}
}

// answering is an API of another make: until it is fixed it refuses whatever comes.
func answering(status int, challenge, body string) func(*toldRow, *service) {
	return func(_ *toldRow, s *service) {
		s.wrap = func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if challenge != "" {
					w.Header().Set("WWW-Authenticate", challenge)
				}
				w.WriteHeader(status)
				fmt.Fprint(w, body)
			})
		}
	}
}

// apiMisfits are those in which the token is as it should be, and the API's settings are not,
// or what lies between.
func apiMisfits() []misfit {
	fine := []string{"token is in order", "the token is valid", "✓"}
	return []misfit{
		{
			name: "audience of another case", yaml: greeterV1, lead: bySetting,
			ask: misset(func(_ *toldRow, s *service) { s.cfg.Audience = []string{"api://Greeter"} }),
			want: []string{
				"the API says audience_mismatch, and the directory finds nothing wrong", "its Audience is not what its registration says",
				"Set the Audience of greeter to {id of greeter} and api://greeter", "The aud of the token is api://greeter", "differs from api://Greeter by case",
			}, not: fine,
		},
		{
			name: "application id alone, and a version 1.0 token", yaml: greeterV1, lead: bySetting,
			ask:  misset(func(r *toldRow, s *service) { s.cfg.Audience = []string{r.values["id of greeter"]} }),
			want: []string{"audience_mismatch", "Set the Audience of greeter to {id of greeter} and api://greeter", "Audience holds the application id alone", "list it in Audience beside the application id"}, not: fine,
		},
		{
			name: "URI alone, and a version 2.0 token", yaml: greeterV2, lead: bySetting,
			ask:  misset(func(_ *toldRow, s *service) { s.cfg.Audience = []string{"api://greeter"} }),
			want: []string{"audience_mismatch", "Set the Audience of greeter to {id of greeter} and api://greeter", "Audience holds URIs alone"}, not: fine,
		},
		{
			name: "issuer of version 2.0 alone", yaml: greeterV1, lead: bySetting,
			ask: misset(func(r *toldRow, s *service) { s.cfg.Issuers = []guard.Issuer{{Issuer: r.authority() + "/v2.0"}} }),
			want: []string{
				"the API says issuer_unknown, and the directory finds nothing wrong", "it trusts another authority", "Set the Authority of greeter to", "/{tenant id}",
				"the same tenant's version 1.0 issuer", "Set Authority, which trusts the issuers of both versions",
			}, not: fine,
		},
		{
			name: "authority of another tenant", yaml: greeterV2, lead: bySetting,
			ask: misset(func(r *toldRow, s *service) {
				s.cfg.Authority = r.server.Endpoints().Authority + "/0b0b0b0b-1111-4c4c-8d8d-000000000009"
			}),
			want: []string{"the API says keys_unavailable", "its Authority", "/{tenant id}", "check the host and the tenant in Authority"}, not: fine,
		},
		{
			name: "tenant that is not on the API's list", yaml: greeterV2, lead: bySetting,
			ask:  misset(func(_ *toldRow, s *service) { s.cfg.Tenants = []string{"0b0b0b0b-1111-4c4c-8d8d-000000000009"} }),
			want: []string{"the API says tenant_not_allowed", "its list Tenants lacks {tenant id}", "Add {tenant id} to Tenants"}, not: fine,
		},
		{
			name: "clock of the API behind", yaml: greeterV2, ask: misset(late(20 * time.Minute)), lead: bySetting,
			want: []string{"the API says token_not_yet_valid", "the API's clock is 20 min behind", "Set the clock of the API's machine"}, not: fine,
		},
		{
			name: "clock of the API ahead", yaml: greeterV2, ask: misset(late(-26 * time.Hour)), lead: bySetting,
			want: []string{"the API says token_expired", "the API's clock is 26 h ahead", "Set the clock of the API's machine"}, not: fine,
		},
		{
			name: "proxy that removes Authorization", yaml: greeterV2, lead: bySetting,
			ask: misset(func(_ *toldRow, s *service) {
				s.wrap = func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
						q.Header.Del("Authorization")
						next.ServeHTTP(w, q)
					})
				}
			}),
			want: []string{"the API saw no token: something on the way removed the header Authorization", "there is no header Authorization", "pass the header on"}, not: fine,
		},
		{
			name: "path that differs by case", yaml: greeterV2, lead: bySetting,
			ask: called(func(r *toldRow) service {
				s := service{path: "/API/greetings", rules: []guard.Rule{{Path: "/api/greetings", Roles: []string{"Greetings.Read"}}}}
				if r.fixed {
					s.path = "/api/greetings"
				}
				return s
			}),
			want: []string{"the API says no_policy", "GET /API/greetings", `it differs from the rule for \"/api/greetings\" by case`, "Write the path as the rule has it"},
		},
		{
			name: "user's token at an API for applications", yaml: greeterV2, lead: bySetting,
			ask: called(func(r *toldRow) service {
				if r.fixed {
					return service{}
				}
				return service{as: "dev@" + r.tenant + ".test"}
			}),
			want: []string{"The token speaks for a user", "The caller is a user", "Call with a token of an application"}, not: []string{"token is in order"},
		},
		{
			name: "client that is not on the API's list", yaml: greeterV2, lead: bySetting,
			ask:  misset(func(_ *toldRow, s *service) { s.cfg.Clients = []string{"0b0b0b0b-1111-4c4c-8d8d-000000000009"} }),
			want: []string{"the API says client_not_allowed", "its list Clients lacks {id of nightly}", "Add {id of nightly} to Clients"}, not: fine,
		},
		{
			name: "principal that is not on the API's list", yaml: greeterV2, lead: bySetting,
			ask:  misset(func(_ *toldRow, s *service) { s.cfg.Principals = []string{"0b0b0b0b-1111-4c4c-8d8d-000000000009"} }),
			want: []string{"the API says principal_not_allowed", "its list Principals lacks {object id of nightly}", "Add {object id of nightly} to Principals"}, not: fine,
		},
		{
			name: "certificate authority that the API does not trust", yaml: greeterV2, lead: bySetting,
			ask:  misset(func(_ *toldRow, s *service) { s.cfg.HTTPClient, s.cfg.CABundle = &http.Client{}, "" }),
			want: []string{"the API says keys_unavailable", "it cannot fetch the keys of its authority", "Set the CABundle of greeter to", "ca-bundle.pem", "This machine does not trust the authority's certificate: set CABundle"}, not: fine,
		},
		{
			name: "another role than the one that was granted", yaml: greeterV2, lead: byCommand,
			ask: called(func(*toldRow) service {
				return service{rules: []guard.Rule{{Path: "/", Roles: []string{"Greetings.Write"}}}}
			}),
			want: []string{"the API says role_missing", "another role than Greetings.Read, which the token has", "rolecall grant nightly greeter/Greetings.Write"}, not: fine,
		},
		{
			name: "rule for users, and an application", yaml: greeterV2, lead: bySetting,
			ask:  misset(func(_ *toldRow, s *service) { s.rules = []guard.Rule{{Path: "/", Caller: guard.CallerUser}} }),
			want: []string{"the API says caller_kind", "The token is an application's own", "set Caller to application"}, not: fine,
		},
		{
			name: "audience of another library", yaml: greeterV2, lead: bySetting,
			ask:  misset(answering(http.StatusUnauthorized, `Bearer error="invalid_token", error_description="The audience '{id}' is invalid"`, "")),
			want: []string{"the API says audience_mismatch", "its Audience is not what its registration says", "Set the Audience of greeter to {id of greeter} and api://greeter"}, not: fine,
		},
		{
			name: "issuer of another library", yaml: greeterV2, lead: bySetting,
			ask:  misset(answering(http.StatusUnauthorized, "", `{"detail":"Invalid issuer"}`)),
			want: []string{"the API says issuer_unknown", `"Invalid issuer"`, "Set the Authority of greeter to"}, not: fine,
		},
		{
			name: "refusal without a reason", yaml: greeterV2, ask: misset(answering(http.StatusForbidden, "", "")), lead: bySetting,
			want: []string{"the API gives no reason, and the directory finds nothing wrong", "Compare its settings", "Authority", "/{tenant id}", "Audience", "{id of greeter} and api://greeter"}, not: fine,
		},
		{
			name: "API that calls itself by no registered name", yaml: greeterV2, lead: bySetting,
			ask: func(r *toldRow) told {
				cfg := guard.Config{Audience: []string{"api://Greetings"}}
				if r.fixed {
					cfg.Audience = nil
				}
				address, log := r.serve(service{cfg: cfg})
				code, out, said := r.run("", "call", "--as", "nightly", address) // as its challenge says
				if code != command.ExitOK {
					return told{http.StatusForbidden, out + said + log.String()}
				}
				return told{http.StatusOK, out}
			},
			want: []string{`the API calls itself "api://Greetings" in its challenge, and no API is registered under that name`, "correct the API's Audience, or name the API with --scope"},
		},
		{
			name: "API that sends callers to a sign-in page", yaml: greeterV2, lead: bySetting,
			ask: misset(func(_ *toldRow, s *service) {
				s.wrap = func(http.Handler) http.Handler {
					return http.RedirectHandler("https://login.test/authorize?x=1", http.StatusFound)
				}
			}),
			want: []string{"302 Found", "sends the caller to https://login.test/authorize", "if that is a sign-in page, set the API up to answer 401 instead"},
		},
		{
			name: "quotes around the token", yaml: greeterV2, lead: bySetting,
			ask:  sends(func(token string) string { return `Bearer "` + token + `"` }),
			want: []string{"The Authorization header is not Bearer, a space and one token.", "quotes around it", "Send the token without quotes"},
		},
		{
			name: "scheme twice", yaml: greeterV2, lead: bySetting,
			ask:  sends(func(token string) string { return "Bearer Bearer " + token }),
			want: []string{"credentials_malformed", "two schemes", "Send Bearer once"},
		},
		{
			name: "colon behind the scheme", yaml: greeterV2, lead: bySetting,
			ask:  sends(func(token string) string { return "bearer: " + token }),
			want: []string{"credentials_malformed", "a colon behind Bearer", "Leave out the colon"},
		},
		{
			name: "token that is undefined", yaml: greeterV2, lead: bySetting,
			ask:  sends(func(string) string { return "Bearer undefined" }),
			want: []string{"token_malformed", "the word undefined", "The client had no token when it made the header"},
		},
		{
			name: "token without a scheme", yaml: greeterV2, lead: bySetting,
			ask:  sends(func(token string) string { return token }),
			want: []string{"token_missing", "a token without a scheme", "Put Bearer and one space before the token"},
		},
		{
			name: "authority over http", yaml: greeterV2, lead: bySetting,
			ask: func(r *toldRow) told {
				authority := "http" + strings.TrimPrefix(r.authority(), "https")
				if r.fixed {
					authority = r.authority() // as the error has it
				}
				if _, err := guard.New(r.Context(), guard.Config{Authority: authority, Audience: []string{"api://greeter"}}); err != nil {
					return told{http.StatusBadRequest, err.Error()}
				}
				return told{http.StatusOK, ""}
			},
			want: []string{"is not https", "write https://", "/{tenant id} and, if its certificate is not one that this machine trusts, set CABundle"},
		},
	}
}
