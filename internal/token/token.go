package token

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// Defaults of [Limits]. Entra's own tokens are around 2 KiB; one with two
// hundred groups stays below 16 KiB.
const (
	DefaultTokenSize    = 16 << 10
	DefaultHeaderSize   = 4 << 10
	DefaultPayloadSize  = 64 << 10
	DefaultHeaderDepth  = 4
	DefaultPayloadDepth = 8
	DefaultMembers      = 256
)

// Limits bound what [Parse] is willing to look at. A zero field means the
// default of the same name.
type Limits struct {
	Token        int // bytes of the whole token
	Header       int // bytes of the decoded header
	Payload      int // bytes of the decoded payload
	HeaderDepth  int // nesting of the header, the object itself being 1
	PayloadDepth int // nesting of the payload
	Members      int // members of any one object
	// Padding lets each part end in the padding of base64, where its length calls for it.
	// What was signed is the text as it was received, padding included.
	Padding bool
}

func (l Limits) orDefaults() Limits {
	set := func(n *int, fallback int) {
		if *n <= 0 {
			*n = fallback
		}
	}
	set(&l.Token, DefaultTokenSize)
	set(&l.Header, DefaultHeaderSize)
	set(&l.Payload, DefaultPayloadSize)
	set(&l.HeaderDepth, DefaultHeaderDepth)
	set(&l.PayloadDepth, DefaultPayloadDepth)
	set(&l.Members, DefaultMembers)
	return l
}

// A Token is a compact JWS that has been taken apart and not yet verified.
// Until [Token.Verify] returns nil, anybody may have written its claims.
type Token struct {
	Header Object
	Claims Object

	signed    []byte // header.payload exactly as received
	signature []byte
}

// Parse takes a compact JWS apart. It performs no cryptography and believes
// nothing: it only makes sure that there is exactly one way to read raw.
// A returned error is an [*Error].
func Parse(raw string, limits Limits) (*Token, error) {
	limits = limits.orDefaults()
	if len(raw) > limits.Token {
		return nil, refuse(ReasonTooLarge, "the token is longer than the limit")
	}
	header, payload, err := split(raw)
	if err != nil {
		return nil, err
	}
	received := []byte(raw)
	t := &Token{signed: received[:header+1+payload]}
	if t.Header, err = readPart(limits.bare(received[:header]), limits.Header, limits.HeaderDepth, limits.Members, headerPart); err != nil {
		return nil, err
	}
	if t.Claims, err = readPart(limits.bare(t.signed[header+1:]), limits.Payload, limits.PayloadDepth, limits.Members, claimsPart); err != nil {
		return nil, err
	}
	if t.signature, err = decode(limits.bare(received[len(t.signed)+1:])); err != nil {
		return nil, err
	}
	return t, nil
}

// bare takes the padding off a part, if it may have any. One that has too much of it, or too
// little, is left as it is, and refused for what is left.
func (l Limits) bare(part []byte) []byte {
	if !l.Padding || len(part)%4 != 0 {
		return part
	}
	for range 2 {
		part = bytes.TrimSuffix(part, []byte("="))
	}
	return part
}

// split returns the lengths of the first two of the three parts of a compact
// JWS. It counts dots first, so that a megabyte of dots costs no memory.
func split(raw string) (header, payload int, err error) {
	switch strings.Count(raw, ".") {
	case 2:
	case 4:
		return 0, 0, refuse(ReasonEncrypted, "the token has five parts: it is encrypted (JWE), not signed (JWS)")
	default:
		return 0, 0, refuse(ReasonMalformed, "a signed token has exactly three parts")
	}
	header = strings.IndexByte(raw, '.')
	payload = strings.IndexByte(raw[header+1:], '.')
	if header == 0 || payload == 0 || header+1+payload+1 == len(raw) {
		return 0, 0, refuse(ReasonMalformed, "no part of the token may be empty")
	}
	return header, payload, nil
}

// A part names what differs between the two JSON objects of a token.
type part struct {
	reason   string
	reserved []string // names whose look-alikes are refused
}

var (
	headerPart = part{ReasonHeader, headerNames}
	claimsPart = part{ReasonClaims, claimNames}
)

func readPart(encoded []byte, size, depth, members int, p part) (Object, error) {
	if strict.DecodedLen(len(encoded)) > size {
		return Object{}, refuse(p.reason, "the JSON text is longer than the limit")
	}
	text, err := decode(encoded)
	if err != nil {
		return Object{}, err
	}
	o, err := parseObject(string(text), depth, members, p.reserved)
	if err != nil {
		return Object{}, refuse(p.reason, err.Error())
	}
	return o, nil
}

// strict refuses padding and non-zero trailing bits, so that no two strings
// encode the same bytes. It still skips CR and LF; decode refuses those.
var strict = base64.RawURLEncoding.Strict()

func decode(encoded []byte) ([]byte, error) {
	if bytes.IndexByte(encoded, '\r') >= 0 || bytes.IndexByte(encoded, '\n') >= 0 {
		return nil, refuse(ReasonMalformed, "a part holds a line break")
	}
	out := make([]byte, strict.DecodedLen(len(encoded)))
	if _, err := strict.Decode(out, encoded); err != nil {
		return nil, refuse(ReasonMalformed, "a part is not canonical base64url without padding")
	}
	return out, nil
}
