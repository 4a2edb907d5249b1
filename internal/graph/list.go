package graph

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graph/odata"
)

const (
	pageSize   = 100
	maxScanned = 5000    // things that one request reads for a filter without a key
	maxSorted  = 100_000 // things that one request sorts or counts
)

// An access reads a page of some of the things of a kind, by one key of the store.
type access[T any] func(directory.Query) (directory.Page[T], error)

// one is the access to what one key finds.
func one[T any](get func() (*T, error)) access[T] {
	return func(directory.Query) (directory.Page[T], error) {
		found, err := get()
		switch {
		case errors.Is(err, directory.ErrNotFound):
			return directory.Page[T]{}, nil
		case err != nil:
			return directory.Page[T]{}, err
		}
		return directory.Page[T]{Items: []*T{found}}, nil
	}
}

// by is the accesses by a key that at most one thing has.
func by[T any, K ~string](tenant directory.TenantID, get func(directory.TenantID, K) (*T, error)) func(string) access[T] {
	return func(value string) access[T] {
		return one(func() (*T, error) { return get(tenant, K(strings.ToLower(value))) })
	}
}

// among is the accesses by a key that many things may have.
func among[T any, K ~string](tenant directory.TenantID, read func(directory.TenantID, K, directory.Query) (directory.Page[T], error)) func(string) access[T] {
	return func(value string) access[T] {
		return func(q directory.Query) (directory.Page[T], error) { return read(tenant, K(value), q) }
	}
}

// alone makes accesses the only ones by their key.
func alone[T any](by func(string) access[T]) func(string) []access[T] { return both(by) }

// both goes through several accesses, one after the other.
func both[T any](all ...func(string) access[T]) func(string) []access[T] {
	return func(value string) []access[T] {
		ranges := make([]access[T], len(all))
		for i, by := range all {
			ranges[i] = by(value)
		}
		return ranges
	}
}

// every is the access to all things of a kind, in the order of their ids.
func every[T any](tenant directory.TenantID, of directory.Objects[T]) access[T] {
	return func(q directory.Query) (directory.Page[T], error) { return of.InOrder(tenant, q) }
}

// these is the access to things that are not read by keys.
func these[T any](read func() ([]*T, error)) access[T] {
	return func(q directory.Query) (directory.Page[T], error) {
		items, err := read()
		if err != nil {
			return directory.Page[T]{}, err
		}
		start, _ := strconv.Atoi(q.After)
		if start > len(items) {
			start = len(items)
		}
		page := directory.Page[T]{Items: items[start:]}
		if q.Limit > 0 && len(page.Items) > q.Limit {
			page.Items = page.Items[:q.Limit]
			page.Next = strconv.Itoa(start + q.Limit)
		}
		return page, nil
	}
}

// A source says how things of one kind are listed.
type source[T any] struct {
	set     string // of the context: "applications"
	members []string
	// keys are accesses by what a member, or an element of a collection, equals; prefixes
	// those by how it begins. They are named in lower case, collections with "/any" behind.
	keys     map[string]func(value string) []access[T]
	prefixes map[string]func(value string) []access[T]
	all      []access[T] // all things, one access after the other
	named    []access[T] // the same in the order of displayName; nil: there is none
	render   func(*T) (object, error)
	expand   map[string]func(*T) ([]object, error) // relations, in lower case
}

// A reading is a list on its way to the client.
type reading[T any] struct {
	*call
	source[T]
	query   *odata.Query
	ranges  []access[T]
	sort    bool // the accesses do not give the order that was asked for
	scanned int
	seen    map[string]bool
}

// A cursor is where the next page of a list begins.
type cursor struct {
	Range int    `json:"r,omitempty"`
	After string `json:"a,omitempty"`
	Skip  int    `json:"s,omitempty"` // of a sorted list
}

