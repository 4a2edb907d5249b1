package coordination

import (
	"context"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A State is all that requests have to know of each other.
type State struct {
	Failures    Failures  // attempts to authenticate that were refused
	DeviceCodes Budget    // device codes that nobody has answered yet
	Turns       Turns     // slow checks of one password or chosen secret
	Strict      Replays   // assertions of applications that want replays refused
	Tolerant    Replays   // assertions of applications that want them noted
	Workloads   Workloads // that run
	Polls       Polls     // of device codes
}

// InMemory returns the state of an authority that is a single process.
func InMemory(cfg ThrottleConfig, now func() time.Time) (State, error) {
	failures, err := newThrottle(cfg, now)
	if err != nil {
		return State{}, err
	}
	return State{
		Failures: failures, DeviceCodes: failures.deviceCodes(), Turns: new(turns),
		Strict: newReplays(maxStrict, maxStrictByApp), Tolerant: newReplays(maxTolerant, maxTolerant),
		Workloads: new(workloads), Polls: new(polls),
	}, nil
}

// Failures counts failed attempts by account, which is an application or a user, and source.
type Failures interface {
	// Wait returns how many seconds the source has to wait before its next attempt at the
	// account; 0 means that it may go on.
	Wait(ctx context.Context, account directory.AppID, source string) int
	// Failed counts a failed attempt at what cannot be guessed.
	Failed(ctx context.Context, account directory.AppID, source string)
	// Guess begins an attempt at what can be guessed: a password, or a secret that
	// somebody chose. It counts until its outcome is known, so that guesses that are sent
	// all at once learn no more than those that come one by one. Sources that succeeded
	// lately have a budget of their own; all others share one for the account. If it has
	// to wait, there is no guess, and busy tells that others are under way whose outcome
	// may change that.
	Guess(ctx context.Context, account directory.AppID, source string, pace Pace) (guess Guess, wait int, busy bool)
	// Noteworthy reports whether a refusal of somebody who proved nothing deserves a sign-in
	// row of a tenant. Tried means that a wrong credential was counted.
	Noteworthy(ctx context.Context, tenant directory.TenantID, source string, tried bool) bool
}

// A Budget limits how much a source may ask for on behalf of an application.
type Budget interface {
	// Spend counts something asked for. If that is one too many, it is not counted, and
	// Spend returns how many seconds to wait.
	Spend(ctx context.Context, app directory.AppID, source string) int
	// Restore takes back what Spend counted.
	Restore(ctx context.Context, app directory.AppID, source string)
}

// Turns let attempts with the same key come one at a time, so that attempts which are sent
// all at once are counted before the next is looked at.
type Turns interface {
	// Take waits for the key's turn, which lasts until it is given back.
	Take(ctx context.Context, key string) (giveBack func())
}

// Replays remember the uses of assertions until those expire.
type Replays interface {
	// Note remembers a use and says what is known of it.
	Note(ctx context.Context, u Use, now time.Time) Outcome
	// NoteAnyway is Note for a caller who only wants to know: when there is no room, the
	// use that expires soonest is forgotten.
	NoteAnyway(ctx context.Context, u Use, now time.Time) (seen bool)
}

// Workloads are the programs that run as a client without holding a credential.
type Workloads interface {
	Start(ctx context.Context, w Workload)
	Stop(ctx context.Context, w Workload)
	// Runs reports whether the workload runs.
	Runs(ctx context.Context, w Workload) bool
	// RunsAs reports whether any workload of the tenant runs as the client.
	RunsAs(ctx context.Context, tenant directory.TenantID, client WorkloadClient) bool
}

// Polls remember when clients last asked about a device code.
type Polls interface {
	// TooFast notes that a client asks now, and reports whether the last time was less than
	// the interval ago.
	TooFast(ctx context.Context, device string, now time.Time, interval time.Duration) bool
}
