package directory

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/expression"
	"github.com/rolecall-auth/rolecall/internal/text"
)

const (
	maxFederated     = 20
	maxFederatedText = 600
	// ExchangeAudience is the audience that platforms put into tokens meant for this exchange.
	ExchangeAudience = "api://AzureADTokenExchange"
)

// AddFederated lets tokens of another issuer prove an application, or a managed identity,
// which is named by the object id of its service principal. Without an audience it is the
// usual one, api://AzureADTokenExchange.
func (e CredentialEditor) AddFederated(tenant TenantID, owner ObjectID, c FederatedCredential) (FederatedCredential, error) {
	if c.Audience == "" {
		c.Audience = ExchangeAudience
	}
	if err := e.checkFederated(tenant, &c); err != nil {
		return FederatedCredential{}, err
	}
	err := e.change(Create, tenant, owner, func(k *keychain) (string, error) {
		if err := k.hasFederated(); err != nil {
			return "", err
		}
		if len(*k.federated) >= maxFederated {
			return "", &RuleError{Field: "federated", What: fmt.Sprintf("%s has %d federated credentials already.", k.ref, len(*k.federated)), Advice: "Remove one first."}
		}
		if err := checkFederatedFree(k.ref, *k.federated, &c); err != nil {
			return "", err
		}
		*k.federated = append((*k.federated)[:len(*k.federated):len(*k.federated)], c)
		return "federated credential added: " + c.describe(), nil
	})
	if err != nil {
		return FederatedCredential{}, err
	}
	return c, nil
}

// EditFederated changes a federated credential, named by its id or name, which both stay.
func (e CredentialEditor) EditFederated(tenant TenantID, owner ObjectID, ref string, f func(*FederatedCredential) error) (c FederatedCredential, err error) {
	err = e.change(Update, tenant, owner, func(k *keychain) (string, error) {
		i := -1
		if k.federated != nil {
			i = slices.IndexFunc(*k.federated, func(f FederatedCredential) bool { return f.ID == fold(ref) || fold(f.Name) == fold(ref) })
		}
		if i < 0 {
			return "", missing(fmt.Sprintf("%s has no federated credential %q.", k.called, text.Shown(ref)), "List its credentials to see their names.")
		}
		was := (*k.federated)[i]
		c = was
		if err := f(&c); err != nil {
			return "", err
		}
		if c.ID, c.Audience = was.ID, cmp.Or(c.Audience, ExchangeAudience); c.Name != was.Name {
			return "", &RuleError{Field: "name", What: fmt.Sprintf("The federated credential %q cannot be renamed.", was.Name), Advice: "Add another, and remove this one."}
		}
		if err := e.checkFederated(tenant, &c); err != nil {
			return "", err
		}
		others := without(*k.federated, i)
		if err := checkFederatedFree(k.ref, others, &c); err != nil {
			return "", err
		}
		*k.federated = slices.Clone(*k.federated)
		(*k.federated)[i] = c
		return "federated credential changed: " + c.describe(), nil
	})
	if err != nil {
		return FederatedCredential{}, err
	}
	return c, nil
}

// describe says whom it trusts, for the audit log.
func (c *FederatedCredential) describe() string {
	switch {
	case c.Identity != "":
		return fmt.Sprintf("%s, managed identity %s", c.Name, c.Identity)
	case c.Expression != "":
		return fmt.Sprintf("%s, issuer %s, %s", c.Name, c.Issuer, c.Expression)
	}
	return fmt.Sprintf("%s, issuer %s, subject %s", c.Name, c.Issuer, c.Subject)
}

// checkFederated checks a federated credential by itself, and that the managed identity that
// it names is there.
func (e CredentialEditor) checkFederated(tenant TenantID, c *FederatedCredential) error {
	if err := checkFederated(c); err != nil || c.Identity == "" {
		return err
	}
	identity, err := e.view.Identities().get(tenant, c.Identity)
	if err != nil {
		return ruleAbout("identity", err)
	}
	c.Identity = identity.value.ID
	return nil
}

