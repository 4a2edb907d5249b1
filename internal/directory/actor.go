package directory

import (
	"errors"
	"fmt"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// An Actor is on whose behalf a directory is changed. The audit rows keep its kind and name.
type Actor struct {
	Kind   ActorKind
	Name   string   // "cli:apply", "dev@contoso.test"; required
	Rights Rights   // what it may do; nothing, when zero
	ID     ObjectID // of who it is in the tenant; empty: nobody there
}

// An ActorKind says what an actor is.
type ActorKind string

// The kinds of actors.
const (
	ActorOperator    ActorKind = "operator" // of the machine, who could read and write the store anyway
	ActorSystem      ActorKind = "system"   // the server by itself
	ActorApplication ActorKind = "application"
	ActorUser        ActorKind = "user"
)

// Operator is the operator of the machine, through a command of that name: all rights.
func Operator(name string) Actor { return Actor{Kind: ActorOperator, Name: name, Rights: AllRights()} }

// System is the server acting by itself: all rights.
func System(name string) Actor { return Actor{Kind: ActorSystem, Name: name, Rights: AllRights()} }

// A Noun is what a right is about. Secrets, certificates and federated credentials are one
// of their own, apart from the application that has them, and so are passwords.
type Noun uint8

// The nouns. A managed identity is a service principal. Whoever may update backups may put one
// into the place of a directory.
const (
	Tenants Noun = iota
	Applications
	ServicePrincipals
	Credentials
	Assignments
	DelegatedGrants
	Users
	Passwords
	Hosts
	Keys
	ResourceGroups
	Policies
	Backups
	nouns int = iota
)

func (n Noun) String() string {
	return [nouns]string{"tenants", "applications", "service principals", "credentials", "assignments", "delegated grants", "users", "passwords", "hosts", "signing keys", "resource groups", "policies", "backups"}[n]
}

// A Verb is what a right lets its holder do. Reading takes none: whom a View is shown to
// is for its maker to see.
type Verb uint8

// The verbs.
const (
	Create Verb = iota
	Update
	Delete
	verbs int = iota
)

func (v Verb) String() string { return [verbs]string{"create", "update", "delete"}[v] }

// Rights is a set of rights, each of one verb on one noun.
type Rights uint64

// To is the right to do one thing with a noun.
func To(verb Verb, noun Noun) Rights { return 1 << (int(noun)*verbs + int(verb)) }

// Manage is every right on the nouns.
func Manage(all ...Noun) (rights Rights) {
	for _, noun := range all {
		rights |= To(Create, noun) | To(Update, noun) | To(Delete, noun)
	}
	return rights
}

// AllRights is every right on every noun.
func AllRights() Rights { return 1<<(nouns*verbs) - 1 }

// Allow reports whether all the wanted rights are among them.
func (r Rights) Allow(wanted Rights) bool { return r&wanted == wanted }

// ErrForbidden says that an actor lacks the right to a change.
var ErrForbidden = errors.New("not allowed")

// A ForbiddenError names the right that an actor lacks. It wraps ErrForbidden.
type ForbiddenError struct {
	Actor string
	Verb  Verb
	Noun  Noun
}

func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("%s may not %s %s", e.Actor, e.Verb, e.Noun)
}

// Fix says what to do next.
func (e *ForbiddenError) Fix() string {
	return fmt.Sprintf("Ask an administrator for the right to %s %s.", e.Verb, e.Noun)
}

// Unwrap returns ErrForbidden.
func (e *ForbiddenError) Unwrap() error { return ErrForbidden }

// isCaller reports whether it is somebody of a tenant, and not the machine.
func (a Actor) isCaller() bool { return a.Kind == ActorApplication || a.Kind == ActorUser }

func (a Actor) check() error {
	if a.Name == "" || a.Kind == "" {
		return errors.New(`directory: a change needs an actor with a kind and a name, such as Operator("cli:apply")`)
	}
	return nil
}

// Audit is the actor as the audit trail has it.
func (a Actor) Audit() audit.Actor { return audit.Actor{Kind: string(a.Kind), Name: a.Name} }

// May returns a [ForbiddenError] if the actor lacks a right. Changes of a directory look by
// themselves: this is for what is changed beside it, such as signing keys.
func (a Actor) May(verb Verb, noun Noun) error {
	if a.Rights.Allow(To(verb, noun)) {
		return nil
	}
	return &ForbiddenError{Actor: a.Name, Verb: verb, Noun: noun}
}
