package directory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// An Editor changes the directory inside one transaction, on behalf of an actor, and holds
// every rule of the model. Each noun has a type of its own, which reads it as a [View] does
// and creates, edits and deletes it:
//
//	_, err := dir.Change(ctx, directory.Operator("cli:enable"), func(e *directory.Editor) error {
//		_, err := e.Users().Edit(tenant, id, func(u *directory.User) error {
//			u.Enabled = true
//			return nil
//		})
//		return err
//	})
//
// Errors are *RuleError (bad input, says what and how to fix it), *NotFoundError,
// *ForbiddenError, or wrap ErrConflict or ErrDuplicate; after any of them the transaction
// should end.
//
// Values are taken without ids where the directory gives one; given ids are kept. What
// is created is enabled and bears the time of the transaction. Edit hands its function a
// copy, keeps of the result what a caller may choose, and leaves the rest as it is: ids,
// times and credentials. Edit and Delete take object ids.
//
// An Editor is not safe for concurrent use, and of no use once the function it was
// given to has returned.
type Editor struct{ editor *editor }

// View reads what the transaction sees.
func (e *Editor) View() *View { return &e.editor.view }

// Tenants changes the tenants.
func (e *Editor) Tenants() TenantEditor { return e.editor.tenants() }

// Applications changes registrations.
func (e *Editor) Applications() ApplicationEditor { return e.editor.applications() }

// ServicePrincipals changes service principals and managed identities.
func (e *Editor) ServicePrincipals() PrincipalEditor { return e.editor.principals() }

// Credentials changes the credentials of applications and managed identities.
func (e *Editor) Credentials() CredentialEditor { return CredentialEditor{e.editor} }

// Assignments changes app-role assignments.
func (e *Editor) Assignments() AssignmentEditor { return e.editor.assignments() }

// DelegatedGrants changes delegated grants.
func (e *Editor) DelegatedGrants() DelegatedGrantEditor { return e.editor.grants() }

// Users changes users.
func (e *Editor) Users() UserEditor { return e.editor.users() }

// Hosts changes hosts.
func (e *Editor) Hosts() HostEditor { return e.editor.hosts() }

// Deleted restores and purges what was discarded.
func (e *Editor) Deleted() DeletedEditor {
	return DeletedEditor{DeletedView: e.editor.view.Deleted(), editor: e.editor}
}

// ResourceGroups changes resource groups.
func (e *Editor) ResourceGroups() ResourceGroupEditor {
	return ResourceGroupEditor{Objects: e.editor.view.ResourceGroups(), editor: e.editor}
}

// EditAppManagementPolicy changes which credentials applications of a tenant may be given.
func (e *Editor) EditAppManagementPolicy(tenant TenantID, f func(*AppManagementPolicy) error) (*AppManagementPolicy, error) {
	return e.editor.editPolicy(tenant, f)
}

// RecordBackup writes into the audit trail that all there is was copied into a backup.
func (e *Editor) RecordBackup(detail string) error { return e.recordWhole(Create, "backup", detail) }

// RecordRestore writes into the audit trail that all there is was restored from a backup.
func (e *Editor) RecordRestore(detail string) error { return e.recordWhole(Update, "restore", detail) }

// recordWhole records what is about the whole directory, and so about no tenant.
func (e *Editor) recordWhole(verb Verb, what, detail string) error {
	return e.editor.act(verb, Backups, func() error {
		return e.editor.audit(what, target{kind: "directory", id: "directory"}, detail)
	})
}

// An editor is the one place where nouns are written.
type editor struct {
	ctx   context.Context // of the one Change this editor lives for
	tx    Tx
	view  View // of tx
	d     *Directory
	actor Actor
	now   time.Time
	notes []ChangeNote
	// acting says that the right to the present act was looked at; what an act brings along
	// (the assignments of what is deleted) takes no right of its own.
	acting bool
	// touched is what the transaction put and deleted, for the cache.
	touched []Change
	tenant  *Tenant // the one last asked for by id
}

func (e *editor) tenants() TenantEditor {
	return TenantEditor{TenantView: e.view.Tenants(), editor: e}
}

func (e *editor) applications() ApplicationEditor {
	return ApplicationEditor{ApplicationView: e.view.Applications(), editor: e}
}

func (e *editor) principals() PrincipalEditor {
	return PrincipalEditor{PrincipalView: e.view.ServicePrincipals(), editor: e}
}

func (e *editor) assignments() AssignmentEditor {
	return AssignmentEditor{Relations: e.view.Assignments(), editor: e}
}

func (e *editor) grants() DelegatedGrantEditor {
	return DelegatedGrantEditor{DelegatedGrantView: e.view.DelegatedGrants(), editor: e}
}

