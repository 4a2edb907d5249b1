package graph_test

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestMetadata holds the description against what is answered: each member is there, and each
// type that is named.
func TestMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All", "Directory.Read.All")
	_, _, sp := w.api(admin, orders)
	got := w.do(admin, http.MethodGet, "/v1.0/$metadata", nil)
	if got.Code != http.StatusOK || got.Header().Get("Content-Type") != "application/xml" {
		t.Fatalf("got %d %v", got.Code, got.Header())
	}
	type kind struct {
		Name       string `xml:"Name,attr"`
		Properties []struct {
			Name string `xml:"Name,attr"`
			Type string `xml:"Type,attr"`
		} `xml:"Property"`
	}
	var document struct {
		Schema struct {
			Entities  []kind `xml:"EntityType"`
			Complex   []kind `xml:"ComplexType"`
			Container struct {
				Sets []struct {
					Name string `xml:"Name,attr"`
					Type string `xml:"EntityType,attr"`
				} `xml:"EntitySet"`
			} `xml:"EntityContainer"`
		} `xml:"DataServices>Schema"`
	}
	if err := xml.Unmarshal(got.Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	types := map[string][]string{}
	for _, one := range slices.Concat(document.Schema.Entities, document.Schema.Complex) {
		if types[one.Name] != nil {
			t.Errorf("the type %s is declared twice", one.Name)
		}
		types[one.Name] = []string{}
		for _, p := range one.Properties {
			types[one.Name] = append(types[one.Name], p.Name)
		}
	}
	for _, one := range slices.Concat(document.Schema.Entities, document.Schema.Complex) {
		for _, p := range one.Properties {
			name, own := strings.CutPrefix(strings.TrimSuffix(strings.TrimPrefix(p.Type, "Collection("), ")"), "microsoft.graph.")
			if own && types[name] == nil {
				t.Errorf("%s.%s has the type %s, which is not declared", one.Name, p.Name, p.Type)
			}
		}
	}
	sets := map[string]string{}
	for _, set := range document.Schema.Container.Sets {
		sets[set.Name] = strings.TrimPrefix(set.Type, "microsoft.graph.")
	}
	for _, set := range []string{"applications", "servicePrincipals", "users", "organization", "domains"} {
		list := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/"+set, nil)
		for _, one := range list["value"].([]any) {
			for name := range one.(map[string]any) {
				if !slices.Contains(types[sets[set]], name) {
					t.Errorf("%s has %s, of which the metadata does not tell", set, name)
				}
			}
		}
	}
	if list := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/servicePrincipals/"+sp+"/federatedIdentityCredentials", nil); len(valuesOf(list, "id")) != 0 {
		t.Errorf("federated credentials: %v", list)
	}
}
