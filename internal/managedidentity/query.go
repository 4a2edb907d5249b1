package managedidentity

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// The lengths, in bytes, up to which values are read.
const (
	maxQuery = 8 << 10
	maxValue = 2 << 10
)

// A query is a request for a token, on whichever platform.
type query struct {
	apiVersion string
	resource   string // exactly as sent, because the answer repeats it
	by         selector
	capability string // xms_cc: what the client understands
	stale      string // token_sha256_to_refresh: of a token that an API has refused
}

// A selector names one identity; its zero value names none.
type selector struct {
	name  string // of the parameter; with the kind byDefault, of one without a value
	kind  selectorKind
	value string
}

type selectorKind int

const (
	byDefault selectorKind = iota
	byClient
	byObject
	byResource
)

// selectorOf says by which kind of id a parameter names an identity, if it names one. Every
// client has its own spelling.
func selectorOf(parameter string) (kind selectorKind, ok bool) {
	switch parameter {
	case "client_id", "clientid": // the second is that of version 2017-09-01
		return byClient, true
	case "object_id", "principal_id", "principalid": // .NET sends the last to Service Fabric
		return byObject, true
	case "mi_res_id", "msi_res_id", "msi-res-id":
		return byResource, true
	}
	return byDefault, false
}

// isParameter reports whether a parameter is read, although it names no identity.
func isParameter(name string) bool {
	return slices.Contains([]string{"api-version", "resource", "xms_cc", "token_sha256_to_refresh"}, name)
}

// parseQuery reads a query, or a form with the same members. Unknown members are ignored,
// because clients send more than is needed; known ones may occur only once.
func parseQuery(raw string) (query, *refusal) {
	if len(raw) > maxQuery {
		return query{}, malformed("The query is too long.")
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return query{}, malformed("The query is not form-encoded.")
	}
	var q query
	for _, name := range slices.Sorted(maps.Keys(values)) { // always in one order, so that a query is read in one way
		given, lower := values[name], strings.ToLower(name)
		kind, selects := selectorOf(lower)
		if !selects && !isParameter(lower) {
			continue
		}
		if len(given) > 1 {
			return query{}, malformed("The parameter '" + lower + "' is given more than once.")
		}
		value := given[0]
		if !isPlain(value) {
			return query{}, malformed("The parameter '" + lower + "' has characters that do not belong there, or is too long.")
		}
		switch {
		case value == "" && selects && q.by == selector{}:
			q.by = selector{name: lower}
		case value == "":
		case selects && q.by.kind != byDefault:
			return query{}, malformed("More than one parameter names an identity.")
		case selects:
			q.by = selector{lower, kind, value}
		case lower == "resource" && q.resource == "":
			q.resource = value
		case lower == "api-version" && q.apiVersion == "":
			q.apiVersion = value
		case lower == "xms_cc" && q.capability == "":
			q.capability = value
		case lower == "token_sha256_to_refresh" && q.stale == "":
			q.stale = value
		default: // two spellings of one name
			return query{}, malformed("The parameter '" + lower + "' is given more than once.")
		}
	}
	return q, nil
}

// withCP1 is the claims request of a client that understands claims challenges.
const withCP1 = `{"access_token":{"xms_cc":{"values":["CP1"]}}}`

// claims returns the claims request for what the client says of itself.
func (q query) claims() string {
	for capability := range strings.FieldsFuncSeq(q.capability, func(r rune) bool { return r == ',' || r == ' ' }) {
		if strings.EqualFold(capability, "cp1") {
			return withCP1
		}
	}
	return ""
}

// isPlain reports whether a value is short enough and free of control characters.
func isPlain(value string) bool {
	return len(value) <= maxValue && utf8.ValidString(value) &&
		!strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// requireResource refuses a query that names no API.
func (q query) requireResource() *refusal {
	if q.resource == "" {
		return malformed("The required parameter 'resource' is missing.")
	}
	return nil
}

// isVersionSince reports whether an API version is a date, and not before that of the first
// version with this wire format.
func isVersionSince(version, first string) bool {
	date, _, _ := strings.Cut(version, "-preview")
	if len(date) != len(first) || date[4] != '-' || date[7] != '-' {
		return false
	}
	return strings.Trim(date, "0123456789-") == "" && date >= first
}
