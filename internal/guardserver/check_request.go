package guardserver

import (
	"encoding/binary"
	"errors"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// A checkRequest is what envoy.service.auth.v3.CheckRequest says that a guard looks at.
type checkRequest struct {
	method, path, host string
	joined, raw        []checkHeader // as Envoy has them, and as the client sent them where Envoy tells
	peer               string
	certificate        string // of the client; PEM, URL-encoded
}

type checkHeader struct{ name, value string }

var errMessage = errors.New("the message is not a CheckRequest")

// A fields reads the fields of a message of protocol buffers, one after the other. The wire format
// has four kinds of value that are still in use.
type fields struct {
	rest string // of the message
	bad  bool   // whether it is none

	number int
	value  string // of a text, a message or bytes
	sized  bool   // whether it is one of those
}

// next moves to the next field. There is none at the end, and none after what is no field.
func (f *fields) next() bool {
	if f.rest == "" || f.bad {
		return false
	}
	key := f.varint()
	number := key >> 3
	f.bad = f.bad || number == 0 || number > 1<<29-1
	f.number, f.value, f.sized = int(number), "", false
	switch key & 7 {
	case 0:
		f.varint()
	case 1:
		f.take(8)
	case 2:
		f.value, f.sized = f.take(f.varint()), true
	case 5:
		f.take(4)
	default:
		f.bad = true
	}
	return !f.bad
}

// varint takes a number of variable length.
func (f *fields) varint() (v uint64) {
	for i := range min(len(f.rest), binary.MaxVarintLen64) {
		c := f.rest[i]
		if v |= uint64(c&0x7f) << (7 * i); c < 0x80 {
			f.bad = f.bad || i == binary.MaxVarintLen64-1 && c > 1 // more than 64 bits
			f.rest = f.rest[i+1:]
			return v
		}
	}
	f.bad = true
	return 0
}

// take takes so many bytes.
func (f *fields) take(n uint64) string {
	if f.bad || n > uint64(len(f.rest)) {
		f.bad = true
		return ""
	}
	taken := f.rest[:n]
	f.rest = f.rest[n:]
	return taken
}

// text is the field as a text.
func (f *fields) text(s *string) {
	f.bytes(s)
	f.bad = f.bad || !utf8.ValidString(f.value)
}

// bytes is the field as bytes.
func (f *fields) bytes(s *string) {
	f.bad = f.bad || !f.sized
	*s = f.value
}

// message is the field as a message, which is to be read by read. One that comes in several
// pieces is one message, as the format has it.
func (f *fields) message(read func(fields) (ok bool)) {
	f.bad = f.bad || !f.sized || !read(fields{rest: f.value})
}

// parseCheckRequest reads a CheckRequest. Headers come as a map, in which lines of one name are
// joined, or as they were sent, where Envoy is told encode_raw_headers.
func parseCheckRequest(message string) (*checkRequest, error) {
	c := &checkRequest{}
	f := fields{rest: message}
	for f.next() {
		if f.number == 1 {
			f.message(c.readAttributes)
		}
	}
	if f.bad {
		return nil, errMessage
	}
	if c.method == "" || c.path == "" {
		return nil, errors.New("the CheckRequest says no method or no path")
	}
	return c, nil
}

// readAttributes reads an AttributeContext.
func (c *checkRequest) readAttributes(f fields) bool {
	for f.next() {
		switch f.number {
		case 1:
			f.message(c.readPeer)
		case 4:
			f.message(c.readRequest)
		}
	}
	return !f.bad
}

// readPeer reads an AttributeContext.Peer.
func (c *checkRequest) readPeer(f fields) bool {
	for f.next() {
		switch f.number {
		case 1:
			f.message(c.readAddress)
		case 5:
			f.text(&c.certificate)
		}
	}
	return !f.bad
}

// readAddress reads an Address, of which a SocketAddress counts.
func (c *checkRequest) readAddress(f fields) bool {
	for f.next() {
		if f.number == 1 {
			f.message(c.readSocketAddress)
		}
	}
	return !f.bad
}

func (c *checkRequest) readSocketAddress(f fields) bool {
	for f.next() {
		if f.number == 2 {
			f.text(&c.peer)
		}
	}
	return !f.bad
}

// readRequest reads an AttributeContext.Request.
func (c *checkRequest) readRequest(f fields) bool {
	for f.next() {
		if f.number == 2 {
			f.message(c.readHTTP)
		}
	}
	return !f.bad
}

// readHTTP reads an AttributeContext.HttpRequest.
func (c *checkRequest) readHTTP(f fields) bool {
	for f.next() {
		switch f.number {
		case 2:
			f.text(&c.method)
		case 3:
			readHeader(&f, &c.joined)
		case 4:
			f.text(&c.path)
		case 5:
			f.text(&c.host)
		case 13:
			f.message(c.readHeaders)
		}
	}
	return !f.bad
}

// readHeaders reads a HeaderMap.
func (c *checkRequest) readHeaders(f fields) bool {
	for f.next() {
		if f.number == 1 {
			readHeader(&f, &c.raw)
		}
	}
	return !f.bad
}

// readHeader reads a HeaderValue, or an entry of a map, into a list.
func readHeader(f *fields, list *[]checkHeader) {
	var h checkHeader
	inner := fields{rest: f.value}
	for inner.next() {
		switch inner.number {
		case 1:
			inner.text(&h.name)
		case 2:
			inner.text(&h.value)
		case 3:
			inner.bytes(&h.value)
		}
	}
	f.bad = f.bad || !f.sized || inner.bad || h.name == "" || strings.ContainsAny(h.name, " \r\n\x00")
	if *list == nil {
		*list = make([]checkHeader, 0, likelyHeaders)
	}
	*list = append(*list, h)
}

// likelyHeaders is how many headers there is room for from the start.
const likelyHeaders = 24

// parseHealthRequest reads the name of a service.
func parseHealthRequest(message string) (service string, err error) {
	f := fields{rest: message}
	for f.next() {
		if f.number == 1 {
			f.text(&service)
		}
	}
	if f.bad {
		return "", errMessage
	}
	return service, nil
}

func appendKey(b []byte, number int, kind uint64) []byte {
	return binary.AppendUvarint(b, uint64(number)<<3|kind)
}

func appendVarint(b []byte, number int, v uint64) []byte {
	return binary.AppendUvarint(appendKey(b, number, 0), v)
}

func appendBytes[T ~string | ~[]byte](b []byte, number int, v T) []byte {
	b = binary.AppendUvarint(appendKey(b, number, 2), uint64(len(v)))
	return append(b, v...)
}

// What Envoy does with a header that the request or answer has already. Saying nothing appends.
const (
	besideOthers   = 0
	overwriteOrAdd = 2
)

// appendHeader appends a HeaderValueOption.
func appendHeader(b []byte, number int, name, value string, action uint64) []byte {
	header := sizeOfBytes(len(name)) + sizeOfBytes(len(value))
	b = binary.AppendUvarint(appendKey(b, number, 2), uint64(sizeOfOption(header, action)))
	b = binary.AppendUvarint(appendKey(b, 1, 2), uint64(header))
	b = appendBytes(appendBytes(b, 1, name), 2, value)
	if action != besideOthers {
		b = appendVarint(b, 3, action)
	}
	return b
}

// sizeOfOption is how long a HeaderValueOption is with a header of that size.
func sizeOfOption(header int, action uint64) int {
	if action != besideOthers {
		return sizeOfBytes(header) + 2
	}
	return sizeOfBytes(header)
}

// sizeOfBytes is how long a field of bytes is, the number of which is below 16.
func sizeOfBytes(length int) int {
	return 1 + (bits.Len64(uint64(length)|1)+6)/7 + length
}

// encodeAllowed is the CheckResponse that lets a request go on with these headers and without
// those, behind room for the prefix of a message.
func encodeAllowed(set []checkHeader, remove []string) []byte {
	size := 0 // of the OkHttpResponse
	for _, h := range set {
		size += sizeOfBytes(sizeOfOption(sizeOfBytes(len(h.name))+sizeOfBytes(len(h.value)), overwriteOrAdd))
	}
	for _, name := range remove {
		size += sizeOfBytes(len(name))
	}
	b := make([]byte, messagePrefix, messagePrefix+sizeOfBytes(0)+sizeOfBytes(size))
	b = appendBytes(b, 1, "") // the status 0 has no field
	b = binary.AppendUvarint(appendKey(b, 3, 2), uint64(size))
	for _, h := range set {
		b = appendHeader(b, 2, h.name, h.value, overwriteOrAdd)
	}
	for _, name := range remove {
		b = appendBytes(b, 5, name)
	}
	return b
}

// encodeDenied is the CheckResponse that refuses, behind room for the prefix of a message.
func encodeDenied(code, status int, header map[string][]string, body []byte) []byte {
	denied := appendBytes(nil, 1, appendVarint(nil, 1, uint64(status)))
	for _, name := range slices.Sorted(maps.Keys(header)) {
		action := uint64(overwriteOrAdd)
		for _, line := range header[name] {
			denied = appendHeader(denied, 2, strings.ToLower(name), line, action)
			action = besideOthers
		}
	}
	denied = appendBytes(denied, 3, body)
	return appendBytes(appendBytes(make([]byte, messagePrefix), 1, appendVarint(nil, 1, uint64(code))), 2, denied)
}