func (e *editor) users() UserEditor { return UserEditor{Objects: e.view.Users(), editor: e} }

func (e *editor) hosts() HostEditor { return HostEditor{Objects: e.view.Hosts(), editor: e} }

// act runs what one call of a noun does, if the actor has the right to it. Everything that
// is written is written in here.
func (e *editor) act(verb Verb, noun Noun, f func() error) error {
	if e.acting {
		return f()
	}
	if err := e.actor.May(verb, noun); err != nil {
		return err
	}
	e.acting = true
	defer func() { e.acting = false }()
	return f()
}

// acting is act for something that returns a value.
func acting[T any](e *editor, verb Verb, noun Noun, f func() (T, error)) (value T, err error) {
	err = e.act(verb, noun, func() (err error) {
		value, err = f()
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return value, nil
}

// A version is which state of something a change is meant for; zero: whichever there is.
type version int64

func (v version) check(present int64) error {
	if v != 0 && int64(v) != present {
		return fmt.Errorf("it has the version %d, not %d: %w", present, v, ErrConflict)
	}
	return nil
}

// edited returns what f makes of a copy of what is there. The copy is decoded anew, so that
// it shares no list with what the rules compare it to.
func edited[T any](old row[T], expected version, f func(*T) error) (*T, error) {
	if err := expected.check(old.version); err != nil {
		return nil, err
	}
	next, err := decode[T](Object{Body: old.body, Version: old.version})
	if err != nil {
		return nil, err
	}
	return next, f(next)
}

// Changes tells what this transaction did so far, one event for each act: the
// difference that a dry run prints.
func (e *Editor) Changes() []ChangeNote { return e.editor.notes }

// Change runs f in one transaction on behalf of an actor. Either all that f did, with its
// audit rows, is durable when Change returns, or nothing happened. The change shows in this
// directory at once. The sequence is that of the newest change in the store: a reader that
// has applied it sees this one. Inside f the Editor sees what f did; the Directory does not
// yet, and must not be asked to change anything: changes take turns.
func (d *Directory) Change(ctx context.Context, actor Actor, f func(*Editor) error) (sequence int64, err error) {
	if err := actor.check(); err != nil {
		return 0, err
	}
	e := &editor{ctx: ctx, d: d, actor: actor, now: d.now()}
	sequence, err = e.run(f)
	if err != nil {
		return 0, err
	}
	d.followOwn(ctx, sequence)
	return sequence, nil
}

// errDryRun takes a transaction back.
var errDryRun = errors.New("dry run")

// DryRun runs f as Change does, in one transaction and under all rules, and takes everything back
// then: nothing of it is kept, recorded or told to anybody. It returns what would have changed.
// Secrets that f makes open nothing. As in Change, f must change nothing in another way.
func DryRun(ctx context.Context, d *Directory, actor Actor, f func(*Editor) error) ([]ChangeNote, error) {
	if err := actor.check(); err != nil {
		return nil, err
	}
	e := &editor{ctx: ctx, d: d, actor: actor, now: d.now()}
	_, err := e.run(func(editor *Editor) error {
		if err := f(editor); err != nil {
			return err
		}
		return errDryRun
	})
	if !errors.Is(err, errDryRun) {
		return nil, err
	}
	return slices.DeleteFunc(e.notes, func(n ChangeNote) bool { return n.Action == "none" }), nil
}

// run runs f in a transaction.
func (e *editor) run(f func(*Editor) error) (sequence int64, err error) {
	sequence, err = e.d.cfg.Store.Update(e.ctx, func(tx Tx) error {
		e.tx, e.view = tx, View{ctx: e.ctx, from: tx, now: func() time.Time { return e.now }}
		err := f(&Editor{e})
		settle(err)
		return err
	})
	// Also after an error: when an engine cannot tell whether a commit happened, what it
	// might have changed is read anew.
	e.d.forget(e.touched)
	return sequence, err
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
	stored(version int64)
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
	if kept, is := any(value).(entity); is {
		kept.stored(object.Version)
	}
	return value, nil
}

func lookup[T any](e *editor, tenant TenantID, kind, key string) (row[T], error) {
	object, err := e.tx.Lookup(e.ctx, string(tenant), kind, key)
	if err != nil {
		return row[T]{}, err
	}
	return decodeRow[T](object)
}

func list[T any](e *editor, tenant TenantID, kind, prefix string) ([]row[T], error) {
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

// put stores a value that was read at that version (0: a new one).
func (e *editor) put(v entity, version int64) error {
	t := v.target()
	if !e.acting {
		return fmt.Errorf("write %s %s: outside of any act", t.kind, t.id)
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s %s: %w", t.kind, t.id, err)
	}
	object := Object{Tenant: storeTenant(t), Kind: t.kind, ID: t.id, Version: version, Body: body, Keys: v.keys()}
	next, err := e.tx.Put(e.ctx, object)
	if err != nil {
		return err
	}
	v.stored(next)
	e.touch(object.Tenant, t, object.Keys)
	return nil
}

func (e *editor) remove(v entity, version int64) error {
	t := v.target()
	if !e.acting {
		return fmt.Errorf("delete %s %s: outside of any act", t.kind, t.id)
	}
	if err := e.tx.Delete(e.ctx, storeTenant(t), t.kind, t.id, version); err != nil {
		return err
	}
	e.touch(storeTenant(t), t, v.keys())
	return nil
}

// create stores a new value and records it.
func (e *editor) create(v entity) error {
	if err := e.put(v, 0); err != nil {
		return err
	}
	return e.record("create", v.target(), "")
}

// update stores a changed value and records it, or only notes that nothing differs.
// The keys the value had before are those of the value in old.
func update[T any](e *editor, old row[T], v entity, detail string) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", v.target().kind, err)
	}
	if bytes.Equal(body, old.body) {
		v.stored(old.version)
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

func (e *editor) touch(tenant string, t target, keys []string) {
	e.touched = append(e.touched, Change{Tenant: tenant, Kind: t.kind, ID: t.id, Keys: keys})
}

// storeTenant is the tenant under which an object is kept: tenants live above tenants.
func storeTenant(t target) string {
	if t.kind == KindTenant {
		return ""
	}
	return string(t.tenant)
}

// duplicate turns a store's ErrDuplicate into words about the field, and leaves other
// errors alone.
func duplicate(err error, field, what, fix string) error {
	if errors.Is(err, errDiscarded) {
		fix += " What has it was deleted and can be restored; it is free once that is purged."
	}
	if errors.Is(err, ErrDuplicate) {
		return taken(field, what, fix)
	}
	return err
}

// A ChangeNote is one line of a difference.
type ChangeNote struct {
	Action string `json:"action"` // "create", "update", "delete", "discard", "restore", "purge", "none"
	Kind   string `json:"kind"`   // "application", "assignment", …
	Tenant string `json:"tenant"` // its name
	Name   string `json:"name"`   // what people call the target
	Detail string `json:"detail,omitempty"`
}

// A target is what an act is about, in the words of the audit log.
type target struct {
	kind   string
	tenant TenantID
	id     string
	name   string
}

// record writes the audit row of an act and notes it. Detail never holds a secret.
func (e *editor) record(verb string, t target, detail string) error {
	e.note(verb, t, detail)
	return e.audit(verb, t, detail)
}

// recordDeleted is record for something that is gone. By what it was known stands in the audit
// log alone: nobody else can tell it any more.
func (e *editor) recordDeleted(t target, knownBy string) error {
	e.note("delete", t, "")
	return e.audit("delete", t, knownBy)
}

func (e *editor) audit(verb string, t target, detail string) error {
	return e.tx.Audit(e.ctx, e.d.cfg.Audit, audit.Event{
		Time: e.now, Tenant: string(t.tenant), Actor: e.actor.Name, ActorKind: string(e.actor.Kind), Action: t.kind + "." + verb,
		Kind: t.kind, Target: t.id, Name: t.name, Detail: detail,
	})
}

func (e *editor) note(verb string, t target, detail string) {
	name := string(t.tenant)
	if tenant, err := e.tenantByID(t.tenant); err == nil {
		name = tenant.Name
	}
	e.notes = append(e.notes, ChangeNote{Action: verb, Kind: t.kind, Tenant: name, Name: t.name, Detail: detail})
}

// A detail gathers what an update changes, in words for the audit log and a dry run.
type detail struct{ parts []string }

func (d *detail) add(format string, args ...any) {
	d.parts = append(d.parts, fmt.Sprintf(format, args...))
}

// changed notes a plain value that differs.
func (d *detail) changed(what string, old, next any) {
	if old != next {
		d.add("%s: %v → %v", what, old, next)
	}
}

// lists notes what came to and went from a list.
func (d *detail) lists(what string, old, next []string) {
	for _, v := range next {
		if !slices.Contains(old, v) {
			d.add("%s: +%s", what, v)
		}
	}
	for _, v := range old {
		if !slices.Contains(next, v) {
			d.add("%s: -%s", what, v)
		}
	}
}

func (d *detail) String() string { return strings.Join(d.parts, ", ") }
