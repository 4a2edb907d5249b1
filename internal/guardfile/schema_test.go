package guardfile_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/rolecall-auth/rolecall/internal/guardfile"
)

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	b, err := json.Marshal(guardfile.JSONSchema())
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("guard.schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("guard.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// valid asks another implementation of JSON Schema.
func valid(t testing.TB, s *jsonschema.Schema, content []byte) error {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(content, &value); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(document)
}

// The schema and the reader agree on every member: what one takes the other does.
func TestTheSchemaAndTheReaderAgree(t *testing.T) {
	t.Parallel()
	s := schema(t)
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		if err := valid(t, s, read(t, filepath.Base(file))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	const good = "authority: https://a.test/t\naudience: [x]\n"
	properties := func(o map[string]any) []string {
		return slices.Sorted(maps.Keys(o["properties"].(map[string]any)))
	}
	root := guardfile.JSONSchema()
	known := properties(root)
	items := func(o map[string]any, list string) map[string]any {
		return o["properties"].(map[string]any)[list].(map[string]any)["items"].(map[string]any)
	}
	for where, tt := range map[string]struct {
		content string
		schema  []string
	}{
		"the root": {"zz: 1\n", known}, "an API": {"apis: [{zz: 1}]\n", properties(items(root, "apis"))}, "a rule": {"rules: [{zz: 1, path: /}]\n", properties(items(root, "rules"))},
	} {
		_, err := guardfile.Parse("guard.yaml", []byte(tt.content))
		_, list, _ := strings.Cut(err.Error(), `there is no member "zz" here: there are `)
		list, _, _ = strings.Cut(list, "\n")
		reader := slices.Sorted(slices.Values(strings.Split(list, ", ")))
		if !slices.Equal(reader, tt.schema) {
			t.Errorf("%s: the reader knows %q, the schema %q", where, reader, tt.schema)
		}
	}
	for _, tt := range []struct{ name, content string }{
		{"unknown", good + "rulez: 1\nrules: [{path: /}]\n"}, {"no rules", good}, {"no audience", "authority: https://a.test/t\nrules: [{path: /}]\n"},
		{"a mode", good + "mode: sidecar\nrules: [{path: /}]\n"}, {"a member of a rule", good + "rules: [{path: /, role: x}]\n"}, {"no path", good + "rules: [{roles: [x]}]\n"},
		{"a text for a list", good + "rules: [{path: /, roles: x}]\n"}, {"truth", good + "rules: [{path: /, anonymous: maybe}]\n"}, {"both", good + "rules: [{path: /}]\napis: [{host: a, authority: x, audience: [x], rules: [{path: /}]}]\n"},
		{"half of TLS", good + "tls: {cert: a}\nrules: [{path: /}]\n"}, {"a host", "apis: [{authority: https://a.test/t, audience: [x], rules: [{path: /}]}]\n"},
	} {
		_, err := guardfile.Parse("guard.yaml", []byte(tt.content))
		if schemaErr := valid(t, s, []byte(tt.content)); err == nil || schemaErr == nil {
			t.Errorf("%s: the reader says %v, the schema %v", tt.name, err, schemaErr)
		}
	}
	for _, member := range known { // the reader knows each of them
		_, err := guardfile.Parse("guard.yaml", []byte(member+": {}\n"))
		if err == nil || strings.Contains(err.Error(), "there is no member") {
			t.Errorf("%s: %v", member, err)
		}
	}
}

// What is written is read as what it was written from.
func TestSettingsAreWrittenAsTheyAreRead(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"guard.yaml", "apis.yaml", "all.yaml", "authsettings.json", "policy.xml"} {
		first, err := guardfile.Parse("/etc/"+name, read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(first.Settings())
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(t, schema(t), text); err != nil {
			t.Errorf("%s: %v in %s", name, err, text)
		}
		second, err := guardfile.Parse("/etc/guard.yaml", text)
		if err != nil {
			t.Fatalf("%s: %v in %s", name, err, text)
		}
		first.Warnings, first.Foreign = nil, ""
		for _, f := range []*guardfile.File{first, second} {
			if f.Revocation == "" {
				f.Revocation = "off"
			}
			for i := range f.APIs {
				f.APIs[i].Places = nil
			}
		}
		if !reflect.DeepEqual(first, second) {
			t.Errorf("%s:\n%+v, want\n%+v", name, second, first)
		}
	}
}
