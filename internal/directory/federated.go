package directory

import (
	"errors"
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
	if err := checkFederated(&c); err != nil {
		return FederatedCredential{}, err
	}
	if c.Identity != "" {
		identity, err := e.view.Identities().get(tenant, c.Identity)
		if err != nil {
			return FederatedCredential{}, ruleAbout("identity", err)
		}
		c.Identity = identity.value.ID
	}
	err := e.changeFederated(Create, tenant, owner, func(name string, all *[]FederatedCredential) (string, error) {
		if err := checkFederatedFree(name, *all, &c); err != nil {
			return "", err
		}
		*all = append((*all)[:len(*all):len(*all)], c)
		if c.Identity != "" {
			return fmt.Sprintf("federated credential added: %s, managed identity %s", c.Name, c.Identity), nil
		}
		if c.Expression != "" {
			return fmt.Sprintf("federated credential added: %s, issuer %s, %s", c.Name, c.Issuer, c.Expression), nil
		}
		return fmt.Sprintf("federated credential added: %s, issuer %s, subject %s", c.Name, c.Issuer, c.Subject), nil
	})
	if err != nil {
		return FederatedCredential{}, err
	}
	return c, nil
}

// changeFederated lets f change the federated credentials of what has the object id.
func (e CredentialEditor) changeFederated(verb Verb, tenant TenantID, owner ObjectID, f func(name string, all *[]FederatedCredential) (string, error)) error {
	return e.act(verb, Credentials, func() error {
		identity, err := e.view.Identities().get(tenant, owner)
		if errors.Is(err, ErrNotFound) {
			return e.changeApplication(verb, tenant, owner, func(a *Application) (string, error) { return f(a.ref(), &a.Federated) })
		}
		if err != nil {
			return err
		}
		next := *identity.value
		detail, err := f(next.ref(), &next.Federated)
		if err != nil {
			return err
		}
		return update(e.editor, identity, &next, detail)
	})
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
	if len(all) >= maxFederated {
		return &RuleError{Field: "federated", What: fmt.Sprintf("%s has %d federated credentials already.", owner, len(all)), Advice: "Remove one first."}
	}
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
