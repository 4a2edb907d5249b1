package output

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

func numbered(n int) Stream {
	return Stream{
		Listing: Listing{Columns: []string{"name", "kind"}, Empty: "nothing", Spare: []int{1}, Cut: []int{0}},
		Each: func(yield func([]string, any) error) error {
			for i := range n {
				name := fmt.Sprintf("app-%d", i)
				if err := yield([]string{name, "application"}, map[string]any{"name": name, "uri": "<" + name + ">"}); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// Whatever the format, a stream prints what a listing of the same prints.
func TestStreamsPrintWhatListingsPrint(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 3, measured + 3} {
		for _, format := range Lists() {
			whole := Listing{Columns: []string{"name", "kind"}, Empty: "nothing", Spare: []int{1}, Cut: []int{0}}
			value := []any{}
			if err := numbered(n).Each(func(row []string, v any) error {
				whole.Rows, value = append(whole.Rows, row), append(value, v)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			whole.Value = value
			var want, got, wantSaid, gotSaid bytes.Buffer
			printer := func(out, said *bytes.Buffer) Printer {
				return Printer{Out: out, Screen: Screen{Width: 80}, Say: func(format string, args ...any) { fmt.Fprintf(said, format+"\n", args...) }}
			}
			if err := printer(&want, &wantSaid).Print(&Format{Value: format}, whole); err != nil {
				t.Fatal(err)
			}
			if err := printer(&got, &gotSaid).Stream(&Format{Value: format}, numbered(n)); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() || gotSaid.String() != wantSaid.String() {
				t.Errorf("%d rows as %s: got\n%s%s\nwant\n%s%s", n, format, got.String(), gotSaid.String(), want.String(), wantSaid.String())
			}
		}
	}
}

// Rows are printed as they come: those of a stream that never ends, too.
func TestStreamsDoNotWait(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "tsv", "name"} {
		read, write := io.Pipe()
		go func() {
			err := Printer{Out: write}.Stream(&Format{Value: format}, Stream{Each: func(yield func([]string, any) error) error {
				for {
					if err := yield([]string{"x"}, "x"); err != nil {
						return err
					}
				}
			}})
			write.CloseWithError(err)
		}()
		first := make([]byte, 64)
		if n, err := io.ReadFull(read, first); err != nil {
			t.Errorf("%s: %d bytes, %v", format, n, err)
		}
		read.Close()
	}
}

// A value of a later row that is longer than all that decided the width is cut.
func TestStreamedTablesKeepTheirWidth(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := Printer{Out: &b, Screen: Screen{Width: 30}, Say: func(string, ...any) {}}
	err := p.Stream(&Format{Value: "table"}, Stream{
		Listing: Listing{Columns: []string{"name", "kind"}},
		Each: func(yield func([]string, any) error) error {
			for range measured {
				if err := yield([]string{"short", "x"}, nil); err != nil {
					return err
				}
			}
			return yield([]string{"longer than short", "x"}, nil)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(b.String(), "short  x\nlong…  x\n") {
		t.Errorf("got …%s", b.String()[b.Len()-40:])
	}
}
