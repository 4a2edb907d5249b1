package manifest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Options say how far Apply goes.
type Options struct {
	// Prune also removes what the file does not mention within the tenants it names.
	Prune bool
}

// A Result tells what Apply did.
type Result struct {
	Notes   []directory.ChangeNote // the difference; empty when there was none
	Secrets []GeneratedSecret      // to be shown once: they cannot be read again
	// Replaced are the built-in resources whose place an application of the file took now.
	Replaced []Replacement
}

// A Replacement is an application that stands in the place of a built-in resource.
type Replacement struct{ Tenant, Application, Builtin string }

// A GeneratedSecret is a client secret that Apply made.
type GeneratedSecret struct {
	Tenant      string          `json:"tenant"`
	Application string          `json:"application"`
	AppID       directory.AppID `json:"appId"`
	Name        string          `json:"name"`
	Value       string          `json:"value"`
	Expires     time.Time       `json:"expires,omitzero"`
}

// ApplyTo prepares the file and applies it to a directory, on behalf of an actor. Before that
// counts, confirm sees what it made of the directory: if it returns an error, nothing changes,
// and that is the error. It may be called again, when a store makes another attempt.
func (f *File) ApplyTo(ctx context.Context, dir *directory.Directory, actor directory.Actor, opts Options, confirm func(*Result) error) (*Result, error) {
	if err := f.Prepare(ctx, dir); err != nil {
		return nil, err
	}
	var result *Result
	_, err := dir.Change(ctx, actor, func(e *directory.Editor) (err error) {
		if result, err = f.Apply(e, opts); err != nil {
			return err
		}
		return confirm(result)
	})
	return result, err
}

// Apply brings the directory to the file's state within the editor's transaction. What
// the file gets wrong is returned as Problems. After an error the transaction must be
// rolled back; a dry run rolls it back after success as well.
func (f *File) Apply(e *directory.Editor, opts Options) (*Result, error) {
	a := &applier{editor: e, prune: opts.Prune, report: report{file: f.name}, matched: make(map[string]position), places: make(map[string]bool), result: &Result{}}
	works := make([]*work, len(f.tenants))
	for i, t := range f.tenants {
		works[i] = &work{applier: a, file: t}
		for _, h := range t.hosts {
			a.places[h.listen] = true
		}
	}
	before := len(e.Changes())
	for _, step := range []func(*work) error{
		(*work).applyTenant,
		(*work).applyPolicy,
		(*work).matchAll,
		pruneObjects,
		(*work).applyApplications,
		(*work).applyGroups,
		(*work).applyIdentities,
		(*work).vacateHosts,
		(*work).applyHosts,
		(*work).applyUsers,
		(*work).applyOwners,
		(*work).applyPreAuthorized,
		(*work).resolveAll,
		(*work).applyPermissions,
		(*work).applyAssignments,
		(*work).applyGrants,
		pruneRoles,
		(*work).applyCredentials,
		(*work).applyFirstPolicy,
		pruneGroups,
		pruneDomains,
	} {
		for _, w := range works {
			if err := step(w); err != nil {
				return nil, err
			}
		}
		if err := a.err(); err != nil { // what a step finds wrong by reading, it finds everywhere
			return nil, err
		}
	}
	for _, note := range e.Changes()[before:] {
		if note.Action != "none" {
			a.result.Notes = append(a.result.Notes, note)
		}
	}
	return a.result, nil
}

// An applier is one run of Apply.
type applier struct {
	report
	editor *directory.Editor
	prune  bool
	// matched says where the file describes what is in the directory, by kind and ids.
	matched map[string]position
	places  map[string]bool // addresses of the file's hosts, which all tenants share
	result  *Result
}

// A work is the part of a run that concerns one tenant. The maps say what the parts of
// the file are in the directory.
type work struct {
	*applier
	file         *tenant
	tenant       *directory.Tenant
	applications map[*application]*directory.Application
	principals   map[any]*directory.ServicePrincipal // of *application and *identity
	users        map[*user]*directory.User
	hosts        map[*host]*directory.Host
	assigned     map[*host][]directory.ObjectID    // identities that the file gives them
	trusted      map[*federated]directory.ObjectID // managed identities that credentials name
	grants       []*grant
	unruled      bool                      // the tenant had no policy when the run began
	asked        map[*application][]*grant // those of grants that an application asks for
}

// ruled gives an objection of the directory's rules its place in the file. The place is
// looked up by the field that the rule names.
func (a *applier) ruled(err error, of func(field string) position) error {
	var rule *directory.RuleError
	if err == nil || !errors.As(err, &rule) {
		return err
	}
	at := of(rule.Field)
	return Problems{{File: a.file, Line: at.line, Column: at.column, What: rule.What, Advice: rule.Advice, Cause: err}}
}

// missing reports a reference to what is neither in the file nor in the directory.
func (a *applier) missing(at position, err error) {
	fix := "Give the name or the id of one in this file or in the directory."
	if missing, is := errors.AsType[*directory.NotFoundError](err); is && len(missing.Near()) > 0 {
		fix = missing.Fix()
	}
	a.add(at, err.Error()+".", fix)
}

// says reports whether the file decides on a setting: it gives it, or the thing is new, or
// the file is the whole truth.
func (a *applier) says(p place, member string, isNew bool) bool {
	return isNew || a.prune || p.has(member)
}

func (w *work) applyTenant() error {
	found, err := w.findTenant()
	if err != nil {
		return err
	}
	next := directory.Tenant{ID: directory.TenantID(w.file.id)}
	if found != nil {
		next = *found
	}
	next.Name = w.file.name
	next.Domains = merge(next.Domains, w.file.domains, sameText, setText, false) // see pruneDomains
	of := func(field string) position {
		name, index, _ := splitField(field)
		if name == "domains" && index >= 0 && index < len(next.Domains) {
			return placeOf(w.file.domains, next.Domains[index], w.file.of(name))
		}
		return w.file.of(name)
	}
	isNew := found == nil
	if isNew {
		if found, err = w.editor.Tenants().Create(next); err != nil {
			return w.ruled(err, of)
		}
	}
	w.tenant, err = w.editor.Tenants().Edit(found.ID, func(t *directory.Tenant) error {
		t.Name, t.Domains = next.Name, next.Domains
		if w.says(w.file.place, "enabled", isNew) {
			t.Enabled = w.file.enabled
		}
		return nil
	})
	return w.ruled(err, of)
}

// findTenant returns the tenant that the file means, nil when it is new.
func (w *work) findTenant() (*directory.Tenant, error) {
	for _, ref := range refs(w.file.id, w.file.name) {
		found, err := w.editor.Tenants().Find(ref)
		switch {
		case errors.Is(err, directory.ErrNotFound):
			continue
		case err != nil:
			return nil, err
		case ref == w.file.name && !strings.EqualFold(found.Name, ref): // a domain of another tenant
			continue
		}
		w.keeps(w.file.place, "id", w.file.id, string(found.ID), found.Name)
		w.once("tenant/"+string(found.ID), w.file.place, found.Name)
		return found, nil
	}
	return nil, nil
}
