package directory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// An Editor changes the directory inside one transaction and holds every rule of the
// model. Its errors are *RuleError (bad input, says what and how to mend it) or wrap
// ErrNotFound, ErrConflict, ErrDuplicate; after any of them the transaction should end.
//
// Values are taken without ids where the directory gives one; given ids are kept. What
// is created is enabled and bears the time of the transaction. An update replaces what
// the caller may choose and keeps the rest as it is: ids, times and credentials. It
// finds its target by the object id in the value.
//
// An Editor is not safe for concurrent use, and of no use once the function it was
// given to has returned.
type Editor struct {
	ctx   context.Context // of the one Change this Editor lives for
	tx    Tx
	d     *Directory
	actor string
	now   time.Time
	notes []ChangeNote
	// touched is what the transaction put and deleted, for the cache.
	touched []Change
	tenant  *Tenant // the one last asked for by id
}

// A ChangeNote is one line of a difference.
type ChangeNote struct {
	Action string `json:"action"` // "create", "update", "delete", "none"
	Kind   string `json:"kind"`   // "application", "assignment", …
	Tenant string `json:"tenant"` // its name
	Name   string `json:"name"`   // what people call the target
	Detail string `json:"detail,omitempty"`
}

// Changes tells what this transaction did so far, one event for each act: the
// difference that a dry run prints.
func (e *Editor) Changes() []ChangeNote { return e.notes }

// Change runs f in one transaction on behalf of an actor ("cli:apply"). Either all that
// f did, with its audit rows, is durable when Change returns, or nothing happened. The
// change shows in this directory at once. The sequence is that of the newest change in
// the store: whoever has applied it sees this one. Inside f the Editor sees what f did;
// the Directory does not yet, and must not be asked to change anything: changes take turns.
func (d *Directory) Change(ctx context.Context, actor string, f func(*Editor) error) (sequence int64, err error) {
	if actor == "" {
		return 0, errors.New("directory: a change needs an actor, such as \"cli:apply\"")
	}
	e := &Editor{ctx: ctx, d: d, actor: actor, now: d.now()}
	sequence, err = d.cfg.Store.Update(ctx, func(tx Tx) error {
		e.tx = tx
		return f(e)
	})
	// Also after an error: when an engine cannot tell whether a commit happened, what it
	// might have changed is read anew.
	d.forget(e.touched)
	if err != nil {
		return 0, err
	}
	d.followOwn(ctx, sequence)
	return sequence, nil
}

// A target is what an act is about, in the words of the audit log.
type target struct {
	kind   string
	tenant TenantID
	id     string
	name   string
}

// record writes the audit row of an act and notes it. Detail never holds a secret.
func (e *Editor) record(verb string, t target, detail string) error {
	e.note(verb, t, detail)
	return e.tx.Audit(e.ctx, audit.Event{
		Time: e.now, Tenant: string(t.tenant), Actor: e.actor, Action: t.kind + "." + verb,
		Kind: t.kind, Target: t.id, Name: t.name, Detail: detail,
	})
}

func (e *Editor) note(verb string, t target, detail string) {
	name := string(t.tenant)
	if tenant, err := e.tenantByID(t.tenant); err == nil {
		name = tenant.Name
	}
	e.notes = append(e.notes, ChangeNote{Action: verb, Kind: t.kind, Tenant: name, Name: t.name, Detail: detail})
}

// A row is a decoded object together with the version it was read at.
type row[T any] struct {
	value   *T
	version int64
	body    []byte
}

// An entity is a value that is kept as an object.
type entity interface {
	keys() []string
	target() target
}

func decodeRow[T any](object Object) (row[T], error) {
	value, err := decode[T](object)
	return row[T]{value: value, version: object.Version, body: object.Body}, err
}

func decode[T any](object Object) (*T, error) {
	value := new(T)
	if err := json.Unmarshal(object.Body, value); err != nil {
		return nil, fmt.Errorf("read %s %s: %w", object.Kind, object.ID, err)
	}
	return value, nil
}

func lookup[T any](e *Editor, tenant TenantID, kind, key string) (row[T], error) {
	object, err := e.tx.Lookup(e.ctx, string(tenant), kind, key)
	if err != nil {
		return row[T]{}, err
	}
	return decodeRow[T](object)
}

func list[T any](e *Editor, tenant TenantID, kind, prefix string) ([]row[T], error) {
	objects, _, err := e.tx.List(e.ctx, string(tenant), kind, prefix, "", 0)
	if err != nil {
		return nil, err
	}
	rows := make([]row[T], len(objects))
	for i, object := range objects {
		if rows[i], err = decodeRow[T](object); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func values[T any](rows []row[T]) []*T {
	all := make([]*T, len(rows))
	for i, r := range rows {
		all[i] = r.value
	}
	return all
}

// put stores a value that was read at that version (0: a new one).
func (e *Editor) put(v entity, version int64) error {
	t := v.target()
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s %s: %w", t.kind, t.id, err)
	}
	object := Object{Tenant: storeTenant(t), Kind: t.kind, ID: t.id, Version: version, Body: body, Keys: v.keys()}
	if _, err := e.tx.Put(e.ctx, object); err != nil {
		return err
	}
	e.touch(object.Tenant, t, object.Keys)
	return nil
}

func (e *Editor) remove(v entity, version int64) error {
	t := v.target()
	if err := e.tx.Delete(e.ctx, storeTenant(t), t.kind, t.id, version); err != nil {
		return err
	}
	e.touch(storeTenant(t), t, v.keys())
	return nil
}

// create stores a new value and records it.
func (e *Editor) create(v entity) error {
	if err := e.put(v, 0); err != nil {
		return err
	}
	return e.record("create", v.target(), "")
}

// update stores a changed value and records it, or only notes that nothing differs.
// The keys the value had before are those of the value in old.
func update[T any](e *Editor, old row[T], v entity, detail string) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", v.target().kind, err)
	}
	if bytes.Equal(body, old.body) {
		e.note("none", v.target(), "")
		return nil
	}
	if before, ok := any(old.value).(entity); ok {
		e.touch(storeTenant(v.target()), v.target(), before.keys())
	}
	if err := e.put(v, old.version); err != nil {
		return err
	}
	return e.record("update", v.target(), detail)
}

func (e *Editor) touch(tenant string, t target, keys []string) {
	e.touched = append(e.touched, Change{Tenant: tenant, Kind: t.kind, ID: t.id, Keys: keys})
}

// storeTenant is the tenant under which an object is kept: tenants live above tenants.
func storeTenant(t target) string {
	if t.kind == kindTenant {
		return ""
	}
	return string(t.tenant)
}

// duplicate turns a store's ErrDuplicate into words about the field, and leaves other
// errors alone.
func duplicate(err error, field, what, fix string) error {
	if errors.Is(err, ErrDuplicate) {
		return taken(field, what, fix)
	}
	return err
}
