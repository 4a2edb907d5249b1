package manifest

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"regexp"
	"strings"
)

// object writes an object on one line; members that are empty are left out.
func object(members ...string) string {
	var b strings.Builder
	for _, m := range members {
		if m == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(m)
	}
	return "{" + b.String() + "}"
}

// str is a member that is a text; none where that is empty.
func str(name, value string) string {
	if value == "" {
		return ""
	}
	return name + ": " + quoted(value)
}

// other is str for a text that is not the usual one.
func other(name, value, usual string) string {
	if value == usual {
		return ""
	}
	return str(name, value)
}

// strs is a member that is a list of texts; none where that is empty.
func strs(name string, values []string) string {
	if len(values) == 0 {
		return ""
	}
	return name + ": " + quotedList(values)
}

// flag is a member that is true or false; none where that is the usual value.
func flag(name string, value, usual bool) string {
	switch {
	case value == usual:
		return ""
	case value:
		return name + ": true"
	}
	return name + ": false"
}

// raw is a member whose value is written as it is; none where it is empty.
func raw(name, value string) string {
	if value == "" {
		return ""
	}
	return name + ": " + value
}

// within is a member that is a list of objects; none where that is empty.
func within(name string, objects []string) string {
	if len(objects) == 0 {
		return ""
	}
	return name + ": [" + strings.Join(objects, ", ") + "]"
}

func quotedList(values []string) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = quoted(v)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

var (
	// plainText needs no quotes wherever it stands: it begins with a letter or as a GUID does, and
	// nothing in it ends a value or begins a comment.
	plainText = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*( [A-Za-z0-9_./@+-]+)*|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)
	// notText are the words that YAML, of one version or another, takes for something else.
	notText = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|y|n|null)$`)
)

// quoted writes a text so that YAML reads it as that text.
func quoted(s string) string {
	if plainText.MatchString(s) && !notText.MatchString(s) {
		return s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // of a text it never fails
	return escapeUnprintable(strings.TrimSuffix(b.String(), "\n"))
}

// escapeUnprintable escapes what JSON writes as it is and YAML takes in no other form.
func escapeUnprintable(s string) string {
	unprintable := func(r rune) bool {
		return r >= 0x7f && r < 0xa0 || r == 0xfeff || r == 0xfffe || r == 0xffff
	}
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func certificatePEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
