package review

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// An Unused is something that nobody used since a time.
type Unused struct {
	Tenant   string    `json:"tenant"`
	Kind     string    `json:"kind"` // "assignment", "delegatedGrant", "secret", "certificate", "federatedCredential", "managedIdentity"
	Of       string    `json:"of"`   // whose it is
	Name     string    `json:"name"`
	ID       string    `json:"id"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"lastUsed,omitzero"` // zero: never, as far as is known
}

// An UnusedReport is what was not used since a time.
type UnusedReport struct {
	Since time.Time `json:"since"`
	// Known is how far back sign-ins are kept. What was used before may be here.
	Known  time.Time `json:"signInsSince,omitzero"`
	Unused []Unused  `json:"unused"`
}

// Unused finds grants, credentials and managed identities that are older than a time and were
// not used since. A token from the cache of a client or an endpoint counts for when it was issued.
func (r *Reviewer) Unused(ctx context.Context, since time.Time) (*UnusedReport, error) {
	used, err := r.usage(ctx)
	if err != nil {
		return nil, err
	}
	report := &UnusedReport{Since: since, Known: used.since, Unused: []Unused{}}
	v := r.Directory.View(ctx)
	for _, tenant := range r.Tenants {
		w := &unusedWalk{reviewer: r, ctx: ctx, view: v, tenant: tenant, used: used, report: report}
		if err := each(v.ServicePrincipals(), tenant.ID, w.principal); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(report.Unused, func(a, b Unused) int { return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Of, b.Of)) })
	return report, nil
}

type unusedWalk struct {
	reviewer *Reviewer
	ctx      context.Context // of the one Unused
	view     *directory.View
	tenant   *directory.Tenant
	used     *usage
	report   *UnusedReport
}

// note adds what is old and was not used.
func (w *unusedWalk) note(u Unused) {
	if u.Created.After(w.report.Since) || u.LastUsed.After(w.report.Since) {
		return
	}
	u.Tenant = w.tenant.Name
	w.report.Unused = append(w.report.Unused, u)
}

func (w *unusedWalk) principal(p *directory.ServicePrincipal) error {
	client := clientKey{w.tenant.ID, p.AppID}
	if p.Type == directory.PrincipalManagedIdentity {
		w.note(Unused{Kind: "managedIdentity", Of: p.Label(), Name: p.Label(), ID: string(p.ID), Created: p.Created, LastUsed: w.used.clients[client]})
	}
	w.secrets(p.Label(), p.Secrets)
	w.certificates(p.Label(), p.Certificates)
	w.federated(p.Label(), p.Created, p.Federated)
	if app, err := apiOf(w.view, p); err != nil {
		return err
	} else if app != nil {
		w.secrets(app.Label(), app.Secrets)
		w.certificates(app.Label(), app.Certificates)
		w.federated(app.Label(), app.Created, app.Federated)
	}
	return w.grants(p, client)
}

func (w *unusedWalk) secrets(of string, all []directory.Secret) {
	for _, s := range all {
		if !w.reviewer.passes(s.Name) {
			w.note(Unused{Kind: "secret", Of: of, Name: s.Name, ID: s.ID, Created: s.Created, LastUsed: w.used.credentials[s.ID]})
		}
	}
}

func (w *unusedWalk) certificates(of string, all []directory.Certificate) {
	for _, c := range all {
		if !w.reviewer.passes(c.Name) {
			w.note(Unused{Kind: "certificate", Of: of, Name: c.Name, ID: c.ID, Created: c.Created, LastUsed: w.used.credentials[c.ID]})
		}
	}
}

// federated takes the time of the owner: the credentials do not say when they were made.
func (w *unusedWalk) federated(of string, created time.Time, all []directory.FederatedCredential) {
	for _, f := range all {
		w.note(Unused{Kind: "federatedCredential", Of: of, Name: f.Name, ID: f.ID, Created: created, LastUsed: w.used.credentials[f.ID]})
	}
}

// grants looks at what a client holds of others.
func (w *unusedWalk) grants(p *directory.ServicePrincipal, client clientKey) error {
	assignments, err := w.view.Assignments().AllOf(w.tenant.ID, p.ID)
	if err != nil {
		return err
	}
	for _, a := range assignments {
		api, err := w.api(a.Resource)
		if err != nil {
			return err
		}
		if api == nil {
			continue
		}
		if role, ok := api.Role(string(a.Role)); ok {
			w.note(Unused{
				Kind: "assignment", Of: p.Label(), Name: api.Label() + "/" + role.Value, ID: string(a.ID), Created: a.Created,
				LastUsed: w.used.roles[permissionKey{client, api.AppID, role.Value, false}],
			})
		}
	}
	grants, err := w.view.DelegatedGrants().AllOf(w.tenant.ID, p.ID)
	if err != nil {
		return err
	}
	for _, g := range grants {
		api, err := w.api(g.Resource)
		if err != nil {
			return err
		}
		if api == nil {
			continue
		}
		for _, value := range g.Scopes {
			w.note(Unused{
				Kind: "delegatedGrant", Of: p.Label(), Name: api.Label() + "/" + value, ID: string(g.ID), Created: g.Created,
				LastUsed: w.used.roles[permissionKey{client, api.AppID, value, true}],
			})
		}
	}
	return nil
}

// api finds the API with a service principal, one of Microsoft's own too; nil: it is gone.
func (w *unusedWalk) api(id directory.ObjectID) (*directory.Application, error) {
	if builtin, is := directory.FindBuiltinPrincipal(w.tenant.ID, id); is {
		return builtin.Application, nil
	}
	p, err := present(w.view.ServicePrincipals().Get(w.tenant.ID, id))
	if p == nil || err != nil {
		return nil, err
	}
	return apiOf(w.view, p)
}
