package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// at is when the request came.
func (s *signIn) at() time.Time { return s.Time }

// diagnoseTenant is about a tenant that is not there.
func (s *signIn) diagnoseTenant(ctx context.Context) error {
	ref := s.Presented.Tenant
	s.report.Verdict = fmt.Sprintf("there is no tenant %s here", text.Quote(ref))
	near := s.nearTenants(ref)
	switch {
	case len(near) > 0:
		s.report.Fix.What = directory.DidYouMean(near) + " Correct the tenant in the authority URL, or AZURE_TENANT_ID."
	case len(s.tenants) > 0 && len(s.tenants) <= readableTenants:
		s.hint("There is %s.", strings.Join(tenantNames(s.tenants), "; "))
	}
	return s.whoseClient(ctx, string(s.AppID), "The client_id is that of %s, an application of the tenant %s: use that tenant.")
}

const readableTenants = 3 // that are listed

func (s *signIn) nearTenants(ref string) []string {
	var names []string
	for _, t := range s.tenants {
		names = append(append(names, t.Name, string(t.ID)), t.Domains...)
	}
	return directory.Nearest(names, ref)
}

func tenantNames(tenants []*directory.Tenant) (names []string) {
	for _, t := range tenants {
		names = append(names, strings.Join(append([]string{"the tenant " + t.Name, string(t.ID)}, t.Domains...), ", "))
	}
	return names
}

// whoseClient adds in which other tenant an application has a client id, as a sentence about
// its name and tenant.
func (s *signIn) whoseClient(ctx context.Context, id, sentence string) error {
	if id == "" {
		return nil
	}
	with, err := s.dir.TenantsWith(ctx, directory.AppID(id))
	if err != nil {
		return err
	}
	for _, t := range s.tenants {
		if t == s.tenant || !slices.Contains(with, t.ID) {
			continue
		}
		client, err := s.dir.Instance(ctx, t.ID, directory.AppID(id))
		if err != nil && !errors.Is(err, directory.ErrNotFound) {
			return err
		}
		if err == nil {
			s.hint(sentence, nameOf(client, id), t.Name)
		}
	}
	return nil
}

// diagnoseClient is about a client_id that no application of the tenant has.
func (s *signIn) diagnoseClient(ctx context.Context) error {
	if name := s.Presented.ClientID; name != "" {
		s.report.Verdict = fmt.Sprintf("the client_id is the name %s, and must be an id", text.Quote(name))
		if named, err := s.dir.Named(ctx, s.tenant.ID, name); err == nil && named.Principal != nil {
			s.report.Fix.What = fmt.Sprintf("The client id of %s is %s: send that.", name, named.Principal.AppID)
		}
		return nil
	}
	if s.AppID == "" || s.tenant == nil {
		return nil
	}
	id := string(s.AppID)
	if s.client != nil && s.client.Principal != nil && s.client.Application == nil {
		s.report.Verdict = fmt.Sprintf("%s is a managed identity, and has no credential to show", s.client.Principal.Called())
		s.report.Fix = &Fix{What: fmt.Sprintf("It gets its tokens from the host that it is assigned to, without a credential. Here: rolecall run --as %s%s -- PROGRAM",
			shellQuote(s.client.Principal.Called()), tenantFlag(s.inTenant()))}
		return nil
	}
	if s.client != nil && s.client.Principal == nil {
		s.report.Fix.Command = s.absent(s.client)
		return nil
	}
	s.report.Verdict = fmt.Sprintf("no application of the tenant %s has the client id %s", s.tenant.Name, id)
	if known, err := s.mixedUp(ctx, id, "client_id"); known || err != nil {
		return err
	}
	if err := s.whoseClient(ctx, id, "It is the client id of %s in the tenant %s: use that tenant, or the application of this one."); err != nil {
		return err
	}
	return s.deleted(ctx, id)
}

