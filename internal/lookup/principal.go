package lookup

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A Principal is whoever can have app roles in a tenant: an application or a managed
// identity by its service principal, or a user.
type Principal struct {
	Tenant  *directory.Tenant
	Service *directory.ServicePrincipal // nil: a user
	User    *directory.User             // nil: a service principal
}

// Name is what people call it.
func (p Principal) Name() string {
	if p.User != nil {
		return p.User.PrincipalName
	}
	return p.Service.Called()
}

// ID is its object id.
func (p Principal) ID() directory.ObjectID {
	if p.User != nil {
		return p.User.ID
	}
	return p.Service.ID
}

// Member is the type that an app role must allow.
func (p Principal) Member() directory.MemberType {
	if p.User != nil {
		return directory.MemberUser
	}
	return directory.MemberApplication
}

// FindPrincipal finds one by name or id: in the given tenant, or in the one that has it.
func FindPrincipal(v *directory.View, tenant, ref string) (Principal, error) {
	tenants, err := FindTenants(v, tenant)
	if err != nil {
		return Principal{}, err
	}
	var found []Principal
	var near []string
	for _, t := range tenants {
		p, err := principalIn(v, t, ref)
		switch {
		case err == nil:
			found = append(found, p)
		case errors.Is(err, directory.ErrNotFound):
			near = append(near, nearNames(err)...)
		default:
			return Principal{}, err
		}
	}
	switch len(found) {
	case 0:
		return Principal{}, noPrincipal(v, tenants, ref, near)
	case 1:
		return found[0], nil
	}
	return Principal{}, &Error{fmt.Sprintf("%q is in %d tenants", text.Shown(ref), len(found)), "say which tenant with --tenant", ErrAmbiguous}
}

// principalIn finds one in a tenant.
func principalIn(v *directory.View, t *directory.Tenant, ref string) (Principal, error) {
	service, err := v.ServicePrincipals().Find(t.ID, ref)
	if err == nil {
		return Principal{Tenant: t, Service: service}, nil
	}
	if !errors.Is(err, directory.ErrNotFound) {
		return Principal{}, err
	}
	user, userErr := v.Users().Find(t.ID, ref)
	if userErr == nil {
		return Principal{Tenant: t, User: user}, nil
	}
	if !errors.Is(userErr, directory.ErrNotFound) {
		return Principal{}, userErr
	}
	if service, shownErr := shownAs(v.ServicePrincipals(), t, ref, func(p *directory.ServicePrincipal) string { return string(p.AppID) }); service != nil || shownErr != nil {
		return Principal{Tenant: t, Service: service}, shownErr
	}
	if app, appErr := v.Applications().Find(t.ID, ref); appErr == nil {
		return Principal{}, withoutPrincipal(app.Called(), t)
	}
	return Principal{}, errors.Join(err, userErr)
}

// withoutPrincipal is the error for an application that takes no part in a tenant.
func withoutPrincipal(app string, t *directory.Tenant) error {
	return &Error{
		fmt.Sprintf("the application %q has no service principal in the tenant %s, so it gets no tokens there", app, t.Name),
		"`rolecall sp create` makes one, and so does `rolecall apply` with the application in its file", errUnusable,
	}
}

// A displayer lists what has a display name, which need not be unique.
type displayer[T any] interface {
	Displayed(tenant directory.TenantID, name string, q directory.Query) (directory.Page[T], error)
}

// shownAs returns the only thing with a display name; nil: there is none. Twins are an error
// that lists their ids. An id is nobody's display name: whoever it belonged to may be gone, and
// others call themselves what they like.
func shownAs[T any](all displayer[T], t *directory.Tenant, name string, id func(*T) string) (*T, error) {
	if _, isID := guid.Parse(name); isID {
		return nil, nil
	}
	page, err := all.Displayed(t.ID, name, directory.Query{Limit: readable})
	if err != nil {
		return nil, err
	}
	switch len(page.Items) {
	case 0:
		return nil, nil
	case 1:
		return page.Items[0], nil
	}
	var ids []string
	for _, one := range page.Items {
		ids = append(ids, id(one))
	}
	return nil, twins(name, ids)
}

// twins is the error for a display name that several have.
func twins(name string, ids []string) error {
	slices.Sort(ids)
	return &Error{fmt.Sprintf("%q is the display name of %d: %s", text.Shown(name), len(ids), strings.Join(ids, ", ")), "give the id of the one that you mean", ErrAmbiguous}
}

// nearNames returns the names that the directory thinks may have been meant.
func nearNames(err error) (names []string) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	for _, err := range joined.Unwrap() {
		if missing, ok := errors.AsType[*directory.NotFoundError](err); ok {
			names = append(names, missing.Near()...)
		}
	}
	return names
}

func noPrincipal(v *directory.View, tenants []*directory.Tenant, ref string, near []string) error {
	fix := "`rolecall app create`, `identity create` and `user create` make one, or `rolecall apply -f rolecall.yaml` what the file has"
	if len(near) > 0 {
		fix = directory.DidYouMean(directory.Nearest(near, ref))
	}
	return notFound(fix, "there is no application, managed identity or user %q%s", text.Shown(ref), thereAre(principalNames(v, tenants)))
}

func principalNames(v *directory.View, tenants []*directory.Tenant) (names []string) {
	for _, t := range tenants {
		services, _ := v.ServicePrincipals().List(t.ID, directory.Query{Limit: readable + 1}) // it only makes a message shorter
		for _, p := range services.Items {
			names = append(names, p.Called())
		}
		users, _ := v.Users().List(t.ID, directory.Query{Limit: readable + 1})
		for _, u := range users.Items {
			names = append(names, u.PrincipalName)
		}
	}
	return names
}
