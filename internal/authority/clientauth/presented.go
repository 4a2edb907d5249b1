package clientauth

import (
	"context"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// presented tells of a credential that was refused what helps to find the mistake, for the
// sign-in row. An attempt that has to wait leaves no row.
func (t *attempt) presented(ctx context.Context, err error) *directory.Presented {
	if problem := aadsts.Of(err); problem.Code == aadsts.CodeThrottled || problem.IsOutage() {
		return nil
	}
	p := &directory.Presented{ClientID: t.nameAsID(ctx)}
	switch {
	case t.credential.Assertion != "":
		describeAssertion(p, t.credential.Assertion)
	case t.credential.Secret != "" && t.x.SignIn.AppID != "":
		if client, err := t.directory.Instance(ctx, t.tenant.ID, t.x.SignIn.AppID); err == nil {
			p.Secret = t.directory.DescribeSecret(client.Application, t.credential.Secret)
		}
	}
	return p
}

// nameAsID returns what was sent as client_id if it is the name of an application. Anything
// else that is no id may be a secret.
func (t *attempt) nameAsID(ctx context.Context) string {
	id := strings.TrimSpace(t.credential.ClientID)
	if id == "" || guid.Is(id) {
		return ""
	}
	if named, err := t.directory.Named(ctx, t.tenant.ID, id); err == nil && named.Principal != nil {
		return named.Principal.Name
	}
	return ""
}

// describeAssertion notes whom an assertion names, as far as it can be read.
func describeAssertion(p *directory.Presented, assertion string) {
	parsed, err := token.Parse(assertion, assertionLimits)
	if err != nil {
		return
	}
	note := func(s string) string { return text.Line(s, text.MaxQuoted) }
	if a, err := readAssertionClaims(parsed.Claims); err == nil {
		const audiences = 4
		p.Issuer, p.Subject = note(a.issuer), note(a.subject)
		for _, audience := range a.audience[:min(len(a.audience), audiences)] {
			p.Audience = append(p.Audience, note(audience))
		}
	}
	if value, there := parsed.Header.Get("kid"); there {
		kid, _ := value.String()
		p.KeyID = note(kid)
	}
	if prints, err := readThumbprints(parsed.Header); err == nil {
		p.SHA1, p.SHA256 = hexadecimal(prints.sha1), hexadecimal(prints.sha256)
	}
}
