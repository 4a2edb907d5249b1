package directory

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

// newGUID returns a random (version 4) GUID in lower case.
func newGUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
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

// parseGUID returns a GUID of the usual 36 characters in lower case.
func parseGUID(s string) (string, bool) {
	if len(s) != 36 {
		return "", false
	}
	lower := true
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return "", false
			}
		case '0' <= c && c <= '9' || 'a' <= c && c <= 'f':
		case 'A' <= c && c <= 'F':
			lower = false
		default:
			return "", false
		}
	}
	if lower {
		return s, true
	}
	return strings.ToLower(s), true
}

// givenGUID returns a given id in lower case, or a fresh one for none.
func givenGUID[T ~string](field string, given T) (T, error) {
	if given == "" {
		return T(newGUID()), nil
	}
	id, ok := parseGUID(string(given))
	if !ok {
		return "", &RuleError{
			Field: field,
			What:  fmt.Sprintf("%s %q is not a GUID.", field, clip(string(given))),
			Fix:   "Write it as 7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11, or leave it out to have one made.",
		}
	}
	return T(id), nil
}
