package directory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// A ChangeNote is one line of a difference.
type ChangeNote struct {
	Action string `json:"action"` // "create", "update", "delete", "none"
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
