package output

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestTablesFitTheScreen(t *testing.T) {
	t.Parallel()
	columns, rows := []string{"name", "state"}, [][]string{{"orders\x1b[2Jclient", "current"}, {"x", ""}}
	for _, tt := range []struct {
		width int
		want  string
	}{
		{80, "NAME              STATE\norders?[2Jclient  current\nx\n"},
		{10, "name   orders?[2Jclient\nstate  current\n\nname   x\n"},
	} {
		var b bytes.Buffer
		Screen{Width: tt.width}.table(&b, columns, rows)
		if b.String() != tt.want {
			t.Errorf("at width %d:\n%s\nwant:\n%s", tt.width, b.String(), tt.want)
		}
	}
}

// A narrow screen shows what matters most of a wide listing, still as a table.
func TestListingsFitTheScreen(t *testing.T) {
	t.Parallel()
	l := Listing{
		Columns: []string{"client", "kind", "id"}, Spare: []int{1}, Cut: []int{2},
		Rows: [][]string{{"nightly", "secret", "9f03d768-7e75-415e-b6d7-61f015f03a6b"}},
	}
	for width, want := range map[int]string{
		80: "CLIENT   KIND    ID\nnightly  secret  9f03d768-7e75-415e-b6d7-61f015f03a6b\n",
		50: "CLIENT   ID\nnightly  9f03d768-7e75-415e-b6d7-61f015f03a6b\n",
		30: "CLIENT   ID\nnightly  9f03d768-7e75-415e-b…\n",
		15: "client  nightly\nid      9f03d768-7e75-415e-b6d7-61f015f03a6b\n",
	} {
		var b bytes.Buffer
		f := l.fitting(width)
		Screen{Width: width}.table(&b, f.columns, f.rows)
		if b.String() != want {
			t.Errorf("at width %d:\n%s\nwant:\n%s", width, b.String(), want)
		}
	}
	if l.Rows[0][1] != "secret" {
		t.Error("the listing itself has changed")
	}
}

// What a narrow table leaves out is told beside it, and what it shows whole is not.
func TestTablesSayWhatTheyLeaveOut(t *testing.T) {
	t.Parallel()
	l := Listing{
		Columns: []string{"client", "kind", "cloud", "id"}, Spare: []int{2, 1}, Cut: []int{3}, More: "only the newest 1 are listed",
		Rows: [][]string{{"nightly", "secret", "", "9f03d768-7e75-415e-b6d7-61f015f03a6b"}},
	}
	for width, want := range map[int]string{
		80: "only the newest 1 are listed\n",
		50: "to fit 50 columns, left out: kind; -o json has everything\nonly the newest 1 are listed\n",
		30: "to fit 30 columns, left out: kind; cut short: id; -o json has everything\nonly the newest 1 are listed\n",
	} {
		var said strings.Builder
		p := Printer{Out: io.Discard, Screen: Screen{Width: width}, Say: func(format string, args ...any) { fmt.Fprintf(&said, format+"\n", args...) }}
		if err := p.Print(&Format{Value: "table"}, l); err != nil {
			t.Fatal(err)
		}
		if said.String() != want {
			t.Errorf("at width %d, said:\n%s\nwant:\n%s", width, said.String(), want)
		}
	}
}

func TestQueriesChooseWhatIsPrinted(t *testing.T) {
	t.Parallel()
	value := []map[string]any{
		{"name": "orders", "roles": []string{"Orders.Read", "<Orders>"}, "count": 12345678},
		{"name": "tab\tbed", "count": 2},
	}
	l := Listing{Columns: []string{"name"}, Rows: [][]string{{"orders"}, {"tab\tbed"}}, Value: value}
	for _, tt := range []struct{ name, query, format, want string }{
		{"one member of each, a line each", "[].name", "tsv", "orders\ntab bed\n"},
		{"lists are rows, in the order that was asked for", "[].[name, count]", "tsv", "orders\t12345678\ntab bed\t2\n"},
		{"objects are rows, in the order of their members' names", "[].{n: name, c: count}", "tsv", "12345678\torders\n2\ttab bed\n"},
		{"a member that only some have", "[].{n: name, r: roles}", "tsv", "orders\t[\"Orders.Read\",\"<Orders>\"]\ntab bed\t\n"},
		{"a number alone", "length(@)", "tsv", "2\n"},
		{"nothing", "[?name=='x'] | [0]", "tsv", ""},
		{"nothing in JSON", "[?name=='x'] | [0]", "json", "null\n"},
		{"JSON", "[0].{n: name, r: roles}", "json", "{\n  \"n\": \"orders\",\n  \"r\": [\n    \"Orders.Read\",\n    \"<Orders>\"\n  ]\n}\n"},
		{"YAML", "[].{n: name}", "yaml", "- n: orders\n- n: \"tab\\tbed\"\n"},
		{"a table of objects", "[].{n: name, c: count}", "table", "C         N\n12345678  orders\n2         tab?bed\n"},
		{"a table of lists", "[].[count]", "table", "COLUMN1\n12345678\n2\n"},
		{"a table of a text", "[0].name", "table", "RESULT\norders\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &Format{Value: tt.format}
			if err := f.Query().Set(tt.query); err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := (Printer{Out: &b, Screen: Screen{Width: 80}, Say: func(string, ...any) {}}).Print(f, l); err != nil {
				t.Fatal(err)
			}
			if b.String() != tt.want {
				t.Errorf("got\n%s\nwant\n%s", b.String(), tt.want)
			}
		})
	}
}

func TestQueriesThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"", "[", "a b", "nosuch(@)"} {
		f := &Format{Value: "json"}
		err := f.Query().Set(query)
		if err == nil {
			err = (Printer{Out: io.Discard}).Print(f, Listing{Value: []string{}})
		}
		if err == nil {
			t.Errorf("the query %q was taken", query)
		}
	}
	// Before anything is changed whose answer it would choose from: wherever the function stands.
	for query, want := range map[string]string{"nosuch(@)": `no function "nosuch"`, "[].size(name)": `no function "size"`, "a.b[?nosuch(c)]": "nosuch", "sort_by(@, &nosuch(@))": "nosuch"} {
		if err := new(Query).Set(query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
	f := &Format{Value: "name"}
	if err := f.Query().Set("[].x"); err != nil {
		t.Fatal(err)
	}
	if f.Check() == nil {
		t.Error("-o name was taken with a query")
	}
}

// Whatever stands on the command line, an expression is taken or refused with a reason.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"[].name", "[?a=='b'].{x: a, y: b[0]}", "a.b | c", "sort_by(@, &name)[-1]", "`1`", "'", "[::0]", "&a", "let $x = a in $x", "@.@"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		format := &Format{Value: "tsv"}
		if format.Query().Set(text) != nil {
			return
		}
		value := []map[string]any{{"a": "b", "b": []int{1, 2}, "name": "x"}}
		_ = Printer{Out: io.Discard, Say: func(string, ...any) {}}.Print(format, Listing{Value: value}) // it must come back
	})
}