// absent is the command that gives an application a service principal.
func (s *signIn) absent(c *directory.Instance) string {
	return Fragment(s.tenant.Name, c.Application.Called())
}

// mixedUp tells what an id that was sent is, when it is another than the one that belongs there.
func (s *signIn) mixedUp(ctx context.Context, id, where string) (known bool, err error) {
	v := s.dir.View(ctx)
	for _, t := range s.tenants {
		in := ""
		if t != s.tenant {
			in = " of the tenant " + t.Name
		}
		principal, err := v.ServicePrincipals().Get(t.ID, directory.ObjectID(id))
		if err == nil {
			s.isObjectID(principal.Called()+in, principal.AppID, where, "")
			return true, nil
		}
		if !errors.Is(err, directory.ErrNotFound) {
			return false, err
		}
		app, err := v.Applications().Get(t.ID, directory.ObjectID(id))
		if err == nil {
			s.isObjectID(app.Called()+in, app.AppID, where, "'s registration")
			return true, nil
		}
		if !errors.Is(err, directory.ErrNotFound) {
			return false, err
		}
		if string(t.ID) == id {
			s.report.Verdict = fmt.Sprintf("the %s is the id of the tenant %s", where, t.Name)
			s.report.Fix = &Fix{What: fmt.Sprintf("The tenant belongs into the authority URL; send the application's id as %s.", where)}
			return true, nil
		}
	}
	return false, nil
}

func (s *signIn) isObjectID(name string, app directory.AppID, where, of string) {
	s.report.Verdict = fmt.Sprintf("the %s is the object id of %s%s", where, name, of)
	s.report.Fix = &Fix{What: fmt.Sprintf("That is the object id of %s; its client id is %s: send that.", name, app)}
}

// diagnoseResource is about an API that is not in the tenant.
func (s *signIn) diagnoseResource(ctx context.Context) error {
	if s.tenant == nil {
		return nil
	}
	ref := s.Resource
	s.report.Verdict = fmt.Sprintf("the tenant %s has no API %s", s.tenant.Name, text.Quote(ref))
	if id, is := guid.Parse(strings.TrimPrefix(ref, "api://")); is {
		if known, err := s.mixedUp(ctx, id, "resource"); known || err != nil {
			return err
		}
	}
	v := s.dir.View(ctx)
	app, err := v.Applications().Find(s.tenant.ID, strings.TrimPrefix(ref, "api://"))
	switch {
	case err == nil && !slices.Contains(app.IdentifierURIs, ref):
		s.report.Fix.What = fmt.Sprintf("%s is an application; clients ask for it by %s: scope=%s/.default.", app.Called(), identifier(app), identifier(app))
		return nil
	case err != nil && !errors.Is(err, directory.ErrNotFound):
		return err
	}
	if identity, err := v.Identities().Find(s.tenant.ID, ref); err == nil {
		s.report.Fix.What = fmt.Sprintf("%s is a managed identity, for which there are no tokens: ask for the API that it calls.", identity.Called())
		return nil
	}
	near, err := s.nearAPIs(v, ref)
	if err != nil {
		return err
	}
	if len(near) > 0 {
		s.report.Fix.What = directory.DidYouMean(near) + " Correct the scope: scope=" + near[0] + "/.default."
		return nil
	}
	for _, t := range s.tenants {
		if other, err := found(s.dir.Resource(ctx, t.ID, ref)); err == nil && other != nil && t != s.tenant {
			s.hint("The tenant %s has that API (%s): ask there, or register it in this tenant too.", t.Name, other.Application.Called())
		}
	}
	return s.deleted(ctx, ref)
}

// maxNear is how many applications are looked through for one that resembles a name.
const maxNear = 2000

