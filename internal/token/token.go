package token

import (
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
// Until [Token.Verify] returns nil its claims are what a stranger wrote.
type Token struct {
	Header Object
	Claims Object

	signed    string // header.payload exactly as received
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
	header, payload, signature, err := split(raw)
	if err != nil {
		return nil, err
	}
	t := &Token{signed: raw[:len(header)+1+len(payload)]}
	if t.Header, err = readPart(header, limits.Header, limits.HeaderDepth, limits.Members, headerPart); err != nil {
		return nil, err
	}
	if t.Claims, err = readPart(payload, limits.Payload, limits.PayloadDepth, limits.Members, claimsPart); err != nil {
		return nil, err
	}
	if t.signature, err = decode(signature); err != nil {
		return nil, err
	}
	return t, nil
}

// split finds the three parts of a compact JWS by counting dots, so that a
// megabyte of dots costs no memory.
func split(raw string) (header, payload, signature string, err error) {
	switch strings.Count(raw, ".") {
	case 2:
	case 4:
		return "", "", "", refuse(ReasonEncrypted, "the token has five parts: it is encrypted (JWE), not signed (JWS)")
	default:
		return "", "", "", refuse(ReasonMalformed, "a signed token has exactly three parts")
	}
	header, rest, _ := strings.Cut(raw, ".")
	payload, signature, _ = strings.Cut(rest, ".")
	if header == "" || payload == "" || signature == "" {
		return "", "", "", refuse(ReasonMalformed, "no part of the token may be empty")
	}
	return header, payload, signature, nil
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

func readPart(encoded string, size, depth, members int, p part) (Object, error) {
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
// stand for the same bytes. It still skips CR and LF; decode refuses those.
var strict = base64.RawURLEncoding.Strict()

func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, refuse(ReasonMalformed, "a part holds a line break")
	}
	b, err := strict.DecodeString(s)
	if err != nil {
		return nil, refuse(ReasonMalformed, "a part is not canonical base64url without padding")
	}
	return b, nil
}
