package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// greeterAndHost is an API, and a host with identities.
const greeterAndHost = `applications:
  - name: greeter
    identifierUris: [api://greeter]
    appRoles: [{value: Greetings.Read, displayName: Read greetings, members: [Application]}]
  - name: nightly
managedIdentities:
  - {name: batch, type: user, assignments: [{api: greeter, roles: [Greetings.Read]}]}
  - {name: worker, type: user}
  - {name: stranger, type: user}
hosts: [{name: agent, listen: "127.0.0.1:{port}", identities: [batch, worker], via: app-service}]
`

// identityMisfits are those of programs that have a managed identity.
func identityMisfits() []misfit {
	withSystem := strings.NewReplacer("batch, type: user", "batch, type: system", "appRoles: [{", "appRoles: [{").Replace(greeterAndHost)
	return []misfit{
		{
			name: "two identities, and none is named", yaml: greeterAndHost,
			ask: identityAsks("agent", "", "client_id={id of batch}"),
			want: []string{"No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId",
				"The caller has batch (client id {id of batch}), worker (client id {id of worker})", "set AZURE_CLIENT_ID to its client id"},
			lead: bySetting,
		},
		{
			name: "two identities on a virtual machine, and none is named", yaml: strings.Replace(greeterAndHost, "via: app-service", "via: imds", 1),
			ask:  identityAsks("agent", "", "client_id={id of batch}"),
			want: []string{"Multiple user assigned identities exist", "The caller has batch (client id {id of batch})"},
			lead: bySetting,
		},
		{
			name: "object id in place of an identity's client id", yaml: greeterAndHost,
			ask:  identityAsks("agent", "client_id={object id of batch}", "client_id={id of batch}"),
			want: []string{"Identity not found", "The client_id {object id of batch} is the object id of batch", "The client id of batch is {id of batch}: send client_id={id of batch}"},
			lead: bySetting,
		},
		{
			name: "left-over AZURE_CLIENT_ID of an application", yaml: greeterAndHost,
			ask:  identityAsks("agent", "client_id={id of nightly}", "client_id={id of batch}"),
			want: []string{"Identity not found", "is the client id of nightly", "nightly is an application, not a managed identity: remove AZURE_CLIENT_ID"},
			lead: bySetting,
		},
		{
			name: "identity that is not assigned", yaml: greeterAndHost,
			ask:  identityAsks("agent", "client_id={id of stranger}", "client_id={id of batch}"),
			want: []string{"Identity not found", "stranger is not assigned to the caller", "The caller has batch"},
			lead: bySetting,
		},
		{
			name: "identity that nobody has", yaml: greeterAndHost,
			ask:  identityAsks("agent", "client_id=00000000-0000-4000-8000-000000000009", "client_id={id of batch}"),
			want: []string{"Identity not found", "is that of nobody in the tenant {tenant}"},
			lead: bySetting,
		},
		{
			name: "environment of a program that has ended", yaml: greeterAndHost,
			before: func(r *toldRow) { r.values["header"] = "0123456789abcdef" },
			ask: func(r *toldRow) told {
				if r.fixed {
					delete(r.values, "header")
				}
				return identityAsks("agent", "client_id={id of batch}", "client_id={id of batch}")(r)
			},
			want: []string{"is missing or not the one of this process", "send the value that its environment gives"},
			lead: bySetting,
		},
		{
			name: "identity without the role, and one that has it was not named", yaml: strings.Replace(withSystem, ", assignments: [{api: greeter, roles: [Greetings.Read]}]", "", 1),
			ask: func(r *toldRow) told {
				if got := identityAsks("agent", "", "")(r); got.status != 200 {
					return got
				}
				return r.visit(r.api("{id of greeter}", requires("Greetings.Read")))
			},
			want: []string{"batch holds no app role of greeter", "The request named no identity, so batch was taken, the default there. Others are there: worker (client id {id of worker})",
				"set AZURE_CLIENT_ID", "rolecall grant batch greeter/Greetings.Read"},
			lead: byCommand,
		},
		{
			name: "identity that asks for an API that is not there", yaml: greeterAndHost,
			ask: func(r *toldRow) told {
				resource := "api://greeeter"
				if r.fixed {
					resource = "api://greeter"
				}
				return r.identity("agent", "client_id={id of batch}", resource)
			},
			want: []string{"AADSTS500011", "Did you mean api://greeter?"},
			lead: bySetting,
		},
	}
}

// identityAsks lets a program of a host ask for a token for greeter, and name its identity one
// way at first and another way when the advice was followed.
func identityAsks(host, wrong, right string) func(*toldRow) told {
	return func(r *toldRow) told {
		if r.fixed {
			return r.identity(host, right, "api://greeter")
		}
		return r.identity(host, wrong, "api://greeter")
	}
}

// identity asks the endpoint of a host for a token.
func (r *toldRow) identity(host, named, resource string) told {
	r.Helper()
	var env map[string]string
	if err := json.Unmarshal([]byte(r.must("env", "--on", host, "-o", "json")), &env); err != nil {
		r.Fatal(err)
	}
	address, query := env["IDENTITY_ENDPOINT"], url.Values{"api-version": {"2019-08-01"}, "resource": {resource}}
	if address == "" {
		address = env["AZURE_POD_IDENTITY_AUTHORITY_HOST"] + "/metadata/identity/oauth2/token"
		query.Set("api-version", "2018-02-01")
	}
	if name, value, ok := strings.Cut(r.fill(named), "="); ok {
		query.Set(name, value)
	}
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, address+"?"+query.Encode(), http.NoBody)
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("X-IDENTITY-HEADER", env["IDENTITY_HEADER"])
	if header, ok := r.values["header"]; ok {
		request.Header.Set("X-IDENTITY-HEADER", header)
	}
	request.Header.Set("Metadata", "true")
	const correlation = "X-Ms-Client-Request-Id"
	request.Header.Set(correlation, newCorrelation())
	status, answer := r.send(request)
	var token struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal(answer, &token) == nil && status == http.StatusOK {
		r.values["token"] = token.Token
		return told{status, "a token"}
	}
	return told{status, string(answer) + "\n" + r.explained("--correlation-id", request.Header.Get(correlation))}
}
