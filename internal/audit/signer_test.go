package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// A kept is a chain as a store keeps it.
type kept struct {
	rows []audit.Row
	head audit.Head
	acts int // that were ever added, so that no two are the same
}

func (k *kept) add(t testing.TB, s audit.Signer, n int) {
	t.Helper()
	for range n {
		var last audit.Row
		if len(k.rows) > 0 {
			last = k.rows[len(k.rows)-1]
		}
		row, head, err := s.Append(last, k.head, audit.Event{
			Time: time.Unix(1000, 0), Actor: "cli:grant", Action: "assignment.create", Target: fmt.Sprint(k.acts),
		})
		k.acts++
		if err != nil {
			t.Fatal(err)
		}
		k.rows, k.head = append(k.rows, row), head
	}
}

func (k *kept) verify(s audit.Signer) (audit.Report, error) {
	return s.Verify(func() (audit.Head, error) { return k.head, nil }, func(after int64, limit int) ([]audit.Row, error) {
		at := min(after, int64(len(k.rows)))
		return k.rows[at:min(at+int64(limit), int64(len(k.rows)))], nil
	})
}

func (k *kept) clone() *kept { return &kept{slices.Clone(k.rows), k.head, k.acts} }

// rehash makes the rows from an index on follow each other again, as somebody can who has
// not got the key.
func (k *kept) rehash(t *testing.T, from int) {
	t.Helper()
	var last audit.Row
	if from > 0 {
		last = k.rows[from-1]
	}
	for i := from; i < len(k.rows); i++ {
		row, err := audit.Chain(last.Sequence, last.Hash, k.rows[i].Event)
		if err != nil {
			t.Fatal(err)
		}
		k.rows[i], last = row, row
	}
}

var (
	signer  = audit.NewSigner(bytes.Repeat([]byte{7}, 32))
	another = audit.NewSigner(bytes.Repeat([]byte{8}, 32))
)

func TestASignedChainIsWhole(t *testing.T) {
	for _, tt := range []struct {
		name             string
		unsigned, signed int
		keyed            int64
	}{
		{"of this version", 0, 30, 1},
		{"of an older version", 20, 10, 21},
		{"longer than a page", 1500, 1500, 1501},
	} {
		var k kept
		k.add(t, audit.Signer{}, tt.unsigned)
		k.add(t, signer, tt.signed)
		report, err := k.verify(signer)
		if err != nil || report.Rows != int64(tt.unsigned+tt.signed) || report.Keyed != tt.keyed {
			t.Errorf("%s: %+v, %v", tt.name, report, err)
		}
	}
}

func TestAnUnsignedChainIsSaidToBe(t *testing.T) {
	var k kept
	if _, err := k.verify(signer); err != nil {
		t.Errorf("an empty one: %v", err)
	}
	k.add(t, audit.Signer{}, 5)
	if _, err := k.verify(signer); !errors.Is(err, audit.ErrUnsigned) {
		t.Errorf("got %v", err)
	}
}

// TestWhatIsDoneWithoutTheKeyIsNoticed is what can be done to the rows and the head by
// somebody who writes to the store, knows how both are made, and has not got the key.
func TestWhatIsDoneWithoutTheKeyIsNoticed(t *testing.T) {
	var before kept
	before.add(t, audit.Signer{}, 10)
	before.add(t, signer, 20)
	for _, tt := range []struct {
		name string
		do   func(k *kept)
	}{
		{"three rows removed, the rest hashed anew", func(k *kept) { k.rows = slices.Delete(k.rows, 14, 17); k.rehash(t, 14) }},
		{"three older rows removed, the rest hashed anew", func(k *kept) { k.rows = slices.Delete(k.rows, 4, 7); k.rehash(t, 4) }},
		{"all hashed anew", func(k *kept) { k.rehash(t, 0) }},
		{"all hashed anew, the head taken away", func(k *kept) { k.rehash(t, 0); k.head = audit.Head{} }},
		{"a row edited", func(k *kept) { k.rows[15].Actor = "nobody" }},
		{"an older row edited", func(k *kept) { k.rows[5].Actor = "nobody" }},
		{"the last edited", func(k *kept) { k.rows[29].Actor = "nobody" }},
		{"the last removed", func(k *kept) { k.rows = k.rows[:29] }},
		{"all removed", func(k *kept) { k.rows = nil }},
		{"the first removed", func(k *kept) { k.rows = k.rows[1:] }},
		{"a row added", func(k *kept) {
			row, _, err := another.Append(k.rows[29], audit.Head{}, audit.Event{Action: "forged"})
			if err != nil {
				t.Fatal(err)
			}
			k.rows = append(k.rows, row)
		}},
		{"a row added, the head signed by another key", func(k *kept) {
			row, head, err := another.Append(k.rows[29], audit.Head{}, audit.Event{Action: "forged"})
			if err != nil {
				t.Fatal(err)
			}
			k.rows, k.head = append(k.rows, row), head
		}},
		{"cut off, the head moved back", func(k *kept) { k.rows = k.rows[:25]; k.head.Sequence, k.head.Hash = 25, k.rows[24].Hash }},
		{"two rows exchanged", func(k *kept) { k.rows[15], k.rows[16] = k.rows[16], k.rows[15] }},
		{"the rows called older ones", func(k *kept) { k.head.Keyed = 31; k.rehash(t, 0); k.head.Hash = k.rows[29].Hash }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := before.clone()
			tt.do(k)
			if _, err := k.verify(signer); err == nil {
				t.Error("not noticed")
			}
			if len(k.rows) == 0 || strings.Contains(tt.name, "taken away") {
				return // nothing is left to go on from
			}
			k.add(t, signer, 3) // what comes then does not cover it up
			if _, err := k.verify(signer); err == nil {
				t.Error("not noticed any more, once more was written")
			}
		})
	}
}

func TestAnotherKeyIsNoticed(t *testing.T) {
	var k kept
	k.add(t, signer, 5)
	if _, err := k.verify(another); err == nil {
		t.Error("not noticed")
	}
}
