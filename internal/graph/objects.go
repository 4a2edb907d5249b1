package graph

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// objectRoutes are the routes of things of any kind.
func objectRoutes() []route {
	return []route{
		{http.MethodPost, "directoryObjects/getByIds", readsObjects(), getByIDs},
		{http.MethodGet, "directoryObjects/{object}", readsObjects(), getObject},
	}
}

// readsObjects is the permit for reading things of any kind.
func readsObjects() *permit {
	return &permit{permissions: anyOf(directoryRead, directoryReadWrite, applicationRead, applicationReadWrite, applicationOwned)}
}

// The kinds of things, as their types are called on the wire.
const (
	kindApplication = "application"
	kindPrincipal   = "servicePrincipal"
	kindUser        = "user"
	kindAny         = "directoryObject"
)

// typed marks the kind of a thing among those of other kinds.
func typed(kind string, o object) object {
	return append(object{{"@odata.type", "#microsoft.graph." + kind}}, o...)
}

// object is the thing with an object id, of one of some kinds.
func (c *call) object(in *directory.View, id directory.ObjectID, kinds ...string) (object, error) {
	for _, kind := range kinds {
		o, err := objectOf(c, in, id, kind)
		if errors.Is(err, directory.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return typed(kind, o), nil
	}
	return nil, notThere(string(id))
}

func objectOf(c *call, in *directory.View, id directory.ObjectID, kind string) (object, error) {
	switch kind {
	case kindPrincipal:
		p, err := c.principalWith(in, id)
		if err != nil {
			return nil, err
		}
		return c.renderPrincipal(in, p)
	case kindApplication:
		app, err := in.Applications().Get(c.tenant(), id)
		if err != nil {
			return nil, err
		}
		return c.renderApplication(app), nil
	case kindUser:
		user, err := in.Users().Get(c.tenant(), id)
		if err != nil {
			return nil, err
		}
		return c.renderUser(user), nil
	}
	return nil, directory.ErrNotFound
}

// principalWith is the service principal with an object id, also that of a built-in resource.
func (c *call) principalWith(in *directory.View, id directory.ObjectID) (*directory.ServicePrincipal, error) {
	p, err := in.ServicePrincipals().Get(c.tenant(), id)
	if errors.Is(err, directory.ErrNotFound) {
		if b, otherErr := in.Builtin(c.tenant(), string(id)); otherErr == nil {
			return b.Principal, nil
		}
	}
	return p, err
}

// objects are things of any kind by their object ids. Those that are not there are left out.
func (c *call) objects(in *directory.View, ids []directory.ObjectID, kinds ...string) ([]object, error) {
	if len(kinds) == 0 || slices.Contains(kinds, kindAny) {
		kinds = []string{kindPrincipal, kindUser, kindApplication}
	}
	all := []object{}
	for _, id := range ids {
		o, err := c.object(in, id, kinds...)
		if p := new(problem); errors.As(err, &p) && p.status == http.StatusNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// sourceOfObjects is a list of things of any kind, which are rendered already.
func sourceOfObjects(read func() ([]object, error)) source[object] {
	return source[object]{
		set: "directoryObjects", render: func(o *object) (object, error) { return *o, nil },
		members: append([]string{"userPrincipalName", "mail"}, append(names(principalTable), names(applicationTable)...)...),
		all: []access[object]{these(func() ([]*object, error) {
			all, err := read()
			pointers := make([]*object, len(all))
			for i := range all {
				pointers[i] = &all[i]
			}
			return pointers, err
		})},
	}
}

func getObject(c *call) (answer, error) {
	id, is := guid.Parse(c.refs["object"].value)
	if !is || c.refs["object"].by != "" {
		return answer{}, notThere(c.refs["object"].value)
	}
	o, err := c.object(c.view(), directory.ObjectID(id), kindPrincipal, kindUser, kindApplication)
	if err != nil {
		return answer{}, err
	}
	query, err := c.single(memberNames(o), func(string) bool { return false })
	if err != nil {
		return answer{}, err
	}
	return entity("directoryObjects"+selected(query), choose(o, query.Select)), nil
}

func memberNames(o object) []string {
	all := make([]string, len(o))
	for i := range o {
		all[i] = o[i].name
	}
	return all
}

const maxIDs = 1000 // of one request

// getByIDs gives the things with some object ids. Ids that are nobody's are left out.
func getByIDs(c *call) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var wanted struct {
		ids   []directory.ObjectID
		kinds []string
	}
	type want = *struct {
		ids   []directory.ObjectID
		kinds []string
	}
	err = apply([]field[want]{
		{name: "ids", write: func(w want, in input) (err error) {
			w.ids, err = each(in, func(in input) (directory.ObjectID, error) {
				id, err := in.guid()
				return directory.ObjectID(id), err
			})
			return err
		}},
		{name: "types", write: func(w want, in input) (err error) { w.kinds, err = each(in, readKind); return err }},
	}, &wanted, input{"", given})
	switch {
	case err != nil:
		return answer{}, err
	case len(wanted.ids) == 0:
		return answer{}, invalid("ids", "A value is required for property 'ids': object ids of things.")
	case len(wanted.ids) > maxIDs:
		return answer{}, invalid("ids", "Too many ids: one request takes 1000.")
	}
	all, err := c.objects(c.view(), distinct(wanted.ids), wanted.kinds...)
	if err != nil {
		return answer{}, err
	}
	return collection("directoryObjects", list{items: all}), nil
}

// readKind reads the name of a kind. Those that are not here, such as groups, find nothing.
func readKind(in input) (string, error) {
	given, err := in.text()
	if err != nil {
		return "", err
	}
	for _, kind := range []string{kindApplication, kindPrincipal, kindUser} {
		if strings.EqualFold(given, kind) {
			return kind, nil
		}
	}
	if strings.EqualFold(given, kindAny) {
		return kindAny, nil
	}
	return "other", nil
}

func distinct(ids []directory.ObjectID) []directory.ObjectID {
	seen := map[directory.ObjectID]bool{}
	var all []directory.ObjectID
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			all = append(all, id)
		}
	}
	return all
}

