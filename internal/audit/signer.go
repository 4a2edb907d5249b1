package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A Signer makes the rows of a chain by a key, so that nobody without the key can make them,
// and signs the chain's end, so that rows cannot be cut off. The zero Signer has no key: its
// rows are those of [Chain], and it signs nothing.
type Signer struct{ key []byte }

// NewSigner returns a signer with a key that is kept apart from the rows.
func NewSigner(key []byte) Signer { return Signer{key} }

// A Head is the signed end of a chain. A store keeps one, and replaces it in the transaction
// that adds a row. Who can write to the store but has not got the key can put back an older
// head together with the rows of its time; only a copy kept elsewhere shows that.
type Head struct {
	Sequence int64
	Hash     []byte // of the row with that sequence
	Keyed    int64  // sequence of the first row that was made by the key; older ones are those of Chain
	Code     []byte // HMAC-SHA-256 of the above; none before the first row that was made by a key
}

// A ChangedError says what somebody without the key has done to a chain.
type ChangedError struct{ What string }

func (e *ChangedError) Error() string { return e.What }

func changed(format string, args ...any) error { return &ChangedError{fmt.Sprintf(format, args...)} }

// Append returns the row that follows the last one and the chain's new head. Where the rows
// do not end as the head says, the head stays as it is: whatever was done to them is not
// covered up by signing it.
func (s Signer) Append(last Row, head Head, event Event) (Row, Head, error) {
	if s.key == nil {
		row, err := Chain(last.Sequence, last.Hash, event)
		return row, head, err
	}
	row, err := s.chain(last.Sequence, last.Hash, event)
	if err != nil {
		return Row{}, head, err
	}
	keyed := head.Keyed
	switch {
	case len(head.Code) == 0:
		keyed = row.Sequence
	case s.check(head) != nil || head.Sequence != last.Sequence || !bytes.Equal(head.Hash, last.Hash):
		return row, head, nil
	}
	next := Head{Sequence: row.Sequence, Hash: row.Hash, Keyed: keyed}
	next.Code = s.code(next)
	return row, next, nil
}

// chain is Chain by the key.
func (s Signer) chain(sequence int64, previous []byte, event Event) (Row, error) {
	event.Time = event.Time.UTC().Truncate(time.Microsecond)
	body, err := json.Marshal(event)
	if err != nil {
		return Row{}, fmt.Errorf("encode audit event %s: %w", event.Action, err)
	}
	h := hmac.New(sha256.New, s.key)
	fmt.Fprintf(h, "row\n%x\n%d\n", previous, sequence+1)
	h.Write(body)
	return Row{Sequence: sequence + 1, Event: event, Hash: h.Sum(nil)}, nil
}

func (s Signer) code(head Head) []byte {
	h := hmac.New(sha256.New, s.key)
	fmt.Fprintf(h, "head\n%d\n%d\n%x\n", head.Sequence, head.Keyed, head.Hash)
	return h.Sum(nil)
}

func (s Signer) check(head Head) error {
	if !hmac.Equal(head.Code, s.code(head)) {
		return changed("the end of the audit log is not signed by the key: it was replaced")
	}
	return nil
}

// ErrUnsigned says that a chain with rows has no signed end: it was written before rows were
// signed, or the end was removed.
var ErrUnsigned = errors.New("the audit log is not signed")

// A Report says what a verified chain is.
type Report struct {
	Rows  int64     // that it has
	Keyed int64     // the first that was made by the key
	Last  time.Time // when the last was written
}

// page is how many rows are read at a time.
const page = 1000

// Verify reads a chain to its end and returns an error that says what was done to it, if
// anything. The rows may grow meanwhile.
func (s Signer) Verify(head func() (Head, error), rows func(after int64, limit int) ([]Row, error)) (Report, error) {
	first, err := head()
	if err != nil {
		return Report{}, err
	}
	if len(first.Code) != 0 {
		if err := s.check(first); err != nil {
			return Report{}, err
		}
	}
	v := verifier{signer: s, head: first}
	for more := true; more && err == nil; {
		var read []Row
		if read, err = rows(v.last.Sequence, page); err == nil {
			more, err = len(read) > 0, v.take(read)
		}
	}
	if err != nil {
		return v.report(), err
	}
	if v.last.Sequence > first.Sequence && len(first.Code) != 0 { // more was written meanwhile, or by somebody else
		last, err := head()
		if err != nil {
			return v.report(), err
		}
		if last.Sequence < v.last.Sequence || s.check(last) != nil {
			return v.report(), changed("audit rows after %d are not signed: somebody else has added or replaced rows", last.Sequence)
		}
	}
	return v.report(), v.end()
}

// A verifier follows a chain.
type verifier struct {
	signer Signer
	head   Head
	last   Row
}

// take follows the chain over the next rows.
func (v *verifier) take(rows []Row) error {
	for _, row := range rows {
		next := Chain
		if v.head.Keyed > 0 && row.Sequence >= v.head.Keyed {
			next = v.signer.chain
		}
		want, err := next(v.last.Sequence, v.last.Hash, row.Event)
		switch {
		case err != nil:
			return err
		case row.Sequence != want.Sequence:
			return changed("audit row %d stands where row %d belongs: a row was removed or reordered", row.Sequence, want.Sequence)
		case !hmac.Equal(row.Hash, want.Hash):
			return changed("audit row %d does not match its hash: it or a row before it was edited", row.Sequence)
		case row.Sequence == v.head.Sequence && !bytes.Equal(row.Hash, v.head.Hash):
			return changed("audit row %d is not the one that was signed", row.Sequence)
		}
		v.last = row
	}
	return nil
}

// end looks at what came of the rows once there are no more.
func (v *verifier) end() error {
	switch {
	case v.last.Sequence < v.head.Sequence:
		return changed("the audit log ends at row %d and was signed up to row %d: rows were removed from its end", v.last.Sequence, v.head.Sequence)
	case len(v.head.Code) == 0 && v.last.Sequence > 0:
		return ErrUnsigned
	}
	return nil
}

func (v *verifier) report() Report {
	return Report{Rows: v.last.Sequence, Keyed: v.head.Keyed, Last: v.last.Time}
}
