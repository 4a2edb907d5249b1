package coordination

import (
	"context"
	"math"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A Pace is how fast an account may be guessed at by sources that are not known to it.
type Pace struct {
	Free   int           // guesses before anybody waits
	Delay  time.Duration // between two guesses after that, at first
	Growth float64       // of the delay, with each guess
	Most   time.Duration // of the delay
}

// paceForgive is how long it takes until one guess at an account is forgotten.
const paceForgive = time.Minute

// UserPace lets at most ten guesses in a minute at a password, and soon one.
func UserPace() Pace {
	return Pace{Free: 20, Delay: 7 * time.Second, Growth: 1.1, Most: time.Minute}
}

// ApplicationPace is that of secrets that somebody chose for an application: programs try
// again by themselves, and come from many places after a deployment.
func ApplicationPace() Pace {
	return Pace{Free: 20, Delay: 1100 * time.Millisecond, Growth: 1.05, Most: 10 * time.Second}
}

// delay is what has to pass after the guess before, at a level of guesses.
func (p Pace) delay(level float64) time.Duration {
	if level < float64(p.Free) {
		return 0
	}
	return min(p.Most, time.Duration(float64(p.Delay)*math.Pow(p.Growth, level-float64(p.Free))))
}

// A Guess is an attempt at something that can be guessed, whose outcome is not known. Exactly
// one of Right, Wrong and Unknown ends it.
type Guess interface {
	// Known reports whether the source succeeded at the account lately.
	Known() bool
	// Wait is as [Failures.Wait], for one whose turn it is.
	Wait() int
	Right()
	Wrong()
	Unknown() // for whatever reason nobody knows
}

// Guess implements [Failures].
func (t *throttle) Guess(_ context.Context, account directory.AppID, source string, pace Pace) (_ Guess, wait int, busy bool) {
	now, source := t.now(), canonical(source)
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.entry(attemptKey{account, source})
	if wait := t.wait(account, source, now, 0); wait > 0 {
		return nil, wait, own.pending > 0
	}
	g := &guess{t: t, account: account, source: source, known: t.isKnown(account, source, now)}
	if !g.known {
		all := t.entry(attemptKey{account, ""})
		level := all.bucket.leaked(now, paceForgive)
		if next := all.last.Add(pace.delay(level + float64(all.pending))); now.Before(next) && !now.Before(all.last) {
			return nil, max(1, int(math.Ceil(next.Sub(now).Seconds()))), all.pending > 0
		}
		all.pending++
		all.last = now
	}
	own.pending++
	return g, 0, false
}

// A guess is one of this process.
type guess struct {
	t       *throttle
	account directory.AppID
	source  string
	known   bool
	over    bool
}

func (g *guess) Known() bool { return g.known }

func (g *guess) Wait() int {
	g.t.mu.Lock()
	defer g.t.mu.Unlock()
	e := g.t.entry(attemptKey{g.account, g.source})
	return g.t.wait(g.account, g.source, g.t.now(), e.pending) // the others have their turns to come
}

func (g *guess) Right()   { g.end(true, false) }
func (g *guess) Wrong()   { g.end(false, true) }
func (g *guess) Unknown() { g.end(false, false) }

func (g *guess) end(right, wrong bool) {
	t, now := g.t, g.t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if g.over {
		return
	}
	g.over = true
	t.done(attemptKey{g.account, g.source})
	if !g.known {
		all := t.done(attemptKey{g.account, ""})
		if wrong {
			all.bucket = bucket{all.bucket.leaked(now, paceForgive) + 1, now}
		}
	}
	if wrong {
		t.failed(g.account, g.source, now)
	}
	if right {
		t.known.put(attemptKey{g.account, g.source}, now)
	}
}

// done takes a guess of a key off those under way.
func (t *throttle) done(key attemptKey) *throttleEntry {
	e := t.entry(key)
	e.pending = max(0, e.pending-1)
	return e
}
