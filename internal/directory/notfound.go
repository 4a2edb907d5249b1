package directory

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A NotFoundError says that nothing in the directory goes by a reference. It is the one
// place where that is put into words. It wraps ErrNotFound.
type NotFoundError struct {
	Kind string   // KindApplication …
	Noun string   // in words: "application", "managed identity"
	Ref  string   // as it was given
	In   TenantID // where it was looked for; empty for tenants

	// details are looked up when they are asked for: many callers only go on to the next
	// kind. Change asks before the transaction ends.
	details func() notFoundDetails
}

type notFoundDetails struct {
	tenant string
	near   []string
}

// Error says what there is not, as a clause: there is no application "orders" in the tenant contoso.
func (e *NotFoundError) Error() string {
	where := ""
	if tenant := e.Tenant(); tenant != "" {
		where = " in the tenant " + tenant
	}
	return fmt.Sprintf("there is no %s %q%s", e.Noun, text.Shown(e.Ref), where)
}

// Fix says what to do next, as a sentence.
func (e *NotFoundError) Fix() string {
	if near := e.Near(); len(near) > 0 {
		return DidYouMean(near)
	}
	switch e.Kind {
	case KindTenant:
		return "Name it by its id, a domain of it or its name, or create it."
	case KindApplication:
		return "Name it by its name, app id, object id or an identifier URI, or create it."
	case KindServicePrincipal:
		return "Name it by its name, app id or object id, or create it."
	case KindUser:
		return "Name the user by user principal name or object id, or create one."
	case KindHost:
		return "Name it by its name or id, or create it."
	default:
		return "List them to see what there is."
	}
}

// Tenant is the name of the tenant in which it was looked for, its id when it has none.
func (e *NotFoundError) Tenant() string { return e.details().tenant }

// Near returns names of the same kind that resemble the reference, at most three.
func (e *NotFoundError) Near() []string { return e.details().near }

// Unwrap returns ErrNotFound.
func (e *NotFoundError) Unwrap() error { return ErrNotFound }

// rule is the same as the objection to a field of something that refers to it.
func (e *NotFoundError) rule(field string) *RuleError {
	what := e.Error()
	return &RuleError{Field: field, What: strings.ToUpper(what[:1]) + what[1:] + ".", Advice: e.Fix(), Cause: e}
}

// ruleAbout gives the absence of what a field refers to the form of a rule.
func ruleAbout(field string, err error) error {
	if missing, is := errors.AsType[*NotFoundError](err); is {
		return missing.rule(field)
	}
	return err
}

func (o Objects[T]) missing(tenant TenantID, ref string) error {
	in := fold(tenant)
	return &NotFoundError{Kind: o.noun.kind, Noun: o.noun.called, Ref: ref, In: in, details: sync.OnceValue(func() notFoundDetails {
		return notFoundDetails{tenant: o.v.tenantName(in), near: o.near(in, ref)}
	})}
}

// settle lets an error that leaves a transaction look up its details while it can.
func settle(err error) {
	if missing, is := errors.AsType[*NotFoundError](err); is {
		missing.details()
	}
}

func (v *View) tenantName(id TenantID) string {
	if id == "" {
		return ""
	}
	if tenant, err := v.Tenants().objects.byID("", string(id)); err == nil {
		return tenant.value.Name
	}
	return text.Shown(string(id))
}

const (
	nearNames  = 3   // that an error offers
	nearWindow = 500 // names that are looked at, twice
)

// near looks through the names at the beginning of the list, and where that is long, those
// that begin with the same letter. Nothing rests on it, so it overlooks errors.
func (o Objects[T]) near(tenant TenantID, ref string) (near []string) {
	if o.noun.space == "" || ref == "" || len(ref) > maxKeyPart || guid.Is(ref) {
		return nil
	}
	prefix := makePrefix(o.noun.space)
	names := o.names(tenant, prefix, "")
	if len(names) >= nearWindow {
		names = append(names, o.names(tenant, prefix, prefix+escaped(firstRune(fold(ref))))...)
	}
	return Nearest(names, ref)
}

func (o Objects[T]) names(tenant TenantID, prefix, after string) (names []string) {
	objects, _, err := o.v.from.List(o.v.ctx, string(tenant), o.noun.kind, prefix, after, nearWindow)
	if err != nil {
		return nil
	}
	for _, object := range objects {
		found, err := decodeRow[T](object)
		if err != nil || o.noun.keep != nil && !o.noun.keep(found.value) {
			continue
		}
		if named, is := any(found.value).(entity); is {
			names = append(names, named.target().name)
		}
	}
	return names
}

func firstRune(s string) string {
	for i := range s {
		if i > 0 {
			return s[:i]
		}
	}
	return s
}

// Nearest returns those of the names that may be what somebody meant, at most as many as an
// error offers, the nearest first.
func Nearest(names []string, ref string) (near []string) {
	for _, name := range names {
		if ref != "" && Resembles(name, ref) && !slices.Contains(near, name) {
			near = append(near, name)
		}
	}
	const far = 2 * maxName
	slices.SortStableFunc(near, func(a, b string) int {
		return cmp.Compare(distance(fold(a), fold(ref), far), distance(fold(b), fold(ref), far))
	})
	return near[:min(len(near), nearNames)]
}

// DidYouMean asks for one of the names, as a sentence; it is empty where there is none.
func DidYouMean(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "Did you mean " + strings.Join(names, ", or ") + "?"
}

// Resembles reports whether a name may be what somebody meant: the same but for case, one
// that begins with the other, or one that differs by a slip or two.
func Resembles(name, ref string) bool {
	const enough = 3 // letters that say something
	a, b := fold(name), fold(ref)
	if a == b {
		return true
	}
	if short := min(len(a), len(b)); short >= enough && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a)) {
		return true
	}
	slips := 1
	if min(len(a), len(b)) >= 2*enough {
		slips = 2
	}
	return distance(a, b, slips) <= slips
}

// distance counts letters that are more, less, other or swapped with their neighbour
// between two words, or returns a number above most.
func distance(a, b string, most int) int {
	if abs := max(len(a)-len(b), len(b)-len(a)); abs > most || max(len(a), len(b)) > 2*maxName {
		return most + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