// listing answers a request for a list.
func listing[T any](c *call, from source[T]) (answer, error) {
	r, err := newReading(c, from)
	if err != nil {
		return answer{}, err
	}
	var at cursor
	if r.query.SkipToken != "" {
		if c.api.sealer.Open(r.query.SkipToken, &at, c.linkPurpose("skip")...) != nil {
			return answer{}, invalid("$skiptoken", "The skip token is not valid for this request. Follow @odata.nextLink as it is.")
		}
	}
	l := list{}
	if r.query.Count && r.query.SkipToken == "" {
		n, err := r.count()
		if err != nil {
			return answer{}, err
		}
		l.count = &n
	}
	var next *cursor
	if r.sort {
		l.items, next, err = r.sorted(at)
	} else {
		l.items, next, err = r.page(at)
	}
	if err != nil {
		return answer{}, err
	}
	if next != nil {
		if l.next, err = c.link("$skiptoken", "skip", next); err != nil {
			return answer{}, err
		}
	}
	return collection(from.set+selected(r.query), l), nil
}

// counting answers a request for the number of things.
func counting[T any](c *call, from source[T]) (answer, error) {
	r, err := newReading(c, from)
	if err != nil {
		return answer{}, err
	}
	n, err := r.count()
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: &raw{"text/plain", []byte(strconv.Itoa(n))}}, nil
}

// newReading reads the options and chooses the accesses.
func newReading[T any](c *call, from source[T]) (*reading[T], error) {
	query, err := c.query()
	if err != nil {
		return nil, err
	}
	r := &reading[T]{call: c, source: from, query: query, ranges: from.all, seen: map[string]bool{}}
	if err := r.check(); err != nil {
		return nil, err
	}
	keyed := false
	if query.Filter != nil {
		for _, l := range odata.Lookups(query.Filter) {
			if ranges := r.rangesOf(l); ranges != nil {
				r.ranges, keyed = ranges, true
				break
			}
		}
	}
	if len(query.OrderBy) == 0 {
		return r, nil
	}
	by := query.OrderBy[0]
	if len(query.OrderBy) == 1 && !keyed && from.named != nil && !by.Descending && strings.EqualFold(by.Path.String(), "displayName") {
		r.ranges = from.named
		return r, nil
	}
	r.sort = true
	return r, nil
}

// rangesOf returns the accesses that find all that fulfils a condition; nil: there are none.
func (r *reading[T]) rangesOf(l odata.Lookup) []access[T] {
	name, from := l.Member, r.keys
	if l.Element {
		name += "/any"
	}
	if l.Prefix {
		from = r.prefixes
	}
	by := from[name]
	if by == nil || (l.Element || l.Prefix) && len(l.Values) > 1 { // one thing may answer to two of the values
		return nil
	}
	ranges := []access[T]{}
	for i, value := range l.Values {
		if !slices.ContainsFunc(l.Values[:i], func(other string) bool { return strings.EqualFold(other, value) }) {
			ranges = append(ranges, by(value)...)
		}
	}
	return ranges
}

// check refuses members that the kind does not have.
func (r *reading[T]) check() error {
	return checkQuery(r.query, r.members, func(relation string) bool { return r.expand[relation] != nil })
}

// checkQuery refuses options that name what a kind does not have.
func checkQuery(q *odata.Query, members []string, isRelation func(string) bool) error {
	known := func(m *odata.Member, way []string) error {
		if !hasName(members, way[0]) {
			return odata.UnknownMember(m, way[0])
		}
		return nil
	}
	for _, filter := range []odata.Expr{q.Filter, q.Search} {
		if filter == nil {
			continue
		}
		if err := odata.Members(filter, known); err != nil {
			return err
		}
	}
	for _, o := range q.OrderBy {
		if !hasName(members, o.Path.Names[0]) {
			return &odata.Error{Part: "$orderby", Message: "Could not find a property named " + quote(o.Path.Names[0]) + "."}
		}
	}
	for _, name := range q.Select {
		if !hasName(members, name) && !isRelation(strings.ToLower(name)) {
			return &odata.Error{Part: "$select", Message: "Could not find a property named " + quote(name) + "."}
		}
	}
	for _, e := range q.Expand {
		if !isRelation(strings.ToLower(e.Name)) {
			return &odata.Error{Part: "$expand", Message: "There is no relation " + quote(e.Name) + " that could be expanded."}
		}
	}
	return nil
}

