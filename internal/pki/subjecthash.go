package pki

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // G505: OpenSSL's choice; nothing rests on its strength
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// SubjectHash is the number by which OpenSSL finds a certificate in a folder, in a file named by its
// eight hexadecimal digits and a count. It is a digest of the subject (in DER) in which the spelling
// of letters, blanks and strings makes no difference.
func SubjectHash(subject []byte) (uint32, error) {
	var sets []asn1.RawValue
	if rest, err := asn1.Unmarshal(subject, &sets); err != nil || len(rest) > 0 {
		return 0, fmt.Errorf("read the subject of a certificate: %w", errors.Join(err, trailing(rest)))
	}
	digest := sha1.New() //nolint:gosec // G401: see above
	for _, set := range sets {
		if !set.IsCompound || set.Class != asn1.ClassUniversal || set.Tag != asn1.TagSet {
			return 0, errors.New("read the subject of a certificate: it has something other than sets of attributes")
		}
		canonical, err := canonicalSet(set.Bytes)
		if err != nil {
			return 0, fmt.Errorf("read the subject of a certificate: %w", err)
		}
		digest.Write(canonical)
	}
	return binary.LittleEndian.Uint32(digest.Sum(nil)), nil
}

func trailing(rest []byte) error {
	if len(rest) > 0 {
		return errors.New("something follows it")
	}
	return nil
}

// A subjectAttribute is part of a name.
type subjectAttribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// canonicalSet encodes the attributes of a set anew.
func canonicalSet(rest []byte) ([]byte, error) {
	var set []subjectAttribute
	for len(rest) > 0 {
		var a subjectAttribute
		var err error
		if rest, err = asn1.Unmarshal(rest, &a); err != nil {
			return nil, err
		}
		if text, ok := attributeText(a.Value); ok {
			a.Value = asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(foldAttribute(text))}
		}
		set = append(set, a)
	}
	return asn1.MarshalWithParams(set, "set")
}

// The kinds of strings that package asn1 has no names for.
const (
	tagVisibleString   = 26
	tagUniversalString = 28
)

// attributeText returns the text of a value, if it is one.
func attributeText(value asn1.RawValue) (string, bool) {
	if value.Class != asn1.ClassUniversal || value.IsCompound {
		return "", false
	}
	switch value.Tag {
	case asn1.TagUTF8String:
		return string(value.Bytes), utf8.Valid(value.Bytes)
	case asn1.TagPrintableString, asn1.TagIA5String, asn1.TagT61String, tagVisibleString:
		var latin1 []rune
		for _, b := range value.Bytes {
			latin1 = append(latin1, rune(b))
		}
		return string(latin1), true
	case asn1.TagBMPString:
		var units []uint16
		for pair := range chunks(value.Bytes, 2) {
			units = append(units, binary.BigEndian.Uint16(pair))
		}
		return string(utf16.Decode(units)), len(value.Bytes)%2 == 0
	case tagUniversalString:
		var runes []rune
		for four := range chunks(value.Bytes, 4) {
			runes = append(runes, rune(binary.BigEndian.Uint32(four)))
		}
		return string(runes), len(value.Bytes)%4 == 0
	}
	return "", false
}

// chunks are the whole parts of a length.
func chunks(b []byte, size int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for ; len(b) >= size && yield(b[:size]); b = b[size:] {
		}
	}
}

// foldAttribute makes ASCII letters lower case, and each run of blanks within the text one space.
func foldAttribute(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' })
	return string(bytes.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, []byte(strings.Join(words, " "))))
}
