package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/backup"
	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/review"
)

// noon is the time in the listings of the tests.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// listings has one of each kind that a command prints, with values as long as they get.
func listings() map[string]output.Listing {
	return map[string]output.Listing{
		"signins": signInListing([]directory.SignIn{
			{
				Time: noon, Tenant: "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11", CorrelationID: "9f03d768-7e75-415e-b6d7-61f015f03a6b", TraceID: "1",
				AppID: "c11e0001-5a5a-4c4c-8d8d-000000000001", Name: "orders-client", Credential: "secret", Resource: "api://orders",
				Roles: []string{"Orders.Read", "Orders.Write"}, Version: "2.0",
			},
			{
				Time: noon, Tenant: "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11", CorrelationID: "1f03d768-7e75-415e-b6d7-61f015f03a6b", TraceID: "2",
				AppID: "c11e0001-5a5a-4c4c-8d8d-000000000001", Resource: "api://orders", User: "dev@contoso.test", Scopes: []string{"Orders.List"}, Cloud: "public", Code: 7000215,
			},
		}),
		"changes": changeListing([]audit.Row{{Sequence: 7, Event: audit.Event{
			Time: noon, Actor: "cli:apply", ActorKind: "operator", Action: "application.update", Kind: "application", Target: "c11e0001-5a5a-4c4c-8d8d-000000000001", Name: "orders-client", Detail: "identifierUris, requestedAccessTokenVersion",
		}}}),
		"access": accessListing([]review.Access{
			{Tenant: "contoso", API: "orders-server", APIAppID: "a9100002-5a5a-4c4c-8d8d-000000000002", Role: "Orders.Read", Principal: "orders-client-mi", PrincipalID: "9e03d768-7e75-415e-b6d7-61f015f03a6b", Kind: review.ByIdentity, ID: "8e03d768-7e75-415e-b6d7-61f015f03a6b", Since: noon, Idle: "the principal is disabled"},
			{Tenant: "contoso", API: "orders-server", APIAppID: "a9100002-5a5a-4c4c-8d8d-000000000002", Scope: "Orders.List", Principal: "every user", Kind: review.ByEveryone, Client: "orders-client", ID: "7e03d768-7e75-415e-b6d7-61f015f03a6b", Since: noon},
		}),
		"unused": unusedListing(&review.UnusedReport{Since: noon, Known: noon, Unused: []review.Unused{
			{Tenant: "contoso", Kind: "federatedCredential", Of: "orders-client", Name: "github", ID: "9e03d768-7e75-415e-b6d7-61f015f03a6b", Created: noon, LastUsed: noon},
			{Tenant: "contoso", Kind: "secret", Of: "orders-client", Name: "ci", ID: "8e03d768-7e75-415e-b6d7-61f015f03a6b", Created: noon},
		}}),
		"open": openListing([]review.Open{{Tenant: "contoso", API: "stock-server", AppID: "a9100002-5a5a-4c4c-8d8d-000000000003", ID: "9e03d768-7e75-415e-b6d7-61f015f03a6b", Roles: 1, Fix: "Set assignmentRequired: true for stock-server, or let it demand an app role and grant that."}}),
		"ending": endingListing([]review.Ending{
			{Tenant: "contoso", Kind: "secret", Of: "orders-client", Name: "ci", ID: "9e03d768-7e75-415e-b6d7-61f015f03a6b", Ends: noon.Add(50 * time.Hour), LastUsed: noon},
			{Kind: "certificateAuthority", Name: "Rolecall root", ID: "1f", Ends: noon, Ended: true},
		}, noon),
		"audit":       auditListing(auditReport{Whole: true, Rows: 12, KeyedFrom: 1, Last: command.ShortTime(noon)}),
		"keys":        keyListing([]tenantKey{{"contoso", "public", keyring.KeyInfo{ID: "kuJAmB1cWq9s2m3d4e5f6g7h8i9", State: keyring.Retired, Created: noon, Activated: noon, Retired: noon, RetainUntil: noon}}}),
		"assignments": assignmentListing([]assignment{{"contoso", "orders-client-mi", "9e03d768-7e75-415e-b6d7-61f015f03a6b", "orders-server", "Orders.Read", "granted"}}),
		"backup":      backupListing(newBackupInfo("backup.rolecall", "", backup.Header{Created: noon, Version: "1.0.0", KEK: "2f8a", Sealed: true})),
		"explanation": explanationListing(&explain.Report{Reason: "missing_role", Verdict: "it has no role", Steps: []explain.Step{{Name: "signature", Outcome: explain.Passed}, {Name: "roles", Outcome: explain.Failed, Reason: "missing_role", Detail: "it has none"}}}),
		"connection":  connectionListing(explain.Connection("RunAs=App;AppId=c11e0001-5a5a-4c4c-8d8d-000000000001;TenantId=contoso.test;AppKey=secret")),
	}
}

// What scripts read stays as it is: columns in their order, members by their names.
func TestListingsAreStableForScripts(t *testing.T) {
	t.Parallel()
	for name, l := range listings() {
		for _, format := range []string{"tsv", "json"} {
			var b bytes.Buffer
			if err := (output.Printer{Out: &b}).Print(&output.Format{Value: format}, l); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", "golden", name+"."+format)
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Error(err)
			} else if b.String() != string(want) {
				t.Errorf("%s: got\n%s\nwant\n%s\nIf that is meant: UPDATE=1 go test ./cmd/rolecall -run %s", file, b.String(), want, t.Name())
			}
		}
	}
}

// Every table fits a terminal of 80 columns as a table, and says what it has left out.
func TestTablesFitEightyColumns(t *testing.T) {
	t.Parallel()
	for name, l := range listings() {
		var b, said strings.Builder
		p := output.Printer{Out: &b, Screen: output.Screen{Width: 80}, Say: func(_ string, args ...any) { said.WriteString(args[0].(string)) }}
		if err := p.Print(&output.Format{Value: "table"}, l); err != nil {
			t.Fatal(err)
		}
		header, _, _ := strings.Cut(b.String(), "\n")
		if header != strings.ToUpper(header) {
			t.Errorf("%s is no table on 80 columns:\n%s", name, b.String())
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s has a line of %d columns: %s", name, n, line)
			}
		}
		for i, column := range l.Columns {
			if l.Rows[0][i] != "" && !strings.Contains(header, strings.ToUpper(column)) && !strings.Contains(said.String(), column) {
				t.Errorf("%s leaves out %q without a word", name, column)
			}
		}
	}
}
