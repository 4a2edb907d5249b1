package graph

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/selfguard"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// lendingRoutes are the routes by which a program on another machine runs as a managed identity,
// or as an application. Microsoft's service has no such actions, so their names are qualified by
// ours.
func lendingRoutes() []route {
	return []route{
		{http.MethodPost, "servicePrincipals/{principal}/rolecall.getToken", changesApplications(), lendToken},
		{http.MethodPost, "applications/{application}/rolecall.extendPassword", changesApplications(), extendPassword},
	}
}

// extendPassword lets a secret end at another time, so that one that a program was given ends soon
// after nobody asks for that any more. Who may is who may add another secret.
func extendPassword(c *call) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	type wanted = *directory.Secret
	secret := directory.Secret{}
	err = apply([]field[wanted]{
		{name: "keyId", write: func(s wanted, in input) (err error) { s.ID, err = in.guid(); return err }},
		{name: "endDateTime", write: func(s wanted, in input) (err error) { s.Expires, err = in.time(); return err }},
	}, &secret, input{"", given})
	switch {
	case err != nil:
		return answer{}, err
	case secret.ID == "":
		return answer{}, invalid("keyId", "A value is required for property 'keyId': the secret that is to last longer.")
	case secret.Expires.IsZero():
		return answer{}, invalid("endDateTime", "A value is required for property 'endDateTime': when the secret is to end.")
	}
	return done(), c.change(func(e *directory.Editor) error {
		at, err := c.applicationOwner(e.View())
		if err != nil {
			return err
		}
		if err := c.owns(at.owners); err != nil {
			return err
		}
		if !slices.ContainsFunc(at.secrets, func(s directory.Secret) bool { return s.ID == secret.ID }) {
			return invalid("keyId", "No password credential found with keyId "+quote(secret.ID)+".")
		}
		return e.Credentials().ExtendSecret(c.tenant(), at.id, secret.ID, secret.Expires)
	})
}

// lendToken answers with a token of a managed identity for one API. Who may add a credential to
// an application that exists in the tenant may have an identity's tokens as well: an identity has
// no credential to add, and the token is what one would have led to. It lasts no longer than an
// application's tokens, and the sign-in names who got it.
func lendToken(c *call) (answer, error) {
	identity, err := lendable(c)
	if err != nil {
		return answer{}, err
	}
	wanted, err := readLoan(c)
	if err != nil {
		return answer{}, err
	}
	if c.dryRun {
		return answer{status: http.StatusOK}, nil
	}
	if c.api.cfg.Minter == nil {
		return answer{}, &problem{status: http.StatusNotImplemented, code: "NotImplemented", message: "This Graph makes no tokens: call that of a running server (rolecall serve)."}
	}
	actor := c.caller.actor(0)
	source, _, _ := net.SplitHostPort(c.request.RemoteAddr) // empty in this process
	minted, err := c.api.cfg.Minter.Mint(c.ctx(), issuance.MintRequest{
		Tenant: c.tenant(), Identity: identity.AppID, Resource: wanted.resource, Claims: wanted.claims, CorrelationID: cmp.Or(wanted.correlation, c.ids.client),
		Source: source, Library: c.request.UserAgent(), Borrower: &directory.Borrower{Kind: actor.Kind, Name: actor.Name, ID: actor.ID},
	})
	if err != nil {
		return answer{}, unlent(aadsts.Of(err), minted)
	}
	return answer{
		status: http.StatusOK, context: "rolecall.token", header: http.Header{"Cache-Control": {"no-store"}, "Pragma": {"no-cache"}},
		body: object{
			{"tokenType", "Bearer"}, {"accessToken", minted.Token}, {"notBeforeDateTime", date(minted.NotBefore)}, {"expiresDateTime", date(minted.Expires)},
			{"resource", wanted.resource}, {"roles", orEmpty(minted.Roles)}, {"appId", minted.ClientID}, {"principalId", minted.ObjectID},
			{"resourceId", orNull(minted.ResourceID)}, {"tenantId", minted.Tenant}, {"correlationId", minted.Correlated}, {"traceId", minted.TraceID},
		},
	}, nil
}

// lendable finds the managed identity that the path names, if the caller may have its tokens.
func lendable(c *call) (*directory.ServicePrincipal, error) {
	view := c.view()
	p, err := c.principal(view)
	if err != nil {
		return nil, err
	}
	if err := c.owns(p.Owners); err != nil {
		return nil, err
	}
	if p.Type != directory.PrincipalManagedIdentity {
		return nil, invalid("", quote(p.Label())+" is no managed identity: add a credential to it (addPassword, addKey), and ask the authority for tokens.")
	}
	return p, mayStandFor(c, view, p)
}

// mayStandFor requires that nobody gets by an identity what he may not have himself. An identity
// with app roles of Graph may change the directory; its tokens are for those who could give
// themselves such roles, and for applications that have all of its roles already.
func mayStandFor(c *call, in *directory.View, identity *directory.ServicePrincipal) error {
	if c.caller.command != "" {
		return nil
	}
	graph, err := selfguard.GraphResources(c.ctx(), c.api.cfg.Directory, c.tenant())
	if err != nil {
		return err
	}
	held, err := selfguard.RolesAt(in, c.tenant(), identity.ID, graph)
	if err != nil || len(held) == 0 {
		return err
	}
	if c.caller.user == nil && !slices.ContainsFunc(held, func(role string) bool { return !slices.Contains(c.caller.Roles, role) }) {
		return nil
	}
	giver := changesAssignments()
	giver.users = []string{globalAdministrator, privilegedRoleAdministrator}
	if _, err := c.caller.check(giver); err != nil {
		return c.caller.denied(giver, fmt.Sprintf("%s holds app roles of Microsoft Graph itself: its tokens are for those who may give such roles.", quote(identity.Label())))
	}
	return nil
}

// A loan is what is asked for.
type loan struct{ resource, claims, correlation string }

func readLoan(c *call) (loan, error) {
	var wanted loan
	given, err := c.body()
	if err != nil {
		return wanted, err
	}
	type one = *loan
	err = apply([]field[one]{
		{name: "resource", write: func(w one, in input) (err error) { w.resource, err = in.text(); return err }},
		{name: "claims", write: func(w one, in input) (err error) { w.claims, err = in.optionalText(); return err }},
		{name: "correlationId", write: func(w one, in input) (err error) { w.correlation, err = in.guid(); return err }},
	}, &wanted, input{"", given})
	if err == nil && wanted.resource == "" {
		err = invalid("resource", "A value is required for property 'resource': the API that the token is for, such as api://orders.")
	}
	return wanted, err
}

// unlent words the authority's refusal.
func unlent(refusal *aadsts.Problem, minted issuance.Minted) *problem {
	p := &problem{status: http.StatusBadRequest, code: codeInvalid, message: text.Line(refusal.What, 4*text.MaxQuoted), cause: refusal}
	if refusal.Code != 0 {
		p.code = "AADSTS" + strconv.Itoa(refusal.Code)
	}
	if refusal.Status >= http.StatusInternalServerError || refusal.Status == http.StatusTooManyRequests {
		p.status, p.code = http.StatusServiceUnavailable, codeUnavailable
		p.header = http.Header{"Retry-After": {strconv.Itoa(max(refusal.RetryAfter, 1))}}
	}
	if refusal.Advice != "" {
		p = p.with(p.code, "", text.Line(refusal.Advice, 4*text.MaxQuoted))
	}
	if minted.Correlated != "" {
		p = p.with(p.code, "correlationId", "rolecall explain --correlation-id "+minted.Correlated+" tells more.")
	}
	return p
}
