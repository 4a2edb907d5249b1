// Package audit holds the vocabulary of "who did what": the event every change of
// the directory leaves behind, and the hash chain that shows when a row was edited,
// removed or reordered.
//
// It keeps nothing itself; a store writes the rows in the transaction of the change.
package audit

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"
)

// An Event is one act on the directory, as it is kept.
type Event struct {
	Time   time.Time `json:"time"`
	Tenant string    `json:"tenant,omitempty"` // tenant id; empty for acts above tenants
	Actor  string    `json:"actor"`            // who: "cli:apply", "system:first-start", a user principal name
	// ActorKind is "operator", "system", "application" or "user"; rows of older versions
	// have none.
	ActorKind string `json:"actorKind,omitempty"`
	Action    string `json:"action"`           // what: "application.create", "assignment.delete", ...
	Kind      string `json:"kind"`             // of the target: "application", "assignment", ...
	Target    string `json:"target"`           // the target's id
	Name      string `json:"name,omitempty"`   // the target's name, for people
	Detail    string `json:"detail,omitempty"` // what changed, never a secret
}

// An Actor is who did something: the two members of an event that say so.
type Actor struct {
	Kind string // as in Event.ActorKind
	Name string // as in Event.Actor
}

// A Row is an event in its place in the chain.
type Row struct {
	Sequence int64 `json:"sequence"` // 1, 2, 3 … without gaps
	Event
	Hash []byte `json:"hash"` // SHA-256 over the previous row's hash, the sequence and the event
}

// Chain returns the row that follows a row with the given sequence and hash; the
// first row follows sequence 0 and a nil hash.
func Chain(sequence int64, previous []byte, event Event) (Row, error) {
	event.Time = event.Time.UTC().Truncate(time.Microsecond)
	body, err := json.Marshal(event)
	if err != nil {
		return Row{}, fmt.Errorf("encode audit event %s: %w", event.Action, err)
	}
	h := sha256.New()
	h.Write(previous)
	fmt.Fprintf(h, "\n%d\n", sequence+1)
	h.Write(body)
	return Row{Sequence: sequence + 1, Event: event, Hash: h.Sum(nil)}, nil
}

// Verify checks that rows, in order, continue the chain after the given sequence and
// hash, and returns an error that names the first row that does not. Rows cut off at the
// end leave a whole chain: only a later sequence and hash kept elsewhere show that.
func Verify(sequence int64, previous []byte, rows []Row) error {
	for _, row := range rows {
		want, err := Chain(sequence, previous, row.Event)
		if err != nil {
			return err
		}
		if row.Sequence != want.Sequence {
			return fmt.Errorf("audit row %d stands where row %d belongs: a row was removed or reordered", row.Sequence, want.Sequence)
		}
		if string(row.Hash) != string(want.Hash) {
			return fmt.Errorf("audit row %d does not match its hash: it or a row before it was edited", row.Sequence)
		}
		sequence, previous = row.Sequence, row.Hash
	}
	return nil
}
