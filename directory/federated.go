package directory

import (
	"fmt"
	"net/url"
	"slices"
)

const (
	maxFederated     = 20
	maxFederatedText = 600
	// exchangeAudience is what platforms put into tokens meant for this exchange.
	exchangeAudience = "api://AzureADTokenExchange"
)

// AddFederated lets tokens of another issuer prove the application. Without an audience
// it is the usual one, api://AzureADTokenExchange.
func (e *Editor) AddFederated(tenant TenantID, app ObjectID, c FederatedCredential) (FederatedCredential, error) {
	if c.Audience == "" {
		c.Audience = exchangeAudience
	}
	if err := checkFederated(&c); err != nil {
		return FederatedCredential{}, err
	}
	err := e.changeApplication(tenant, app, func(a *Application) (string, error) {
		if err := checkFederatedFree(a, &c); err != nil {
			return "", err
		}
		a.Federated = append(a.Federated[:len(a.Federated):len(a.Federated)], c)
		return fmt.Sprintf("federated credential added: %s, issuer %s, subject %s", c.Name, c.Issuer, c.Subject), nil
	})
	if err != nil {
		return FederatedCredential{}, err
	}
	return c, nil
}

func checkFederated(c *FederatedCredential) (err error) {
	if c.ID, err = givenGUID("id", c.ID); err != nil {
		return err
	}
	if !validFederatedName(c.Name) {
		return &RuleError{Field: "name", What: fmt.Sprintf("The federated credential cannot be named %q.", clip(c.Name)), Fix: "Use 1 to 120 letters, digits, hyphens and underscores, a letter or digit first."}
	}
	if err := checkIssuer(c.Issuer); err != nil {
		return err
	}
	if err := checkText("subject", c.Subject, maxFederatedText); err != nil {
		return err
	}
	if err := checkText("audience", c.Audience, maxFederatedText); err != nil {
		return err
	}
	return checkOptionalText("description", c.Description, maxFederatedText)
}

// checkIssuer wants an issuer whose keys can be fetched safely.
func checkIssuer(issuer string) error {
	if err := checkText("issuer", issuer, maxFederatedText); err != nil {
		return err
	}
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return &RuleError{Field: "issuer", What: fmt.Sprintf("The issuer %q is not an https URL.", clip(issuer)), Fix: "Write it exactly as in the tokens' iss claim, such as https://issuer.contoso.test/."}
	}
	return nil
}

func checkFederatedFree(a *Application, c *FederatedCredential) error {
	if len(a.Federated) >= maxFederated {
		return &RuleError{Field: "federated", What: fmt.Sprintf("The application %s has %d federated credentials already.", a.Name, len(a.Federated)), Fix: "Remove one first."}
	}
	if slices.ContainsFunc(a.Federated, func(f FederatedCredential) bool { return fold(f.Name) == fold(c.Name) || f.ID == c.ID }) {
		return taken("name", fmt.Sprintf("The application %s has a federated credential named %q already.", a.Name, c.Name), "Choose another name.")
	}
	if slices.ContainsFunc(a.Federated, func(f FederatedCredential) bool { return f.Issuer == c.Issuer && f.Subject == c.Subject }) {
		return taken("subject", fmt.Sprintf("The application %s trusts this subject of this issuer already.", a.Name), "Use the federated credential there is.")
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