// nearAPIs are identifiers of the tenant that resemble one which is not there.
func (s *signIn) nearAPIs(v *directory.View, ref string) (near []string, err error) {
	page, err := v.Applications().List(s.tenant.ID, directory.Query{Limit: maxNear})
	if err != nil {
		return nil, err
	}
	var uris []string
	for _, app := range page.Items {
		uris = append(uris, app.IdentifierURIs...)
	}
	return directory.Nearest(uris, strings.TrimRight(ref, "/")), nil
}

// deleted tells when something that went by an id, a URI or a name was deleted, and by whom.
func (s *signIn) deleted(ctx context.Context, ref string) error {
	row, err := lastChange(ctx, s.dir, func(row audit.Row) bool {
		return row.Tenant == string(s.tenant.ID) && strings.HasSuffix(row.Action, ".delete") &&
			(row.Target == ref || row.Name == ref || slices.Contains(strings.Fields(row.Detail), ref))
	})
	if err != nil || row == nil {
		return err
	}
	s.hint("It was that of %s, which was deleted at %s by %s.", row.Name, clock(row.Time), row.Actor)
	s.report.Fix.What = "Register it again, or let the client use another. rolecall audit list shows what was changed when."
	return nil
}

// auditPage is how many rows of the audit log are read at a time.
const auditPage = 1000

// lastChange returns the newest row of the audit log that is wanted, or nil.
func lastChange(ctx context.Context, d *directory.Directory, wanted func(audit.Row) bool) (last *audit.Row, err error) {
	for after := int64(0); ; {
		rows, err := d.AuditRows(ctx, after, auditPage)
		if err != nil {
			return nil, err
		}
		for i, row := range rows {
			after = row.Sequence
			if wanted(row) {
				last = &rows[i]
			}
		}
		if len(rows) < auditPage {
			return last, nil
		}
	}
}

// diagnoseDisabled says who switched off what was refused, and how it is switched on.
func (s *signIn) diagnoseDisabled(ctx context.Context) error {
	target, tenant := "", s.tenant
	switch s.Code {
	case tenantDisabled:
		for _, t := range s.tenants {
			if strings.EqualFold(t.Name, s.Presented.Tenant) || strings.EqualFold(string(t.ID), s.Presented.Tenant) || slices.Contains(t.Domains, strings.ToLower(s.Presented.Tenant)) {
				tenant, target = t, string(t.ID)
			}
		}
		if tenant == nil {
			return nil
		}
		s.report.Verdict = fmt.Sprintf("the tenant %s is switched off", tenant.Name)
		s.report.Fix = &Fix{What: "Switch the tenant on.", Command: fragmentOf(tenant.Name, "enabled: true")}
	case clientDisabled, resourceDisabled:
		who := s.client
		if s.Code == resourceDisabled {
			var err error
			if who, err = found(s.dir.Resource(ctx, s.tenant.ID, s.Resource)); err != nil {
				return err
			}
		}
		if who == nil || who.Principal == nil {
			return nil
		}
		target = string(who.Principal.ID)
		s.report.Verdict = fmt.Sprintf("%s is switched off", who.Principal.Called())
		s.report.Fix = &Fix{What: fmt.Sprintf("Switch %s on.", who.Principal.Called()), Command: s.enable(who)}
	}
	row, err := lastChange(ctx, s.dir, func(row audit.Row) bool {
		return row.Target == target && strings.Contains(row.Detail, "enabled: true → false")
	})
	if err == nil && row != nil {
		s.hint("It was switched off at %s by %s.", clock(row.Time), row.Actor)
	}
	return err
}

// enable is the command that switches an application or a managed identity on.
func (s *signIn) enable(c *directory.Instance) string {
	if c.Application != nil {
		return Fragment(s.tenant.Name, c.Application.Called(), "enabled: true")
	}
	kind := "user"
	if c.Principal.IdentityKind == directory.IdentitySystem {
		kind = "system"
	}
	return fragmentOf(s.tenant.Name, "managedIdentities:", fmt.Sprintf("  - {name: %s, type: %s, enabled: true}", quote(c.Principal.Called()), kind))
}
