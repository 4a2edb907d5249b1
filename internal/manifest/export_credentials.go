package manifest

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// secrets asks for secrets of the same names to be made. The texts are kept nowhere.
func (e *exporter) secrets(owner, of string, secrets []directory.Secret) (all []string) {
	names := map[string]bool{}
	for _, s := range secrets {
		what := fmt.Sprintf("the secret %q", s.Name) + of
		switch {
		case e.cfg.Passing != nil && e.cfg.Passing(s.Name):
		case !s.Expires.IsZero() && !e.cfg.Now.Before(s.Expires):
			e.omit(owner, what, "it has expired")
		case s.Name == "":
			e.omit(owner, fmt.Sprintf("the secret %s%s", s.ID, of), "it has no name")
		case names[s.Name]:
			e.omit(owner, what, "another has the same name")
		default:
			names[s.Name] = true
			e.omit(owner, what, "its text is kept nowhere: applying the file to a new directory makes another")
			all = append(all, object(str("name", s.Name), raw("generate", "true"), raw("expires", moment(s.Expires))))
		}
	}
	return all
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// certificates writes certificates whole: they are public.
func (e *exporter) certificates(owner, of string, certificates []directory.Certificate) (all []string) {
	names := map[string]bool{}
	for _, c := range certificates {
		what := fmt.Sprintf("the certificate %q", c.Name) + of
		switch {
		case e.cfg.Passing != nil && e.cfg.Passing(c.Name):
		case !e.cfg.Now.Before(c.ValidUntil):
			e.omit(owner, what, "it has expired")
		case names[c.Name]:
			e.omit(owner, what, "another has the same name")
		default:
			names[c.Name] = true
			from, until := limits(c)
			all = append(all, object(
				str("name", c.Name), str("pem", certificatePEM(c.DER)), other("usage", usageOf(c), string(directory.CertificateVerify)),
				raw("validFrom", moment(from)), raw("validUntil", moment(until)),
			))
		}
	}
	return all
}

// limits are when a certificate begins and ceases to count; zero where that is as it says itself.
func limits(c directory.Certificate) (from, until time.Time) {
	parsed, err := x509.ParseCertificate(c.DER)
	if err != nil {
		return from, until
	}
	if c.ValidFrom.After(parsed.NotBefore) {
		from = c.ValidFrom
	}
	if c.ValidUntil.Before(parsed.NotAfter.Truncate(time.Microsecond)) {
		until = c.ValidUntil
	}
	return from, until
}

func (e *exporter) federated(credentials []directory.FederatedCredential) error {
	var all []string
	for _, f := range credentials {
		members := []string{str("name", f.Name)}
		if f.Identity == "" {
			members = append(members, str("issuer", f.Issuer), str("subject", f.Subject), str("claimsMatchingExpression", f.Expression), other("audience", f.Audience, directory.ExchangeAudience))
		} else {
			identity, err := e.cfg.View.Identities().Get(e.of.ID, f.Identity)
			if errors.Is(err, directory.ErrNotFound) {
				e.omit(f.Name, "the federated credential", "its managed identity is gone")
				continue
			}
			if err != nil {
				return err
			}
			members = append(members, str("identity", cmp.Or(identity.Name, string(identity.AppID))))
		}
		all = append(all, object(append(members, str("description", f.Description))...))
	}
	e.objects("federatedCredentials", all)
	return nil
}
