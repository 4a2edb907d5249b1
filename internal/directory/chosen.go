package directory

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// A Chosen is a secret or password that somebody chose. To keep one, or to find out whether
// it is the one there is, takes a slow hash; [Directory.Prepare] spends it before the
// transaction that needs it, for transactions take turns. One that was not prepared, or was
// for what has changed meanwhile, costs its hash inside.
//
// A Chosen is for one use, and not safe for concurrent use.
type Chosen struct {
	text     string
	compared []comparison
	hashed   *Secret // scheme, salt, cost and digest
}

// A comparison is what became of comparing the text with a secret.
type comparison struct {
	salt, digest string
	same         bool
}

// Choose takes the text of a secret or password.
func Choose(text string) *Chosen { return &Chosen{text: text} }

// Prepare makes the slow hashes that a transaction will need to put a chosen secret beside
// the present ones (or in the place of the present password).
func (d *Directory) Prepare(ctx context.Context, chosen *Chosen, present ...Secret) error {
	if chosen.text == "" || len(chosen.text) > maxSecret {
		return nil // the rules refuse it
	}
	known := false
	for i := range present {
		if present[i].Scheme != SchemeArgon2id {
			continue
		}
		same, err := d.secrets.same(ctx, &present[i], chosen)
		if err != nil {
			return err
		}
		known = known || same
	}
	if known || chosen.hashed != nil {
		return nil
	}
	hashed := &Secret{}
	if err := d.secrets.hash(ctx, hashed, chosen.text); err != nil {
		return err
	}
	chosen.hashed = hashed
	return nil
}

// orNil returns nil for one without text, which is no password.
func (c *Chosen) orNil() *Chosen {
	if c == nil || c.text == "" {
		return nil
	}
	return c
}

// same reports whether the secret is the chosen one.
func (s *secrets) same(ctx context.Context, secret *Secret, chosen *Chosen) (bool, error) {
	salt, digest := string(secret.Salt), string(secret.Digest)
	i := slices.IndexFunc(chosen.compared, func(c comparison) bool { return c.salt == salt && c.digest == digest })
	if i >= 0 {
		return chosen.compared[i].same, nil
	}
	same, err := s.is(ctx, operator(), secret, chosen.text)
	if err != nil {
		return false, err
	}
	chosen.compared = append(chosen.compared, comparison{salt, digest, same})
	return same, nil
}

// keep makes the secret the chosen one.
func (s *secrets) keep(ctx context.Context, secret *Secret, chosen *Chosen) error {
	prepared := chosen.hashed
	if prepared == nil {
		return s.hash(ctx, secret, chosen.text)
	}
	secret.Scheme, secret.Salt, secret.Cost, secret.Digest = prepared.Scheme, prepared.Salt, prepared.Cost, prepared.Digest
	chosen.hashed = nil // a second secret gets a salt of its own
	return nil
}

// ErrBusy says that too many slow hashes are asked for to wait for another.
var ErrBusy = errors.New("too many passwords and chosen secrets are being checked")

// An Asker is for whom a slow hash is made. The zero value is a stranger at no address.
type Asker struct {
	Source string // network address
	// Known means that the source was right about the account lately: it goes before
	// strangers, of whom there may be any number.
	Known       bool
	application bool // the secret is an application's, and not a user's password
}

// operator is who changes the directory: it waits like the known, however long the queue is.
func operator() Asker { return Asker{Known: true, Source: "operator"} }

const (
	gateSlots    = 2   // each takes 19 MiB and a core
	gateFresh    = 64  // strangers who wait, for users and for applications each: a second of hashes
	gateBySource = 16  // of these from one source
	gateKnown    = 256 // known sources that wait
)

// A gate lets so many slow hashes run at a time. Those who wait are served in their order,
// known sources first, and there is room for so many only: a queue that grows without bound
// makes everybody wait for the answers of those who gave up.
//
// After a restart no source is known. Anybody can invent users, each with a budget of guesses,
// but no application with a chosen secret. So strangers wait for the two in queues of their
// own, which take turns: guesses at users keep no program from its first token.
type gate struct {
	mu           sync.Mutex
	running      int
	known        []*gateWaiter
	users        freshQueue
	applications freshQueue
	turnOfUsers  bool // when strangers wait in both
}

// A freshQueue is where strangers wait.
type freshQueue struct {
	waiting  []*gateWaiter
	bySource map[string]int
}

// fresh is the queue of a stranger.
func (g *gate) fresh(a Asker) *freshQueue {
	if a.application {
		return &g.applications
	}
	return &g.users
}

type gateWaiter struct {
	Asker
	turn chan struct{} // closed when it begins
}

// enter waits for a turn, which lasts until leave.
func (g *gate) enter(ctx context.Context, a Asker) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w, err := g.join(a)
	if w == nil {
		return err
	}
	select {
	case <-w.turn:
		return nil
	case <-ctx.Done():
		g.giveUp(w)
		return ctx.Err()
	}
}

// join takes a slot, or a place in the queue.
func (g *gate) join(a Asker) (*gateWaiter, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.running < gateSlots:
		g.running++
		return nil, nil
	case a == operator():
	case a.Known && len(g.known) >= gateKnown, !a.Known && g.fresh(a).isFull(a.Source):
		return nil, ErrBusy
	}
	w := &gateWaiter{a, make(chan struct{})}
	if a.Known {
		g.known = append(g.known, w)
	} else {
		g.fresh(a).add(w)
	}
	return w, nil
}

// isFull reports whether there is no room for another one from the source.
func (q *freshQueue) isFull(source string) bool {
	return len(q.waiting) >= gateFresh || q.bySource[source] >= gateBySource
}

func (q *freshQueue) add(w *gateWaiter) {
	if q.bySource == nil {
		q.bySource = map[string]int{}
	}
	q.bySource[w.Source]++
	q.waiting = append(q.waiting, w)
}

func (q *freshQueue) remove(i int) *gateWaiter {
	w := q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	if q.bySource[w.Source]--; q.bySource[w.Source] == 0 {
		delete(q.bySource, w.Source)
	}
	return w
}

// leave hands the turn on.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next()
}

func (g *gate) next() {
	var first *gateWaiter
	switch users, applications := len(g.users.waiting) > 0, len(g.applications.waiting) > 0; {
	case len(g.known) > 0:
		first = g.known[0]
		g.known = slices.Delete(g.known, 0, 1)
	case users && (g.turnOfUsers || !applications):
		first, g.turnOfUsers = g.users.remove(0), false
	case applications:
		first, g.turnOfUsers = g.applications.remove(0), true
	default:
		g.running--
		return
	}
	close(first.turn)
}

// giveUp takes one who does not wait any more out of the queue.
func (g *gate) giveUp(w *gateWaiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.known, w); i >= 0 {
		g.known = slices.Delete(g.known, i, i+1)
		return
	}
	if q := g.fresh(w.Asker); slices.Contains(q.waiting, w) {
		q.remove(slices.Index(q.waiting, w))
		return
	}
	g.next() // its turn had come
}
