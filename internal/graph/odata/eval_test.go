package odata_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/graph/odata"
)

func thing() odata.Map {
	type kind string
	return odata.Map{
		"id": "0a111111-2222-3333-4444-555555555555", "displayName": "Order Reader", "notes": nil, "kind": kind("Application"),
		"accountEnabled": true, "createdDateTime": "2024-03-01T12:00:00Z", "deleted": time.Date(2024, 3, 2, 0, 0, 0, 0, time.UTC),
		"version": 2, "tags": []string{"blue", "Round"}, "none": []string{}, "optional": (*int)(nil),
		"api":   map[string]any{"requestedAccessTokenVersion": 2},
		"roles": []odata.Map{{"value": "Read", "isEnabled": true, "members": []string{"User"}}, {"value": "Write", "isEnabled": false, "members": []string{"Application"}}},
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]bool{
		"displayName eq 'order reader'":                      true,
		"displayName eq 'order'":                             false,
		"displayname eq 'Order Reader'":                      true,
		"kind eq 'application'":                              true,
		"displayName gt 'Order'":                             true,
		"displayName lt 'P'":                                 true,
		"startswith(displayName,'ORDER')":                    true,
		"endswith(displayName,'reader')":                     true,
		"contains(displayName,'r r')":                        true,
		"contains(displayName,'x')":                          false,
		"id eq 0A111111-2222-3333-4444-555555555555":         true,
		"id in ('x','0A111111-2222-3333-4444-555555555555')": true,
		"id in ('x')":                                        false,
		"notes eq null":                                      true,
		"notes ne null":                                      false,
		"notes eq 'x'":                                       false,
		"notes ne 'x'":                                       true,
		"notes gt 'x'":                                       false,
		"notes le 'x'":                                       false,
		"not (notes gt 'x')":                                 true,
		"startswith(notes,'')":                               false,
		"displayName ne null":                                true,
		"notes/inner eq null":                                true,
		"optional eq null":                                   true,
		"accountEnabled eq true":                             true,
		"accountEnabled ne true":                             false,
		"createdDateTime ge 2024-03-01":                      true,
		"createdDateTime lt 2024-03-01T12:00:00Z":            false,
		"createdDateTime eq 2024-03-01T13:00:00+01:00":       true,
		"deleted gt 2024-03-01":                              true,
		"deleted eq 2024-03-02":                              true,
		"version eq 2":                                       true,
		"version gt 1.5":                                     true,
		"api/requestedAccessTokenVersion eq 2":               true,
		"tags/any(t:t eq 'ROUND')":                           true,
		"tags/any(t:t eq 'red')":                             false,
		"tags/all(t:startswith(t,'b'))":                      false,
		"none/all(t:t eq 'x')":                               true,
		"none/any(t:t eq 'x')":                               false,
		"none/any()":                                         false,
		"tags/any()":                                         true,
		"tags/$count eq 2":                                   true,
		"none/$count eq 0":                                   true,
		"notes/$count eq 0":                                  true,
		"roles/any(r:r/value eq 'read' and r/isEnabled eq true)":                                              true,
		"roles/any(r:r/value eq 'write' and r/isEnabled eq true)":                                             false,
		"roles/any(r:r/members/any(m:m eq 'User' and r/isEnabled eq true and displayName eq 'order reader'))": true,
		"displayName eq 'x' or version eq 2":                                                                  true,
		"displayName eq 'x' and version eq 2":                                                                 false,
		"displayName eq 'x' or displayName eq 'y'":                                                            false,
		"not (displayName eq 'x') and not (version eq 3)":                                                     true,
		"version eq 2 or notThere eq 3":                                                                       true, // the first half decides
		"displayName eq 'x' or version eq 3 and tags/any()":                                                   false,
	} {
		e, err := odata.ParseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got, err := odata.Match(e, thing()); err != nil || got != want {
			t.Errorf("%s: got %t, %v; want %t", filter, got, err, want)
		}
	}
}

