package explain

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// diagnoseSecret is about a secret that is wrong, or has ended, or was not sent.
func (s *signIn) diagnoseSecret() {
	app, name := s.client.Application, s.report.Client
	if app == nil {
		s.report.Verdict = fmt.Sprintf("%s is a managed identity, which has no secret", s.client.Principal.Called())
		s.report.Fix = &Fix{What: fmt.Sprintf("Run the program as the identity, without a secret: rolecall run --as %s%s -- PROGRAM", shellQuote(s.client.Principal.Called()), tenantFlag(s.inTenant()))}
		return
	}
	s.listSecrets(app)
	switch s.Code {
	case credentialMissing:
		s.report.Verdict = fmt.Sprintf("%s sent no credential: neither a secret nor a certificate nor a token", name)
		s.addSecret(app)
	case secretExpired:
		s.report.Verdict = fmt.Sprintf("the secret of %s has ended", name)
		s.addSecret(app)
	default:
		s.wrongSecret(app)
	}
}

// listSecrets adds which secrets there are, by name.
func (s *signIn) listSecrets(app *directory.Application) {
	var said []string
	for _, one := range app.Secrets {
		said = append(said, fmt.Sprintf("%s (%s)", cmp.Or(one.Name, one.ID), s.ends(one.Expires)))
	}
	if len(said) == 0 {
		s.hint("%s has no secrets.", app.Called())
		return
	}
	s.hint("Secrets of %s: %s.", app.Called(), strings.Join(said, ", "))
}

// ends says when a credential ends, or ended.
func (s *signIn) ends(at time.Time) string {
	switch {
	case at.IsZero():
		return "never ends"
	case at.After(s.at()):
		return "ends " + clock(at)
	default:
		return "ended " + clock(at)
	}
}

// generatedLength is how long a generated secret is.
const generatedLength = 46

// wrongSecret says what is wrong with a secret, as far as that was seen.
func (s *signIn) wrongSecret(app *directory.Application) {
	sent := s.Presented.Secret
	if sent == nil {
		s.addSecret(app)
		return
	}
	right := "Without that it is right"
	switch sent.Slip {
	case directory.SlipLineBreak:
		s.slipped("it came with a line break at its end", right+": take the line break off where the secret is read; files and echo end in one.")
	case directory.SlipBlanks:
		s.slipped("it came with blanks around it", right+": take them off where the secret is read.")
	case directory.SlipQuotes:
		s.slipped("it came with quotes around it", right+": the quotes of a shell or a file of settings went along; leave them out.")
	case directory.SlipEncoded:
		s.slipped("it was form-encoded twice", "Encode it once; a client library does that by itself.")
	case directory.SlipPlus:
		s.slipped("its plus signs were not form-encoded, and arrived as blanks", "Form-encode it: a plus sign as %2B; a client library does that by itself.")
	case directory.SlipID:
		s.slipped("what was sent is the secret's id", "Send the secret's value. It was shown once, when it was made; a lost one cannot be shown again.")
		s.addSecret(app)
	default:
		s.strangeSecret(app, sent)
	}
}

func (s *signIn) slipped(how, fix string) {
	s.report.Verdict = fmt.Sprintf("the secret of %s is wrong: %s", s.report.Client, how)
	s.report.Fix = &Fix{What: fix}
}

// strangeSecret is about a secret of which nobody knows what would make it right.
func (s *signIn) strangeSecret(app *directory.Application, sent *directory.PresentedSecret) {
	s.report.Verdict = fmt.Sprintf("the secret of %s is wrong", s.report.Client)
	if app.Secrets == nil {
		s.report.Verdict = fmt.Sprintf("%s sent a secret, and has none", s.report.Client)
	}
	generated := slices.ContainsFunc(app.Secrets, func(one directory.Secret) bool { return one.Scheme == directory.SchemeHMAC })
	if generated && sent.Length != generatedLength {
		s.hint("%d characters were sent; generated secrets have %d.", sent.Length, generatedLength)
	} else {
		s.hint("%d characters were sent.", sent.Length)
	}
	switch {
	case sent.Blank:
		s.hint("There is a blank in it, which a plus sign becomes that was not form-encoded: form-encode it.")
	case sent.Percent:
		s.hint("There is an escape such as %%2B in it: form-encode it once, not twice.")
	case sent.Like != "":
		s.hint("It begins as %s does: it was cut or changed on the way, as by a shell that reads $ or ! in it; put it between single quotes.", sent.Like)
	}
	s.addSecret(app)
}

// addSecret advises to add a secret, by a name that is free.
func (s *signIn) addSecret(app *directory.Application) {
	name := "new"
	for n := 2; slices.ContainsFunc(app.Secrets, func(one directory.Secret) bool { return strings.EqualFold(one.Name, name) }); n++ {
		name = fmt.Sprintf("new-%d", n)
	}
	what := "Add a new secret; its value is printed once. Give it to the client."
	if s.report.Fix != nil && s.Presented.Secret != nil && s.Presented.Secret.Slip == directory.SlipID {
		what = s.report.Fix.What + " This makes a new one:"
	}
	s.report.Fix = &Fix{What: what, Command: Fragment(s.tenant.Name, app.Called(), "secrets: [{name: "+quote(name)+", generate: true}]")}
}

