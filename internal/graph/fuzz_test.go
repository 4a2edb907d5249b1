package graph

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// FuzzBody holds that the reader of bodies never takes what the standard library refuses, that
// what it takes says the same to the standard library, and that no member occurs twice.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"displayName":"orders","web":{"redirectUris":["http://localhost"]},"n":1.5e3,"t":true,"z":null}`, `{"a":1,"a":2}`, `{"a":1,"A":2}`,
		`[]`, `null`, `"x"`, `{"a":`, `{"a":1}}`, `{"a":1} {}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"":[[[]]]}`, strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		read, err := parseBody(content)
		if err != nil {
			if p := problemOf(err); p.status < 400 || p.status >= 500 || len(p.message) > 1000 {
				t.Errorf("%q: %d %s", content, p.status, p.message)
			}
			return
		}
		var want map[string]any
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.UseNumber()
		if err := decoder.Decode(&want); err != nil {
			t.Fatalf("%q: taken, and the standard library says %v", content, err)
		}
		if len(want) != len(read) {
			t.Errorf("%q: %d members, the standard library has %d", content, len(read), len(want))
		}
		written, err := json.Marshal(read)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := json.Marshal(plainly(read))
		if err != nil {
			t.Fatal(err)
		}
		standard, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(plain, standard) {
			t.Errorf("%q: read as %s, the standard library has %s", content, plain, standard)
		}
		again, err := parseBody(written)
		if err != nil || !sameJSON(again, read) {
			t.Errorf("%q: written as %s, which reads as %v, %v", content, written, again, err)
		}
		set(t, read)
	})
}

// set applies a body to an application, which must end in a value or a refusal.
func set(t *testing.T, read body) {
	t.Helper()
	draft := &applicationDraft{Application: &directory.Application{}, tenant: &directory.Tenant{}, settings: settings{}, creating: true}
	if err := draft.fill(read); err != nil {
		if p := problemOf(err); p.status != 400 {
			t.Errorf("%v: %d %s", read, p.status, p.message)
		}
		return
	}
	if err := encode(new(bytes.Buffer), render(applicationTable, draft)); err != nil {
		t.Errorf("%v: taken, and cannot be given back: %v", read, err)
	}
}

// plainly is a value as the standard library reads it.
func plainly(value any) any {
	switch v := value.(type) {
	case body:
		plain := map[string]any{}
		for _, m := range v {
			plain[m.name] = plainly(m.value)
		}
		return plain
	case []any:
		plain := make([]any, len(v))
		for i := range v {
			plain[i] = plainly(v[i])
		}
		return plain
	}
	return value
}
