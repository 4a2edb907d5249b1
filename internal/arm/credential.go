package arm

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/selfguard"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A credentialBody is a federated credential of a managed identity.
type credentialBody struct {
	ID         string               `json:"id,omitempty"`
	Name       string               `json:"name,omitempty"`
	Type       string               `json:"type,omitempty"`
	Properties credentialProperties `json:"properties"`
}

type credentialProperties struct {
	Issuer     string              `json:"issuer"`
	Subject    string              `json:"subject,omitempty"`
	Audiences  []string            `json:"audiences"`
	Expression *matchingExpression `json:"claimsMatchingExpression,omitempty"`
}

// A matchingExpression compares claims in place of the subject. Some versions of the API have it.
type matchingExpression struct {
	Value    string `json:"value"`
	Language int    `json:"languageVersion"`
}

func (c *call) credentialBody(p *directory.ServicePrincipal, f directory.FederatedCredential) credentialBody {
	properties := credentialProperties{Issuer: f.Issuer, Subject: f.Subject, Audiences: []string{f.Audience}}
	if f.Identity != "" { // it stands for the tenant's issuer
		properties.Issuer, properties.Subject = c.cfg.Cloud.Login+"/"+string(p.Tenant)+"/v2.0", string(f.Identity)
	}
	if f.Expression != "" {
		properties.Expression = &matchingExpression{f.Expression, 1}
	}
	return credentialBody{p.ResourceID + "/federatedIdentityCredentials/" + f.Name, f.Name, credentialType, properties}
}

// credential finds the identity of the call, and which of its credentials the call names.
func (c *call) credential(v *directory.View) (*directory.ServicePrincipal, *directory.FederatedCredential, error) {
	p, err := c.identity(v)
	if err != nil {
		return nil, nil, err
	}
	for i := range p.Federated {
		if strings.EqualFold(p.Federated[i].Name, c.at["credential"]) {
			return p, &p.Federated[i], nil
		}
	}
	return p, nil, nil
}

func listCredentials(c *call) (reply, error) {
	if err := c.checkGroup(); err != nil {
		return reply{}, err
	}
	p, err := c.identity(c.view())
	if err != nil {
		return reply{}, err
	}
	all := list[credentialBody]{Value: []credentialBody{}}
	for _, f := range p.Federated {
		all.Value = append(all.Value, c.credentialBody(p, f))
	}
	return found(all)
}

func getCredential(c *call) (reply, error) {
	if err := c.checkGroup(); err != nil {
		return reply{}, err
	}
	p, f, err := c.credential(c.view())
	if err != nil {
		return reply{}, err
	}
	if f == nil {
		return reply{}, refusal(http.StatusNotFound, "NotFound", "The identity '%s' has no federated credential '%s'.", text.Shown(c.at["name"]), text.Shown(c.at["credential"]))
	}
	return found(c.credentialBody(p, *f))
}

// putCredential makes a credential, or puts another in the place of the one of that name.
func putCredential(c *call) (reply, error) {
	var body credentialBody
	if err := c.readBody(&body); err != nil {
		return reply{}, err
	}
	next, err := body.credential(c.at["credential"])
	if err != nil {
		return reply{}, err
	}
	graph, err := selfguard.GraphResources(c.ctx, c.cfg.Directory, c.tenant())
	if err != nil {
		return reply{}, err
	}
	status := http.StatusCreated
	var p *directory.ServicePrincipal
	err = c.change(func(e *directory.Editor) error {
		if err := c.checkGroupIn(e.View()); err != nil {
			return err
		}
		owner, present, err := c.credential(e.View())
		if err != nil {
			return err
		}
		if err := c.mayStandFor(e.View(), owner, graph); err != nil {
			return err
		}
		p = owner
		if present != nil {
			status, next.ID, next.Name = http.StatusOK, present.ID, present.Name
			if same(*present, next) {
				return nil
			}
			if err := e.Credentials().Remove(p.Tenant, p.ID, present.ID); err != nil {
				return err
			}
		}
		next, err = e.Credentials().AddFederated(p.Tenant, p.ID, next)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	return reply{status, c.credentialBody(p, next)}, nil
}

// mayStandFor requires that nobody gets by an identity what he may not have himself: whoever the
// credential trusts has the identity's tokens. An identity that holds app roles of Microsoft Graph
// may change the directory, so its credentials are for those who may give such roles, and for
// applications that hold all of its roles already. Graph's rolecall.getToken asks for the same.
func (c *call) mayStandFor(in *directory.View, identity *directory.ServicePrincipal, graph []*directory.Instance) error {
	held, err := selfguard.RolesAt(in, identity.Tenant, identity.ID, graph)
	if err != nil || len(held) == 0 {
		return err
	}
	if c.holder.HasDirectoryRole("Global Administrator", "Privileged Role Administrator") || slices.Contains(c.holder.GraphRoles, giverRole) {
		return nil
	}
	if c.holder.User == nil && !slices.ContainsFunc(held, func(role string) bool { return !slices.Contains(c.holder.GraphRoles, role) }) {
		return nil
	}
	return refusal(http.StatusForbidden, "AuthorizationFailed",
		"The identity '%s' holds app roles of Microsoft Graph itself: its credentials are for those who may give such roles, which are Global Administrators, Privileged Role Administrators and applications with %s.",
		text.Shown(c.at["name"]), giverRole)
}

// giverRole is the app role of Microsoft Graph that lets an application give itself any other.
const giverRole = "AppRoleAssignment.ReadWrite.All"

func same(a, b directory.FederatedCredential) bool {
	return a.Identity == b.Identity && a.Issuer == b.Issuer && a.Subject == b.Subject && a.Expression == b.Expression && a.Audience == b.Audience
}

// credential is what the body asks for.
func (b *credentialBody) credential(name string) (directory.FederatedCredential, error) {
	f := directory.FederatedCredential{Name: name, Issuer: b.Properties.Issuer, Subject: b.Properties.Subject}
	if len(b.Properties.Audiences) != 1 || b.Properties.Audiences[0] == "" {
		return f, refusal(http.StatusBadRequest, "BadRequest", "The member properties.audiences holds exactly one audience, usually %s.", directory.ExchangeAudience)
	}
	f.Audience = b.Properties.Audiences[0]
	if e := b.Properties.Expression; e != nil {
		if e.Language != 1 {
			return f, refusal(http.StatusBadRequest, "BadRequest", "The member properties.claimsMatchingExpression.languageVersion can only be 1.")
		}
		f.Expression = e.Value
	}
	return f, nil
}

func deleteCredential(c *call) (reply, error) {
	status := http.StatusOK
	err := c.change(func(e *directory.Editor) error {
		p, f, err := c.credential(e.View())
		if gone, is := errors.AsType[*problem](err); is && gone.code == "ResourceNotFound" || err == nil && f == nil {
			status = http.StatusNoContent
			return nil
		}
		if err != nil {
			return err
		}
		return e.Credentials().Remove(p.Tenant, p.ID, f.ID)
	})
	return reply{status: status}, err
}
