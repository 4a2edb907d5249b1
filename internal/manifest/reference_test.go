package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// paths are where each object of the reference stands in a file, as the YAML before it.
var paths = map[string]string{
	"file":                "%s",
	"tenant":              "tenants: [%s]",
	"appManagementPolicy": "tenants: [{name: t, appManagementPolicy: %s}]",
	"resourceGroup":       "tenants: [{name: t, resourceGroups: [%s]}]",
	"tags":                "tenants: [{name: t, resourceGroups: [{name: g, tags: %s}]}]",
	"application":         "tenants: [{name: t, applications: [%s]}]",
	"appRole":             "tenants: [{name: t, applications: [{name: a, appRoles: [%s]}]}]",
	"scope":               "tenants: [{name: t, applications: [{name: a, scopes: [%s]}]}]",
	"optionalClaim":       "tenants: [{name: t, applications: [{name: a, optionalClaims: [%s]}]}]",
	"secret":              "tenants: [{name: t, applications: [{name: a, secrets: [%s]}]}]",
	"certificate":         "tenants: [{name: t, applications: [{name: a, certificates: [%s]}]}]",
	"federatedCredential": "tenants: [{name: t, applications: [{name: a, federatedCredentials: [%s]}]}]",
	"permission":          "tenants: [{name: t, applications: [{name: a, permissions: [%s]}]}]",
	"managedIdentity":     "tenants: [{name: t, managedIdentities: [%s]}]",
	"assignment":          "tenants: [{name: t, managedIdentities: [{name: i, type: system, assignments: [%s]}]}]",
	"settings":            "tenants: [{name: t, applications: [{name: a, settings: %s}]}]",
	"preAuthorized":       "tenants: [{name: t, applications: [{name: a, preAuthorized: [%s]}]}]",
	"servicePrincipal":    "tenants: [{name: t, applications: [{name: a, servicePrincipal: %s}]}]",
	"delegatedGrant":      "tenants: [{name: t, applications: [{name: a, delegatedGrants: [%s]}]}]",
	"host":                "tenants: [{name: t, hosts: [%s]}]",
	"user":                "tenants: [{name: t, users: [%s]}]",
	"password":            "tenants: [{name: t, users: [{userPrincipalName: u@t.test, password: %s}]}]",
}

// The reference has the members that the parser has: what it lists when it meets an unknown
// one, and what it misses in an empty object.
func TestTheReferenceIsWhatIsRead(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, object := range manifest.Reference() {
		seen[object.Name] = true
		var members, required []string
		for _, m := range object.Members {
			members = append(members, m.Name)
			if m.Required {
				required = append(required, m.Name)
			}
		}
		slices.Sort(members)
		_, err := parse(fmt.Sprintf(paths[object.Name], "{unknownMember: 1}"))
		problems, _ := errors.AsType[manifest.Problems](err)
		listed, missing := "", []string{}
		for _, p := range problems {
			if list, ok := strings.CutPrefix(p.Fix(), "Its members are: "); ok {
				listed = strings.TrimSuffix(list, ".")
			}
			if _, name, ok := strings.Cut(p.What, object.Article+" lacks its "); ok && !strings.Contains(name, " ") {
				missing = append(missing, strings.TrimSuffix(name, "."))
			}
		}
		if want := strings.Join(members, ", "); listed != want {
			t.Errorf("%s: the parser reads %s\nthe reference has %s", object.Name, listed, want)
		}
		for _, name := range required {
			if !slices.Contains(missing, name) {
				t.Errorf("%s: %s is required by the reference alone (%v)", object.Name, name, missing)
			}
		}
	}
	for name := range paths {
		if !seen[name] {
			t.Errorf("%s is not in the reference", name)
		}
	}
}

// Every default that the reference names is a value that the parser takes, and every choice.
func TestChoicesOfTheReferenceAreTaken(t *testing.T) {
	t.Parallel()
	for _, object := range manifest.Reference() {
		for _, m := range object.Members {
			values := append(slices.Clone(m.Choices), m.Default)
			for _, value := range values {
				if value == "" {
					continue
				}
				if m.List && !strings.HasPrefix(value, "[") {
					value = "[" + value + "]"
				}
				_, err := parse(fmt.Sprintf(paths[object.Name], "{"+m.Name+": "+value+"}"))
				problems, _ := errors.AsType[manifest.Problems](err)
				for _, p := range problems {
					if strings.Contains(p.What, " stands where ") || strings.Contains(p.What, " is none of ") {
						t.Errorf("%s.%s: %s: %v", object.Name, m.Name, value, p)
					}
				}
			}
		}
	}
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	b, err := json.Marshal(manifest.JSONSchema())
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("rolecall.schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("rolecall.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// valid asks another implementation of JSON Schema.
func valid(s *jsonschema.Schema, text []byte) error {
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		return err
	}
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return s.Validate(document)
}

func TestTheSchemaTakesWhatIsRight(t *testing.T) {
	t.Parallel()
	s := schema(t)
	files, err := filepath.Glob("../../examples/*/rolecall.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(s, text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if err := valid(s, []byte(manifest.Starter)); err != nil {
		t.Errorf("the starter: %v", err)
	}
}

func TestTheSchemaRefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := schema(t)
	for name, text := range map[string]string{
		"unknown member":     `tenants: [{name: t, roles: []}]`,
		"no name":            `tenants: [{applications: []}]`,
		"bad GUID":           `tenants: [{name: t, id: x}]`,
		"version 3":          `tenants: [{name: t, applications: [{name: a, requestedAccessTokenVersion: 3}]}]`,
		"two sources":        `tenants: [{name: t, applications: [{name: a, secrets: [{name: s, value: x, env: Y}]}]}]`,
		"no source":          `tenants: [{name: t, applications: [{name: a, secrets: [{name: s}]}]}]`,
		"identity of a kind": `tenants: [{name: t, managedIdentities: [{name: i, type: sys}]}]`,
		"text for a list":    `tenants: [{name: t, domains: contoso.test}]`,
	} {
		if err := valid(s, []byte(text)); err == nil {
			t.Errorf("%s is taken", name)
		}
		if _, err := parse(text); err == nil {
			t.Errorf("%s is taken by the parser", name)
		}
	}
}

// docs/rolecall-yaml.md has the reference, word for word. UPDATE=1 writes it.
func TestTheReferencePageIsUpToDate(t *testing.T) {
	t.Parallel()
	const page, marker = "../../docs/rolecall-yaml.md", "<!-- reference: generated -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(text), marker)
	if !found {
		t.Fatalf("%s lacks its marker", page)
	}
	want := head + marker + "\n" + strings.TrimSuffix(manifest.Markdown(), "\n")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s is behind the reference: run UPDATE=1 go test ./internal/manifest -run TestTheReferencePageIsUpToDate", page)
	}
}