func hasName(names []string, name string) bool {
	return slices.ContainsFunc(names, func(other string) bool { return strings.EqualFold(other, name) })
}

// keeps reports whether the options choose a thing.
func (r *reading[T]) keeps(o object) (bool, error) {
	for _, filter := range []odata.Expr{r.query.Filter, r.query.Search} {
		if filter == nil {
			continue
		}
		if ok, err := odata.Match(filter, o); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// page reads from a place on until a page is full.
func (r *reading[T]) page(at cursor) (items []object, next *cursor, err error) {
	size := r.size()
	for at.Range < len(r.ranges) {
		if err := r.ctx().Err(); err != nil {
			return nil, nil, err
		}
		if len(items) == size || r.scanned >= maxScanned {
			return items, &at, nil
		}
		found, err := r.ranges[at.Range](directory.Query{Limit: size - len(items), After: at.After})
		if err != nil {
			return nil, nil, err
		}
		for _, thing := range found.Items {
			shown, err := r.shown(thing)
			if err != nil {
				return nil, nil, err
			}
			if shown != nil {
				items = append(items, shown)
			}
		}
		r.scanned += len(found.Items)
		if at.After = found.Next; at.After == "" {
			at.Range++
		}
	}
	return items, nil, nil
}

func (r *reading[T]) size() int {
	if r.query.Top > 0 {
		return r.query.Top
	}
	return pageSize
}

// shown is a thing as the client asked for it; nil if it is not to be in the list, or is in it
// already.
func (r *reading[T]) shown(thing *T) (object, error) {
	o, err := r.matching(thing)
	if o == nil || err != nil {
		return nil, err
	}
	return finish(r.query, r.expand, thing, o)
}

// matching is a thing that the options choose, whole.
func (r *reading[T]) matching(thing *T) (object, error) {
	o, err := r.render(thing)
	if err != nil {
		return nil, err
	}
	if id, _ := o.get("id"); id != nil {
		key, _ := scalarText(id)
		if r.seen[key] {
			return nil, nil
		}
		r.seen[key] = true
	}
	if ok, err := r.keeps(o); err != nil || !ok {
		return nil, err
	}
	return o, nil
}

// finish gives a thing the relations and leaves the members that the client asked for.
func finish[T any](q *odata.Query, relations map[string]func(*T) ([]object, error), thing *T, o object) (object, error) {
	o = choose(o, q.Select)
	for _, e := range q.Expand {
		related, err := relations[strings.ToLower(e.Name)](thing)
		if err != nil {
			return nil, err
		}
		related = related[:min(len(related), maxExpanded)]
		for i := range related {
			related[i] = choose(related[i], e.Select)
		}
		o = append(o, member{e.Name, orEmpty(related)})
	}
	return o, nil
}

const maxExpanded = 20 // things of one relation

// choose leaves the members with these names, all if there are none. Annotations stay.
func choose(o object, names []string) object {
	if len(names) == 0 {
		return o
	}
	var kept object
	for _, m := range o {
		if strings.HasPrefix(m.name, "@") || hasName(names, m.name) {
			kept = append(kept, m)
		}
	}
	if kept == nil {
		kept = object{}
	}
	return kept
}

// selected is how a context tells of $select.
func selected(q *odata.Query) string {
	if len(q.Select) == 0 {
		return ""
	}
	return "(" + strings.Join(q.Select, ",") + ")"
}

// A match is a thing with what it looks like.
type found[T any] struct {
	thing *T
	shown object
}

// gather reads all that the options choose.
func (r *reading[T]) gather(each func(found[T])) error {
	for _, read := range r.ranges {
		for after, more := "", true; more; more = after != "" {
			if err := r.ctx().Err(); err != nil {
				return err
			}
			page, err := read(directory.Query{Limit: 1000, After: after})
			if err != nil {
				return err
			}
			if r.scanned += len(page.Items); r.scanned > maxSorted {
				return &odata.Error{Part: "query", Message: "there is too much to sort or count. Narrow it by a $filter.", Unsupported: true}
			}
			for _, thing := range page.Items {
				o, err := r.matching(thing)
				if err != nil {
					return err
				}
				if o != nil {
					each(found[T]{thing, o})
				}
			}
			after = page.Next
		}
	}
	return nil
}

func (r *reading[T]) count() (n int, err error) {
	counter := *r
	counter.seen = map[string]bool{}
	err = counter.gather(func(found[T]) { n++ })
	return n, err
}

// sorted is a page of a list in an order that no key has.
func (r *reading[T]) sorted(at cursor) (items []object, next *cursor, err error) {
	var all []found[T]
	if err := r.gather(func(f found[T]) { all = append(all, f) }); err != nil {
		return nil, nil, err
	}
	slices.SortStableFunc(all, func(a, b found[T]) int { return odata.Sorted(r.query.OrderBy, a.shown, b.shown) })
	start := min(at.Skip, len(all))
	end := min(start+r.size(), len(all))
	for _, f := range all[start:end] {
		o, err := finish(r.query, r.expand, f.thing, f.shown)
		if err != nil {
			return nil, nil, err
		}
		items = append(items, o)
	}
	if end < len(all) {
		next = &cursor{Skip: end}
	}
	return items, next, nil
}

// firstOf renders the first things of a source, for $expand.
func firstOf[T any](from source[T]) ([]object, error) {
	all := []object{}
	for _, read := range from.all {
		page, err := read(directory.Query{Limit: maxExpanded - len(all)})
		if err != nil {
			return nil, err
		}
		for _, thing := range page.Items {
			o, err := from.render(thing)
			if err != nil {
				return nil, err
			}
			all = append(all, o)
		}
		if len(all) >= maxExpanded {
			break
		}
	}
	return all, nil
}

// showing answers a request for one thing.
func showing[T any](c *call, from source[T], thing *T) (answer, error) {
	query, err := c.single(from.members, func(relation string) bool { return from.expand[relation] != nil })
	if err != nil {
		return answer{}, err
	}
	o, err := from.render(thing)
	if err != nil {
		return answer{}, err
	}
	if o, err = finish(query, from.expand, thing, o); err != nil {
		return answer{}, err
	}
	return entity(from.set+selected(query), o), nil
}

// query reads the options of the request.
func (c *call) query() (*odata.Query, error) { return odata.ParseQuery(c.request.URL.RawQuery) }

// single reads the options of a request for one thing.
func (c *call) single(members []string, isRelation func(string) bool) (*odata.Query, error) {
	q, err := c.query()
	if err != nil {
		return nil, err
	}
	if q.Filter != nil || q.Search != nil || len(q.OrderBy) > 0 || q.Top > 0 || q.Count || q.SkipToken != "" {
		return nil, &odata.Error{Part: "query", Message: "one thing has the options $select and $expand alone.", Unsupported: true}
	}
	return q, checkQuery(q, members, isRelation)
}

// options are those of the request without the tokens of links.
func (c *call) options() url.Values {
	given, _ := url.ParseQuery(c.request.URL.RawQuery) // query has read it without an error
	for name := range given {
		if strings.EqualFold(name, "$skiptoken") || strings.EqualFold(name, "$deltatoken") {
			delete(given, name)
		}
	}
	return given
}

// Member implements [odata.Object].
func (o object) Member(name string) (any, bool) {
	for _, m := range o {
		if !strings.EqualFold(m.name, name) {
			continue
		}
		written, is := m.value.(json.RawMessage)
		if !is {
			return m.value, true
		}
		var value any
		_ = json.Unmarshal(written, &value) // what is kept as JSON was written by this package
		return value, true
	}
	return nil, false
}

func scalarText(value any) (string, bool) {
	switch value := value.(type) {
	case string:
		return value, true
	case directory.ObjectID:
		return string(value), true
	}
	return "", false
}