func checkFederated(c *FederatedCredential) (err error) {
	if c.ID, err = givenGUID("id", c.ID); err != nil {
		return err
	}
	if !validFederatedName(c.Name) {
		return &RuleError{Field: "name", What: fmt.Sprintf("The federated credential cannot be named %q.", text.Shown(c.Name)), Advice: "Use 1 to 120 letters, digits, hyphens and underscores, a letter or digit first."}
	}
	if c.Identity != "" {
		if c.Issuer != "" || c.Subject != "" || c.Expression != "" || c.Audience != ExchangeAudience {
			return &RuleError{Field: "identity", What: fmt.Sprintf("The federated credential %q names a managed identity, which decides issuer, subject and audience.", c.Name), Advice: "Leave those out, or leave out the identity."}
		}
		return checkOptionalText("description", c.Description, maxFederatedText)
	}
	if err := checkIssuer(c.Issuer); err != nil {
		return err
	}
	if c.Expression != "" {
		if err := checkExpression(c); err != nil {
			return err
		}
	} else if err := checkText("subject", c.Subject, maxFederatedText); err != nil {
		return err
	}
	if err := checkText("audience", c.Audience, maxFederatedText); err != nil {
		return err
	}
	return checkOptionalText("description", c.Description, maxFederatedText)
}

// platformClaims are the claims that expressions may compare in the tokens of each platform that
// Entra takes flexible credentials for. Entra takes none for other issuers; here an expression may
// compare any claim of their tokens.
var platformClaims = map[string][]string{
	"https://token.actions.githubusercontent.com": {"sub", "job_workflow_ref"},
	"https://gitlab.com":                          {"sub"},
	"https://app.terraform.io":                    {"sub"},
}

// checkExpression requires an expression that can be read, about claims of its issuer.
func checkExpression(c *FederatedCredential) error {
	const field = "claimsMatchingExpression"
	if c.Subject != "" {
		return &RuleError{Field: field, What: fmt.Sprintf("The federated credential %q has a subject and an expression.", c.Name), Advice: "Keep one of them."}
	}
	e, err := expression.Parse(c.Expression)
	if err != nil {
		return &RuleError{Field: field, What: fmt.Sprintf("The expression of the federated credential %q cannot be read: %v.", c.Name, err), Advice: `Write terms such as claims['sub'] matches 'repo:contoso/orders:*', joined by " and ".`}
	}
	allowed, limited := platformClaims[c.Issuer]
	for _, claim := range e.Claims() {
		if limited && !slices.Contains(allowed, claim) {
			return &RuleError{Field: field, What: fmt.Sprintf("The expression of the federated credential %q compares the claim %s, which Azure does not compare in tokens of %s.", c.Name, claim, c.Issuer), Advice: "Compare " + strings.Join(allowed, " or ") + "."}
		}
	}
	return nil
}

// checkIssuer requires an issuer whose keys can be fetched safely.
func checkIssuer(issuer string) error {
	if err := checkText("issuer", issuer, maxFederatedText); err != nil {
		return err
	}
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return &RuleError{Field: "issuer", What: fmt.Sprintf("The issuer %q is not an https URL.", text.Shown(issuer)), Advice: "Write it exactly as in the tokens' iss claim, such as https://issuer.contoso.test/."}
	}
	return nil
}

func checkFederatedFree(owner string, all []FederatedCredential, c *FederatedCredential) error {
	if slices.ContainsFunc(all, func(f FederatedCredential) bool { return fold(f.Name) == fold(c.Name) || f.ID == c.ID }) {
		return taken("name", fmt.Sprintf("%s has a federated credential named %q already.", owner, c.Name), "Choose another name.")
	}
	if slices.ContainsFunc(all, func(f FederatedCredential) bool {
		return f.Issuer == c.Issuer && f.Subject == c.Subject && f.Expression == c.Expression && f.Identity == c.Identity
	}) {
		if c.Expression != "" {
			return taken("claimsMatchingExpression", fmt.Sprintf("%s trusts tokens of this issuer by this expression already.", owner), "Use the federated credential there is.")
		}
		return taken("subject", fmt.Sprintf("%s trusts this subject of this issuer already.", owner), "Use the federated credential there is.")
	}
	return nil
}

func validFederatedName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for i := range len(name) {
		c := name[i]
		alphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alphanumeric && (i == 0 || c != '-' && c != '_') {
			return false
		}
	}
	return true
}
