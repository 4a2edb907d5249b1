package coordination

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// kindUse is the kind of token records that remember uses of assertions.
const kindUse directory.TokenRecordKind = "assertion"

// keptReplays are those of a directory's store, so that they survive a restart and hold for
// every process on it. What memory knows already costs no look at the store.
type keptReplays struct {
	memory    Replays
	directory *directory.Directory
}

// KeepReplays lets uses be kept in a directory's store, behind a memory of them.
func KeepReplays(memory Replays, d *directory.Directory) Replays { return &keptReplays{memory, d} }

// keptUse is the body of a record.
type keptUse struct {
	Digest string `json:"digest"` // of the assertion
	At     int64  `json:"at"`     // Unix time of the first presentation
}

// Note implements [Replays]. Two who present an assertion at the same time meet in the store,
// whose transactions come one after another.
func (r *keptReplays) Note(ctx context.Context, u Use, now time.Time) Outcome {
	if known := r.memory.Note(ctx, u, now); known == Again || known == Full {
		return known
	}
	outcome, err := r.note(ctx, u, now)
	if err != nil {
		return Full
	}
	return outcome
}

func (r *keptReplays) note(ctx context.Context, u Use, now time.Time) (Outcome, error) {
	use := keptUse{Digest: hex.EncodeToString(u.digest[:]), At: now.Unix()}
	body, err := json.Marshal(use)
	if err != nil {
		return Full, fmt.Errorf("encode the use of an assertion: %w", err)
	}
	id := r.directory.TokenRecordID(kindUse, string(u.key[:]))
	err = r.directory.PutTokenRecord(ctx, directory.TokenRecord{Tenant: u.tenant, Kind: kindUse, ID: id, Expires: u.expires, Body: body})
	if err == nil || !errors.Is(err, directory.ErrDuplicate) {
		return First, err
	}
	record, err := r.directory.TokenRecord(ctx, u.tenant, kindUse, id)
	if err != nil {
		return Full, err
	}
	var first keptUse
	if err := json.Unmarshal(record.Body, &first); err != nil {
		return Full, fmt.Errorf("read the use of an assertion: %w", err)
	}
	if first.Digest == use.Digest && now.Unix()-first.At <= int64(retryWindow/time.Second) {
		return Retried, nil
	}
	return Again, nil
}

// NoteAnyway implements [Replays]. Who only wants to know is told what memory knows.
func (r *keptReplays) NoteAnyway(ctx context.Context, u Use, now time.Time) (seen bool) {
	return r.memory.NoteAnyway(ctx, u, now)
}