func TestMatchRefuses(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		"notThere eq 'x'":                     "Could not find a property named 'notThere'",
		"displayName/x eq 'x'":                "no 'x' within",
		"displayName eq 3":                    "another type",
		"displayName eq true":                 "another type",
		"accountEnabled eq 'true'":            "another type",
		"version eq 'x'":                      "another type",
		"displayName gt 2024-01-01":           "another type",
		"tags eq 'blue'":                      "use any(",
		"startswith(tags,'b')":                "use any(",
		"startswith(version,'2')":             "is for texts",
		"displayName/any(x:x eq 'y')":         "no collection",
		"displayName/$count eq 1":             "number of elements",
		"not (displayName eq 3)":              "another type",
		"api eq 'x'":                          "another type",
		"roles/any(r:r/nothing eq 'x')":       "Could not find a property named 'nothing'",
		"id in (3)":                           "another type",
		"version eq 1 and displayName eq 3":   "",
		"displayName eq 'order reader' and x": "it ends where",
	} {
		e, err := odata.ParseFilter(filter)
		var kept bool
		if err == nil {
			kept, err = odata.Match(e, thing())
		}
		switch {
		case kept:
			t.Errorf("%s: kept", filter)
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want %q", filter, err, want)
		}
	}
}

func TestLookups(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		"appId eq 'x'": "[{appid false false [x]}]",
		"displayName eq 'x' and applicationTemplateId eq 'y'":     "[{displayname false false [x]} {applicationtemplateid false false [y]}]",
		"startswith(displayName,'x')":                             "[{displayname false true [x]}]",
		"id in ('a','b') and accountEnabled eq true":              "[{id false false [a b]}]",
		"id eq 'a' or id eq 'b'":                                  "[{id false false [a b]}]",
		"id eq 'a' or appId eq 'b'":                               "[]",
		"id eq 'a' or id eq 'b' or startswith(id,'c')":            "[]",
		"identifierUris/any(s:s eq 'u')":                          "[{identifieruris true false [u]}]",
		"alternativeNames/any(p:startswith(p,'u'))":               "[{alternativenames true true [u]}]",
		"tags/any(s:s eq 'u' or s eq 'v')":                        "[{tags true false [u v]}]",
		"tags/any(s:s eq 'u') or tags/any(t:t eq 'v')":            "[{tags true false [u v]}]",
		"tags/any(s:s eq 'u' and s eq 'v')":                       "[]",
		"tags/all(s:s eq 'u')":                                    "[]",
		"appRoles/any(r:r/value eq 'u')":                          "[]",
		"tags/any(s:displayName eq 'u')":                          "[]",
		"not (appId eq 'x')":                                      "[]",
		"appId ne 'x'":                                            "[]",
		"appId eq null":                                           "[]",
		"endswith(displayName,'x')":                               "[]",
		"resourceId eq 0A111111-2222-3333-4444-555555555555":      "[{resourceid false false [0a111111-2222-3333-4444-555555555555]}]",
		"tags/$count eq 0":                                        "[]",
		"api/x eq 'y'":                                            "[{api/x false false [y]}]",
		"(appId eq 'x' and id eq 'y') and startswith(name, 'zz')": "[{appid false false [x]} {id false false [y]} {name false true [zz]}]",
	} {
		e, err := odata.ParseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := fmt.Sprint(odata.Lookups(e)); got != want {
			t.Errorf("%s: got %s, want %s", filter, got, want)
		}
	}
}

func TestMembersOfFilter(t *testing.T) {
	t.Parallel()
	e, err := odata.ParseFilter("appRoles/any(r:r/allowedMemberTypes/any(m:m eq 'User') and r/value in ('x')) and not startswith(displayName,'x') or tags/$count eq 1")
	if err != nil {
		t.Fatal(err)
	}
	var ways []string
	err = odata.Members(e, func(_ *odata.Member, way []string) error {
		ways = append(ways, strings.Join(way, "/"))
		return nil
	})
	if want := "appRoles appRoles/allowedMemberTypes appRoles/allowedMemberTypes appRoles/value displayName tags"; err != nil || strings.Join(ways, " ") != want {
		t.Errorf("got %v, %v; want %s", ways, err, want)
	}
}

func TestSorted(t *testing.T) {
	t.Parallel()
	q, err := odata.ParseQuery("$orderby=rank desc,displayName")
	if err != nil {
		t.Fatal(err)
	}
	things := []odata.Map{
		{"displayName": "b", "rank": 1}, {"displayName": "C", "rank": 2}, {"displayName": "a", "rank": 1}, {"displayName": nil, "rank": 1}, {"displayName": "x", "rank": nil},
	}
	slices.SortStableFunc(things, func(a, b odata.Map) int { return odata.Sorted(q.OrderBy, a, b) })
	var names []any
	for _, one := range things {
		names = append(names, one["displayName"])
	}
	if got := fmt.Sprint(names); got != "[C <nil> a b x]" {
		t.Errorf("got %s", got)
	}
}
