// Package review looks a directory over: who may call what, what nobody used for a long
// time, which APIs anybody may call, and what is about to end.
//
// It owns what counts as used, open or ending. It refuses to own how that is shown, and any
// change: it only reads.
//
// Start at [Reviewer].
package review

import (
	"errors"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A Reviewer looks over some tenants of a directory.
type Reviewer struct {
	Directory *directory.Directory // required
	Tenants   []*directory.Tenant  // required
	Now       time.Time            // required
	// Passing names the credentials that a command has made for a while, which nobody needs
	// to look after. Nil: there are none.
	Passing func(name string) bool
}

func (r *Reviewer) passes(name string) bool { return r.Passing != nil && r.Passing(name) }

// page is how many things are read at once.
const page = 500

// A lister lists the things of one kind.
type lister[T any] interface {
	List(directory.TenantID, directory.Query) (directory.Page[T], error)
}

// each lets f see all things of one kind, without holding all of them.
func each[T any](all lister[T], tenant directory.TenantID, f func(*T) error) error {
	query := directory.Query{Limit: page}
	for {
		found, err := all.List(tenant, query)
		if err != nil {
			return err
		}
		for _, one := range found.Items {
			if err := f(one); err != nil {
				return err
			}
		}
		if query.After = found.Next; query.After == "" {
			return nil
		}
	}
}

// present tells what is there from what is not.
func present[T any](found *T, err error) (*T, error) {
	if errors.Is(err, directory.ErrNotFound) {
		return nil, nil
	}
	return found, err
}

// apiOf returns the application behind a service principal; nil: it is gone.
func apiOf(v *directory.View, p *directory.ServicePrincipal) (*directory.Application, error) {
	return present(v.Applications().Get(p.Tenant, p.Application))
}
