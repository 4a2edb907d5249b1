package graph

import (
	"errors"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graph/odata"
)

// deltaRoutes are the routes by which clients follow what changes.
func deltaRoutes() []route {
	return []route{
		{http.MethodGet, "applications/delta", readsApplications(), func(c *call) (answer, error) {
			return delta(c, c.applications(), c.changedApplication, directory.KindApplication)
		}},
		{http.MethodGet, "servicePrincipals/delta", readsApplications(), func(c *call) (answer, error) {
			return delta(c, c.principals(), c.changedPrincipal, directory.KindServicePrincipal, directory.KindApplication)
		}},
		{http.MethodGet, "users/delta", readsUsers(), func(c *call) (answer, error) {
			return delta(c, c.users(), c.changedUser, directory.KindUser)
		}},
	}
}

// A deltaState is where a client is: at a place of the first reading of everything, or behind a
// change.
type deltaState struct {
	Since   int64   `json:"q"`           // sequence of the change
	Reading *cursor `json:"c,omitempty"` // nil: everything was read once
}

// A changed finds what a change is about: the thing as it is now, nil if it is not there, and
// its id; no id: nothing of this kind.
type changed[T any] func(in *directory.View, change directory.Change) (thing *T, id directory.ObjectID, err error)

// delta gives everything once, in pages, and from then on what has changed since.
func delta[T any](c *call, from source[T], find changed[T], kinds ...string) (answer, error) {
	query, err := c.query()
	if err != nil {
		return answer{}, err
	}
	if query.Filter != nil || query.Search != nil || len(query.OrderBy) > 0 || len(query.Expand) > 0 || query.Count {
		return answer{}, &odata.Error{Part: "query", Message: "delta has the options $select and $top alone.", Unsupported: true}
	}
	if err := checkQuery(query, from.members, func(string) bool { return false }); err != nil {
		return answer{}, err
	}
	if len(query.Select) > 0 && !hasName(query.Select, "id") {
		query.Select = append(query.Select, "id") // what changed has to be told from the rest
	}
	state, err := c.deltaState(query)
	if err != nil {
		return answer{}, err
	}
	l := list{}
	if state.Reading != nil {
		err = readAll(c, from, query, &l, &state)
	} else {
		err = readChanges(c, from, query, find, kinds, &l, &state)
	}
	if err != nil {
		return answer{}, err
	}
	return collection(from.set+selected(query), l), nil
}

// deltaState is where the client is by its token; without one it is at the beginning.
func (c *call) deltaState(query *odata.Query) (state deltaState, err error) {
	token, kind := query.SkipToken, "delta skip"
	if query.DeltaToken != "" {
		token, kind = query.DeltaToken, "delta"
	}
	if token == "" || query.DeltaToken == "latest" {
		if state.Since, err = directory.Sequence(c.ctx(), c.api.cfg.Directory); err == nil && token == "" {
			state.Reading = &cursor{}
		}
		return state, err
	}
	if c.api.sealer.Open(token, &state, c.linkPurpose(kind)...) != nil {
		return state, invalid("$"+map[bool]string{true: "deltatoken", false: "skiptoken"}[kind == "delta"], "The token is not valid for this request. Follow @odata.nextLink and @odata.deltaLink as they are.")
	}
	return state, nil
}

// readAll gives a page of everything.
func readAll[T any](c *call, from source[T], query *odata.Query, l *list, state *deltaState) error {
	r := &reading[T]{call: c, source: from, query: query, ranges: from.all, seen: map[string]bool{}}
	items, next, err := r.page(*state.Reading)
	if err != nil {
		return err
	}
	l.items = items
	if next != nil {
		l.next, err = c.link("$skiptoken", "delta skip", deltaState{Since: state.Since, Reading: next})
		return err
	}
	l.delta, err = c.link("$deltatoken", "delta", deltaState{Since: state.Since})
	return err
}

// readChanges gives what has changed since the client last asked.
func readChanges[T any](c *call, from source[T], query *odata.Query, find changed[T], kinds []string, l *list, state *deltaState) error {
	limit := pageSize
	if query.Top > 0 {
		limit = query.Top
	}
	changes, next, err := directory.ChangedSince(c.ctx(), c.api.cfg.Directory, c.tenant(), state.Since, limit, kinds...)
	if errors.Is(err, directory.ErrFeedTrimmed) {
		return &problem{
			status: http.StatusGone, code: "syncStateNotFound",
			message: "The changes since then are not all kept any more. Read everything anew, without a token: follow the header Location.",
			header:  http.Header{"Location": {c.api.cfg.URL + c.request.URL.EscapedPath()}},
		}
	}
	if err != nil {
		return err
	}
	view, seen := c.view(), map[directory.ObjectID]bool{}
	for _, change := range changes {
		thing, id, err := find(view, change)
		if err != nil {
			return err
		}
		if id == "" || seen[id] {
			continue
		}
		seen[id] = true
		o, err := renderChange(c, view, id, thing == nil, func() (object, error) { return from.render(thing) })
		if err != nil {
			return err
		}
		if thing != nil {
			o = choose(o, query.Select)
		}
		l.items = append(l.items, o)
	}
	state.Since = next
	if len(changes) == limit {
		l.next, err = c.link("$skiptoken", "delta skip", state)
		return err
	}
	l.delta, err = c.link("$deltatoken", "delta", state)
	return err
}

// renderChange is a thing as it is now, or a note that it is gone: for good, or to where it can
// be restored from.
func renderChange(c *call, in *directory.View, id directory.ObjectID, gone bool, render func() (object, error)) (object, error) {
	if !gone {
		return render()
	}
	reason := "deleted"
	switch _, err := in.Deleted().Get(c.tenant(), id); {
	case err == nil:
		reason = "changed"
	case !errors.Is(err, directory.ErrNotFound):
		return nil, err
	}
	return object{{"@removed", object{{"reason", reason}}}, {"id", id}}, nil
}

// present turns what is not there into nil.
func present[T any](thing *T, err error) (*T, error) {
	if errors.Is(err, directory.ErrNotFound) {
		return nil, nil //nolint:nilnil // that it is gone is what the caller asks about
	}
	return thing, err
}

func (c *call) changedApplication(in *directory.View, change directory.Change) (*directory.Application, directory.ObjectID, error) {
	id := directory.ObjectID(change.ID)
	thing, err := present(in.Applications().Get(c.tenant(), id))
	return thing, id, err
}

func (c *call) changedUser(in *directory.View, change directory.Change) (*directory.User, directory.ObjectID, error) {
	id := directory.ObjectID(change.ID)
	thing, err := present(in.Users().Get(c.tenant(), id))
	return thing, id, err
}

// changedPrincipal finds a service principal that has changed, also because its application has.
func (c *call) changedPrincipal(in *directory.View, change directory.Change) (*directory.ServicePrincipal, directory.ObjectID, error) {
	if change.Kind == directory.KindServicePrincipal {
		id := directory.ObjectID(change.ID)
		thing, err := present(in.ServicePrincipals().Get(c.tenant(), id))
		return thing, id, err
	}
	app, err := present(in.Applications().Get(c.tenant(), directory.ObjectID(change.ID)))
	if app == nil || err != nil {
		return nil, "", err // what went with it has a change of its own
	}
	thing, err := present(in.ServicePrincipals().ByAppID(c.tenant(), app.AppID))
	if thing == nil || err != nil {
		return nil, "", err
	}
	return thing, thing.ID, nil
}
