package manifest_test

import (
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// withTrust is a file in which an application has a federated credential.
func withTrust(credential string) string {
	return `tenants:
  - name: contoso
    applications:
      - name: orders-client
        federatedCredentials: [` + credential + `]
    managedIdentities:
      - {name: orders-client-mi, type: system}
      - {name: other-mi, type: user}
`
}

// A federated credential names a managed identity, whose object id is not known before it
// is made.
func TestFederatedCredentialOfAnIdentity(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	trusted := func() directory.FederatedCredential {
		t.Helper()
		tenant, err := s.dir.Tenant(t.Context(), "contoso")
		if err != nil {
			t.Fatal(err)
		}
		client, err := s.dir.Named(t.Context(), tenant.ID, "orders-client")
		if err != nil || len(client.Federated()) != 1 {
			t.Fatal(client, err)
		}
		return client.Federated()[0]
	}
	s.mustApply(withTrust("{name: mi, identity: orders-client-mi}"), manifest.Options{})
	first := trusted()
	if first.Identity == "" || first.Issuer != "" || first.Subject != "" || first.Audience != directory.ExchangeAudience {
		t.Errorf("got %+v", first)
	}
	for _, prune := range []bool{false, true} {
		if again := s.mustApply(withTrust("{name: mi, identity: orders-client-mi}"), manifest.Options{Prune: prune}); len(again) > 0 {
			t.Errorf("applied again (prune: %v): %q", prune, again)
		}
	}
	s.mustApply(withTrust("{name: mi, identity: other-mi}"), manifest.Options{})
	if second := trusted(); second.Identity == first.Identity {
		t.Error("the credential is still for the first identity")
	}
	s.mustApply(withTrust(`{name: mi, issuer: "https://issuer.test", subject: build}`), manifest.Options{})
	if third := trusted(); third.Identity != "" || third.Issuer != "https://issuer.test" {
		t.Errorf("got %+v", third)
	}
}

func TestFederatedCredentialOfAnIdentityIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, credential, want string }{
		{"no such identity", "{name: mi, identity: orders-mi}", `there is no managed identity "orders-mi"`},
		{"an application", "{name: mi, identity: orders-client}", `there is no managed identity "orders-client"`},
		{"with an issuer", `{name: mi, identity: other-mi, issuer: "https://issuer.test"}`, "has no issuer of its own"},
		{"with a subject", "{name: mi, identity: other-mi, subject: build}", "has no subject of its own"},
		{"with an audience", "{name: mi, identity: other-mi, audience: api://orders}", "has no audience of its own"},
		{"neither", "{name: mi}", "lacks its issuer"},
		{"no subject", `{name: mi, issuer: "https://issuer.test"}`, "lacks its subject"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := newSite(t).apply(withTrust(tt.credential), manifest.Options{}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// An expression stands in the place of the subject, and is checked when the file is applied.
func TestFlexibleCredential(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const github = `{name: gh, issuer: "https://token.actions.githubusercontent.com", claimsMatchingExpression: "claims['sub'] matches 'repo:contoso/orders:*'"}`
	s.mustApply(withTrust(github), manifest.Options{})
	if again := s.mustApply(withTrust(github), manifest.Options{Prune: true}); len(again) > 0 {
		t.Errorf("applied again: %q", again)
	}
	changed := s.mustApply(withTrust(strings.ReplaceAll(github, "orders:*", "other:*")), manifest.Options{})
	if len(changed) == 0 {
		t.Error("another expression changes nothing")
	}
	for _, tt := range []struct{ credential, want string }{
		{strings.Replace(github, "name: gh", "name: gh, subject: x", 1), "has a subject and an expression"},
		{strings.Replace(github, "matches", "like", 1), "5:"},
		{strings.Replace(github, "matches", "like", 1), "at column 15"},
		{strings.Replace(github, "['sub']", "['actor']", 1), "compares the claim actor, which Azure does not compare in tokens of https://token.actions.githubusercontent.com"},
		{`{name: gh, identity: orders-client-mi, claimsMatchingExpression: "claims['sub'] eq 'x'"}`, "names an identity has no claimsMatchingExpression"},
		{`{name: gh, issuer: "https://gitlab.com"}`, "lacks its subject"},
		{strings.Replace(github, "'repo:contoso/orders:*'", "'repo:\\u202e*'", 1), "at column 29: only visible characters are allowed"},
		{github + ", " + strings.Replace(github, "name: gh", "name: again", 1), "trusts tokens of this issuer by this expression already"},
	} {
		if _, err := s.apply(withTrust(tt.credential), manifest.Options{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.credential, err, tt.want)
		}
	}
	if _, err := s.apply(withTrust(strings.Replace(github, "token.actions.githubusercontent.com", "ci.contoso.test", 1)), manifest.Options{}); err != nil {
		t.Errorf("an issuer of one's own: %v", err)
	}
}

// A certificate in DER is the one that its PEM has.
func TestCertificatesInDER(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	file := func(name string) string {
		return "tenants:\n  - name: contoso\n    applications:\n      - name: orders-client\n        certificates: [{name: prod, file: " + name + "}]\n"
	}
	s.mustApply(file("client.pem"), manifest.Options{})
	if changed := s.mustApply(file("client.cer"), manifest.Options{}); len(changed) > 0 {
		t.Errorf("the same certificate in DER changes %q", changed)
	}
}

// The advice about a file that cannot be taken fits the reason: one that is there was found.
func TestFilesThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"missing.pem": "Paths are relative to the folder of this file.",
		"key.pem":     "Name a file that holds what belongs here.",
		"blank.txt":   "Name a file that holds what belongs here.",
	} {
		_, err := parse(app("certificates: [{name: prod, file: " + name + "}]"))
		if got := fix.Of(err); got != want {
			t.Errorf("%s: got %q, want %q (%v)", name, got, want, err)
		}
	}
}
