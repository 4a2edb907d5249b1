package fix_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/fix"
)

type ruled struct{ what, fix string }

func (r ruled) Error() string { return r.what }
func (r ruled) Fix() string   { return r.fix }

func TestTheNextStepIsFoundAndSaidOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                string
		err                 error
		of, what, inOneLine string
	}{
		{"an error that knows none", errors.New("it broke"), "", "it broke", "it broke"},
		{"one that does", ruled{"it broke", "mend it"}, "mend it", "it broke", "it broke: mend it"},
		{"one that ends with it", ruled{"It broke. Mend it.", "Mend it."}, "Mend it.", "It broke.", "It broke. Mend it."},
		{"one within another", fmt.Errorf("start: %w", ruled{"it broke", "mend it"}), "mend it", "start: it broke", "start: it broke: mend it"},
		{"the first of several", errors.Join(errors.New("a"), ruled{"b", "mend b"}, ruled{"c", "mend c"}), "mend b", "a\nb\nc", "a\nb\nc: mend b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if of, what, line := fix.Of(tt.err), fix.What(tt.err), fix.InOneLine(tt.err); of != tt.of || what != tt.what || line != tt.inOneLine {
				t.Errorf("got %q, %q, %q", of, what, line)
			}
		})
	}
}