// diagnoseCertificate puts the certificate that an assertion names beside those registered.
func (s *signIn) diagnoseCertificate() {
	sent := s.Presented
	if s.client.Application == nil || sent.SHA1 == "" && sent.SHA256 == "" && !guid.Is(sent.Issuer) {
		return
	}
	c := Comparison{What: "certificate", Presented: cmp.Or(sent.SHA1, sent.KeyID)}
	if sent.SHA256 != "" {
		c.Presented = strings.TrimSpace(sent.SHA1 + " SHA-256 " + sent.SHA256)
	}
	known := false
	for _, one := range s.client.Application.Certificates {
		r := Registered{Name: one.Name, Value: capitals(one.SHA1), Note: s.ends(one.ValidUntil)}
		if sent.SHA256 != "" {
			r.Value += " SHA-256 " + capitals(one.SHA256)
		}
		if sent.SHA1 != "" && sent.SHA1 == capitals(one.SHA1) || sent.SHA256 != "" && sent.SHA256 == capitals(one.SHA256) {
			known = true
			r.Note += "; the one presented"
		}
		c.Registered = append(c.Registered, r)
	}
	s.report.Compared = append(s.report.Compared, c)
	switch {
	case known:
	case len(c.Registered) == 0:
		s.report.Verdict = fmt.Sprintf("%s signs with a certificate, and has none registered", s.report.Client)
		s.report.Fix = &Fix{What: fmt.Sprintf("Register the client's certificate, without its key, in rolecall.yaml: certificates: [{name: NAME, file: client.pem}] of %s; then rolecall apply -f rolecall.yaml.", s.report.Client)}
	default:
		s.report.Verdict = fmt.Sprintf("%s signs with a certificate that is not registered", s.report.Client)
		s.report.Fix = &Fix{What: "Let the client use one of those registered, or add its certificate, without the key, to certificates in rolecall.yaml: {name: NAME, file: client.pem}; then rolecall apply -f rolecall.yaml."}
	}
}

// capitals is a thumbprint in base64url as certificate stores show it.
func capitals(thumbprint string) string {
	raw, err := base64.RawURLEncoding.DecodeString(thumbprint)
	if err != nil {
		return thumbprint
	}
	return strings.ToUpper(hex.EncodeToString(raw))
}

// diagnoseFederated puts what a federated token says beside what credentials expect of it.
func (s *signIn) diagnoseFederated() {
	federated := s.client.Federated()
	name := s.client.Principal.Called()
	if len(federated) == 0 {
		s.report.Verdict = fmt.Sprintf("%s presents a token of another issuer, and trusts none: it has no federated credential", name)
		s.trust("", name)
		return
	}
	audience := strings.Join(s.Presented.Audience, " ")
	which := ""
	for _, part := range []struct {
		code            []int
		what, presented string
		of              func(directory.FederatedCredential) string
	}{
		{[]int{federatedIssuer}, "issuer", s.Presented.Issuer, func(c directory.FederatedCredential) string { return c.Issuer }},
		{[]int{federatedAudience, federatedNoExchange}, "audience", audience, func(c directory.FederatedCredential) string { return c.Audience }},
		{[]int{federatedSubject, federatedCase}, "subject", s.Presented.Subject, subjectOf},
	} {
		if !slices.Contains(part.code, s.Code) {
			continue
		}
		compared := Comparison{What: part.what, Presented: part.presented}
		for _, c := range federated {
			if part.what != "issuer" && c.Issuer != "" && c.Issuer != s.Presented.Issuer {
				continue // another issuer's
			}
			compared.Registered = append(compared.Registered, Registered{Name: c.Name, Value: part.of(c), Note: differs(part.presented, part.of(c))})
		}
		s.report.Compared = append(s.report.Compared, compared)
		s.report.Verdict = fmt.Sprintf("the %s of the token that %s presents is not that of its federated credential", part.what, name)
		if len(compared.Registered) == 1 {
			which = compared.Registered[0].Name
		}
	}
	s.trust(which, name)
}

// subjectOf is what a credential expects of the subject.
func subjectOf(c directory.FederatedCredential) string {
	switch {
	case c.Expression != "":
		return c.Expression
	case c.Identity != "":
		return string(c.Identity)
	default:
		return c.Subject
	}
}

// trust advises to correct the credential, or to add one. Nobody has verified the token.
func (s *signIn) trust(credential, name string) {
	audience := directory.ExchangeAudience
	if s.Code == federatedAudience {
		s.report.Fix = &Fix{What: fmt.Sprintf("Let the client ask its issuer for a token with the audience %s.", s.wanted())}
		return
	}
	if s.client.Application == nil || s.Code == federatedNoExchange {
		return
	}
	s.report.Fix = &Fix{
		What: "Nobody has verified the token: make sure that the issuer and the subject are those you mean. Then:",
		Command: Fragment(s.tenant.Name, name, "federatedCredentials:", fmt.Sprintf("  - {name: %s, issuer: %s, subject: %s, audience: %s}",
			quote(cmp.Or(credential, "new")), quote(s.Presented.Issuer), quote(s.Presented.Subject), quote(audience))),
	}
}

// wanted is the audience of a credential for the issuer of the token.
func (s *signIn) wanted() string {
	for _, c := range s.client.Federated() {
		if c.Issuer == s.Presented.Issuer || c.Issuer == "" {
			return text.Shown(c.Audience)
		}
	}
	return directory.ExchangeAudience
}

// differs says how two values differ that are nearly the same.
func differs(presented, registered string) string {
	switch {
	case presented == registered:
		return "the same"
	case strings.EqualFold(presented, registered):
		return "differs by case"
	case strings.TrimRight(presented, "/") == strings.TrimRight(registered, "/"):
		return "differs by a slash at its end"
	case strings.TrimSpace(presented) == strings.TrimSpace(registered):
		return "differs by blanks"
	}
	return ""
}
