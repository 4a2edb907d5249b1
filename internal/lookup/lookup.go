// Package lookup finds what people name: tenants, whoever can act in one (applications,
// managed identities, users), and app roles of an API.
//
// It owns how a name on a command line is understood and what is said when it means nothing
// or several things. It refuses to own what is there, which is the directory's affair, and
// what the named one may do.
//
// Start at [FindPrincipal]. It reads a View, which is the same within a change of the
// directory and outside; [FindActor] adds what is needed to act.
package lookup

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// What is wrong with a name, apart from directory.ErrNotFound.
var (
	ErrAmbiguous = errors.New("the name means several")
	ErrMalformed = errors.New("the name is not written as it should be")
	errUnusable  = errors.New("what has the name cannot be used")
)

// An Error says what a name does not mean, and what to do about it.
type Error struct {
	what, fix string
	cause     error
}

func (e *Error) Error() string { return e.what }
func (e *Error) Unwrap() error { return e.cause }

// Fix says what to do.
func (e *Error) Fix() string { return e.fix }

func notFound(fix, format string, args ...any) error {
	return &Error{fmt.Sprintf(format, args...), fix, directory.ErrNotFound}
}

// FindTenants returns the tenant that ref names, or all when it is empty.
func FindTenants(v *directory.View, ref string) ([]*directory.Tenant, error) {
	if ref == "" {
		return v.Tenants().All()
	}
	tenant, err := v.Tenants().Find(ref)
	if err != nil {
		return nil, err
	}
	return []*directory.Tenant{tenant}, nil
}

// FindTenant returns the tenant that ref names, or the only one there is.
func FindTenant(v *directory.View, ref string) (*directory.Tenant, error) {
	tenants, err := FindTenants(v, ref)
	if err != nil {
		return nil, err
	}
	switch len(tenants) {
	case 0:
		return nil, notFound("`rolecall serve` creates the first one", "there is no tenant yet")
	case 1:
		return tenants[0], nil
	default:
		var names []string
		for _, t := range tenants[:min(len(tenants), readable)] {
			names = append(names, cmp.Or(t.Name, string(t.ID)))
		}
		if more := len(tenants) - readable; more > 0 {
			names = append(names, fmt.Sprintf("and %d more", more))
		}
		return nil, &Error{"there are several tenants: " + strings.Join(names, ", "), "say which with --tenant", ErrAmbiguous}
	}
}

// readable is how many names an error lists.
const readable = 20

// thereAre lists names in an error, when they are few enough to read.
func thereAre(names []string) string {
	switch {
	case len(names) == 0:
		return "; there are none"
	case len(names) > readable:
		return ""
	}
	return "; there are " + strings.Join(names, ", ")
}
