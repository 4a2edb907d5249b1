package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// A server whose version 1 tokens have an issuer of their own is no stranger's.
func TestVersion1TokensOfAnIssuerOfTheirOwnAreExplained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	running, err := server.Start(t.Context(), server.Config{Dir: dir, NewKey: newTestKeys(), V1Issuer: "https://sts.windows.net/{tenantid}/", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	do := func(stdin string, args ...string) string {
		t.Helper()
		var out, said bytes.Buffer
		if code := testCLI(streamsOf(noEnvironment(t), strings.NewReader(stdin), &out, &said)).run(t.Context(), append(args, "--data", dir)); code != command.ExitOK {
			t.Errorf("%s: exit code %d\n%s%s", args[0], code, &out, &said)
		}
		return out.String()
	}
	do("tenants:\n  - name: default\n"+`    applications:
      - name: greeter
        identifierUris: [api://greeter]
        requestedAccessTokenVersion: 1
        appRoles: [{value: Greetings.Read, displayName: Read, members: [Application]}]
      - name: nightly
        permissions: [{api: greeter, roles: [Greetings.Read], consent: true}]
`, "apply", "-f", "-")
	token := do("", "token", "--as", "nightly", "--scope", "api://greeter/.default")
	if got := do(token, "explain", "-o", "table", "-"); !strings.HasPrefix(got, "accepted by greeter") {
		t.Errorf("got %s", got)
	}
}