// memberRoutes are the routes of what somebody is a member of. There are no groups, so it is
// nothing, of everybody who is there.
func memberRoutes() []route {
	var all []route
	for _, of := range []struct {
		path   string
		permit *permit
	}{{"servicePrincipals/{principal}", readsApplications()}, {"users/{user}", readsUsers()}, {"me", isMe()}} {
		for action, parameter := range map[string]string{
			"getMemberGroups": "securityEnabledOnly", "getMemberObjects": "securityEnabledOnly", "checkMemberGroups": "groupIds", "checkMemberObjects": "ids",
		} {
			all = append(all, route{http.MethodPost, of.path + "/" + action, of.permit, func(c *call) (answer, error) { return memberships(c, parameter) }})
		}
	}
	return all
}

const maxChecked = 20 // groups in one request

func memberships(c *call, parameter string) (answer, error) {
	if _, err := c.owner(c.view()); err != nil {
		return answer{}, err
	}
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	for _, m := range given {
		in := input{m.name, m.value}
		switch {
		case !strings.EqualFold(m.name, parameter):
			return answer{}, invalid(m.name, "Invalid property "+quote(m.name)+".")
		case parameter == "securityEnabledOnly":
			if _, err := in.optionalBool(); err != nil {
				return answer{}, err
			}
		default:
			ids, err := each(in, input.guid)
			if err != nil {
				return answer{}, err
			}
			if len(ids) > maxChecked {
				return answer{}, invalid(m.name, "Too many ids: one request takes 20.")
			}
		}
	}
	if len(given) == 0 {
		return answer{}, invalid(parameter, "A value is required for property '"+parameter+"'.")
	}
	return answer{status: http.StatusOK, context: "Collection(Edm.String)", body: object{{"value", []string{}}}}, nil
}
