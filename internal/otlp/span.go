package otlp

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// A TraceID names a trace.
type TraceID [16]byte

// String is the id in hexadecimal.
func (id TraceID) String() string { return hex.EncodeToString(id[:]) }

// A SpanID names a span of a trace.
type SpanID [8]byte

// String is the id in hexadecimal.
func (id SpanID) String() string { return hex.EncodeToString(id[:]) }

// A Span is a piece of work of a server.
type Span struct {
	Trace      TraceID
	ID         SpanID
	Parent     SpanID // zero at the root of a trace
	Name       string
	Start, End time.Time
	Failed     bool // through no fault of the client's
	Attributes []Attribute

	Sampled bool // whether it is sent
}

// An Attribute says one thing about a span, or about what makes spans. The value is Number where
// that is not zero.
type Attribute struct {
	Key    string
	Text   string
	Number int64
}

// A Parent is the span that a request belongs to, by its traceparent.
type Parent struct {
	Trace   TraceID
	Span    SpanID
	Sampled bool
}

const parentLength = len("00-") + 32 + len("-") + 16 + len("-00")

// ParseParent reads a traceparent (W3C Trace Context, level 1). What a later version adds at the
// end is left out.
func ParseParent(header string) (Parent, bool) {
	var p Parent
	if len(header) < parentLength || header[2] != '-' || header[35] != '-' || header[52] != '-' {
		return Parent{}, false
	}
	version, okVersion := lowerHex(header[:2], 1)
	trace, okTrace := lowerHex(header[3:35], len(p.Trace))
	span, okSpan := lowerHex(header[36:52], len(p.Span))
	flags, okFlags := lowerHex(header[53:55], 1)
	if !okVersion || !okTrace || !okSpan || !okFlags || version[0] == 0xff {
		return Parent{}, false
	}
	if rest := header[parentLength:]; rest != "" && (version[0] == 0 || rest[0] != '-') {
		return Parent{}, false
	}
	copy(p.Trace[:], trace)
	copy(p.Span[:], span)
	p.Sampled = flags[0]&1 == 1
	return p, p.Trace != TraceID{} && p.Span != SpanID{}
}

// lowerHex decodes hexadecimal in lower case, the only one that the standard has.
func lowerHex(s string, n int) ([]byte, bool) {
	b, err := hex.DecodeString(s)
	return b, err == nil && len(b) == n && strings.ToLower(s) == s
}

// Traceparent is what the next server is told, for which the span is the parent.
func (s *Span) Traceparent() string {
	flags := "00"
	if s.Sampled {
		flags = "01"
	}
	return "00-" + s.Trace.String() + "-" + s.ID.String() + "-" + flags
}

// newID fills an id, which must not be zero.
func newID(id []byte) {
	for zero := true; zero; {
		_, _ = rand.Read(id) // never fails
		for _, b := range id {
			zero = zero && b == 0
		}
	}
}

// A sampler decides which spans are sent.
type sampler struct {
	parents bool   // whether a parent decides, where there is one
	most    uint64 // traces whose number is below are sent
}

const allTraces = 1 << 63

func (s sampler) samples(parent Parent, known bool, id TraceID) bool {
	if s.parents && known {
		return parent.Sampled
	}
	return binary.BigEndian.Uint64(id[8:])>>1 < s.most
}
