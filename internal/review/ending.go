package review

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// An Ending is something that ends by itself.
type Ending struct {
	Tenant   string          `json:"tenant,omitempty"`  // none: of the whole server
	Kind     string          `json:"kind"`              // "secret", "certificate", "signingKey", "certificateAuthority", "hostCertificate"
	Of       string          `json:"of,omitempty"`      // whose it is
	OfAppID  directory.AppID `json:"ofAppId,omitempty"` // of an application's or a managed identity's
	Name     string          `json:"name"`
	ID       string          `json:"id,omitempty"`
	Ends     time.Time       `json:"ends"`
	Ended    bool            `json:"ended"`
	LastUsed time.Time       `json:"lastUsed,omitzero"`
	// Renewed says what puts another in its place by itself; empty: nothing does.
	Renewed string `json:"renewed,omitempty"`
}

// Ending finds the credentials that end by a time, those that have ended included.
func (r *Reviewer) Ending(ctx context.Context, by time.Time) ([]Ending, error) {
	used, err := r.usage(ctx)
	if err != nil {
		return nil, err
	}
	found := []Ending{}
	v := r.Directory.View(ctx)
	for _, tenant := range r.Tenants {
		note := func(e Ending) {
			if e.Ends.IsZero() || e.Ends.After(by) || r.passes(e.Name) {
				return
			}
			e.Tenant, e.LastUsed, e.Ended = tenant.Name, used.credentials[e.ID], !r.Now.Before(e.Ends)
			found = append(found, e)
		}
		err := each(v.Applications(), tenant.ID, func(a *directory.Application) error {
			noteCredentials(note, a.Label(), a.AppID, a.Secrets, a.Certificates)
			return nil
		})
		if err != nil {
			return nil, err
		}
		err = each(v.ServicePrincipals(), tenant.ID, func(p *directory.ServicePrincipal) error {
			noteCredentials(note, p.Label(), p.AppID, p.Secrets, p.Certificates)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// SortEnding puts first what ends first.
func SortEnding(all []Ending) {
	slices.SortStableFunc(all, func(a, b Ending) int {
		return cmp.Or(a.Ends.Compare(b.Ends), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Of, b.Of), cmp.Compare(a.Name, b.Name))
	})
}

func noteCredentials(note func(Ending), of string, app directory.AppID, secrets []directory.Secret, certificates []directory.Certificate) {
	for _, s := range secrets {
		note(Ending{Kind: "secret", Of: of, OfAppID: app, Name: s.Name, ID: s.ID, Ends: s.Expires})
	}
	for _, c := range certificates {
		note(Ending{Kind: "certificate", Of: of, OfAppID: app, Name: c.Name, ID: c.ID, Ends: c.ValidUntil})
	}
}
