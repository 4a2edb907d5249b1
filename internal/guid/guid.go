// Package guid reads and makes GUIDs, by which tenants, applications, principals and roles
// are known.
//
// It owns the one spelling that is accepted: 36 characters, in any case. Braces, the URN form
// and surrounding spaces are refused, so that one identity has one spelling. It refuses to
// own what a GUID names: the types of ids are those of package directory.
//
// Start at [Parse].
package guid

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// New returns a random GUID in lower case (RFC 9562, version 4).
func New() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return spell(b, 4)
}

// Derived returns the GUID that the bytes of a digest determine (RFC 9562, version 8).
func Derived(digest [16]byte) string { return spell(digest, 8) }

func spell(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[0:8], b[0:4])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	hex.Encode(text[9:13], b[4:6])
	hex.Encode(text[14:18], b[6:8])
	hex.Encode(text[19:23], b[8:10])
	hex.Encode(text[24:36], b[10:16])
	return string(text[:])
}

// Is reports whether s is a GUID, in any case.
func Is(s string) bool {
	_, is := scan(s)
	return is
}

// Parse returns a GUID in its canonical form, lower case, and whether s is one.
func Parse(s string) (canonical string, is bool) {
	lower, is := scan(s)
	switch {
	case !is:
		return "", false
	case lower:
		return s, true // without an allocation
	}
	return strings.ToLower(s), true
}

// scan reports whether s is a GUID, and whether its letters are all in lower case.
func scan(s string) (lower, is bool) {
	if len(s) != 36 {
		return false, false
	}
	lower = true
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false, false
			}
		case '0' <= c && c <= '9' || 'a' <= c && c <= 'f':
		case 'A' <= c && c <= 'F':
			lower = false
		default:
			return false, false
		}
	}
	return lower, true
}
