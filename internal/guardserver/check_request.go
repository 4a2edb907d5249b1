package guardserver

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// A checkRequest is what envoy.service.auth.v3.CheckRequest says that a guard looks at.
type checkRequest struct {
	method, path, host string
	headers            []checkHeader
	peer               string
	certificate        string // of the client; PEM, URL-encoded
}

type checkHeader struct{ name, value string }

var errMessage = errors.New("the message is not a CheckRequest")

// A field is one of a message of protocol buffers.
type field struct {
	number int
	varint uint64
	bytes  []byte // of a text, a message or bytes
	text   bool   // whether bytes is set
}

// eachField calls f for every field of a message. The wire format has four kinds of value that
// are still in use.
func eachField(message []byte, f func(field) error) error {
	for len(message) > 0 {
		key, n := binary.Uvarint(message)
		number := key >> 3
		if n <= 0 || number == 0 || number > 1<<29-1 {
			return errMessage
		}
		message = message[n:]
		one := field{number: int(number)}
		var size int
		switch key & 7 {
		case 0:
			if one.varint, size = binary.Uvarint(message); size <= 0 {
				return errMessage
			}
		case 1:
			size = 8
		case 2:
			length, n := binary.Uvarint(message)
			if n <= 0 || length > uint64(len(message)-n) {
				return errMessage
			}
			size = n + int(length)
			one.bytes, one.text = message[n:size], true
		case 5:
			size = 4
		default:
			return errMessage
		}
		if size > len(message) {
			return errMessage
		}
		if err := f(one); err != nil {
			return err
		}
		message = message[size:]
	}
	return nil
}

// A shape says what to do with the fields of a message by their numbers; others are skipped. A
// message that comes in several pieces is one message, as the format has it.
type shape map[int]func([]byte) error

func (s shape) read(message []byte) error {
	return eachField(message, func(f field) error {
		read, known := s[f.number]
		if !known {
			return nil
		}
		if !f.text {
			return errMessage
		}
		return read(f.bytes)
	})
}

// message reads a field that is a message.
func inner(s shape) func([]byte) error { return s.read }

// into reads a field that is a text.
func into(s *string) func([]byte) error {
	return func(b []byte) error {
		if !utf8.Valid(b) {
			return errMessage
		}
		*s = string(b)
		return nil
	}
}

// parseCheckRequest reads a CheckRequest. Headers come as a map, in which lines of one name are
// joined, or as they were sent, where Envoy is told encode_raw_headers.
func parseCheckRequest(message []byte) (*checkRequest, error) {
	c := &checkRequest{}
	var joined, raw []checkHeader
	header := func(list *[]checkHeader) func([]byte) error {
		return func(b []byte) error {
			var h checkHeader
			err := shape{1: into(&h.name), 2: into(&h.value), 3: func(b []byte) error { h.value = string(b); return nil }}.read(b)
			*list = append(*list, h)
			return err
		}
	}
	http := shape{2: into(&c.method), 3: header(&joined), 4: into(&c.path), 5: into(&c.host), 13: inner(shape{1: header(&raw)})}
	peer := shape{1: inner(shape{1: inner(shape{2: into(&c.peer)})}), 5: into(&c.certificate)} // Address, SocketAddress, address; certificate
	attributes := shape{1: inner(peer), 4: inner(shape{2: inner(http)})}
	if err := (shape{1: inner(attributes)}).read(message); err != nil {
		return nil, err
	}
	if c.headers = joined; len(raw) > 0 {
		c.headers = raw
	}
	for i, h := range c.headers {
		if h.name == "" || strings.ContainsAny(h.name, " \r\n\x00") {
			return nil, errMessage
		}
		c.headers[i].name = strings.ToLower(h.name)
	}
	if c.method == "" || c.path == "" {
		return nil, errors.New("the CheckRequest says no method or no path")
	}
	return c, nil
}

// parseHealthRequest reads the name of a service.
func parseHealthRequest(message []byte) (service string, err error) {
	return service, shape{1: into(&service)}.read(message)
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

// appendHeader appends a HeaderValueOption that replaces what the request or answer has.
func appendHeader(b []byte, number int, name, value string) []byte {
	const overwriteOrAdd = 2
	option := appendBytes(nil, 1, appendBytes(appendBytes(nil, 1, name), 2, value))
	return appendBytes(b, number, appendVarint(option, 3, overwriteOrAdd))
}

// encodeAllowed is the CheckResponse that lets a request go on with these headers and without
// those.
func encodeAllowed(set map[string]string, remove []string) []byte {
	var ok []byte
	for _, name := range slices.Sorted(maps.Keys(set)) {
		ok = appendHeader(ok, 2, name, set[name])
	}
	for _, name := range remove {
		ok = appendBytes(ok, 5, name)
	}
	return appendBytes(appendBytes(nil, 1, []byte{}), 3, ok) // the status 0 has no field
}

// encodeDenied is the CheckResponse that refuses.
func encodeDenied(code, status int, header map[string][]string, body []byte) []byte {
	denied := appendBytes(nil, 1, appendVarint(nil, 1, uint64(status)))
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for i, line := range header[name] {
			if i == 0 {
				denied = appendHeader(denied, 2, strings.ToLower(name), line)
				continue
			}
			// the default appends
			denied = appendBytes(denied, 2, appendBytes(nil, 1, appendBytes(appendBytes(nil, 1, strings.ToLower(name)), 2, line)))
		}
	}
	denied = appendBytes(denied, 3, body)
	return appendBytes(appendBytes(nil, 1, appendVarint(nil, 1, uint64(code))), 2, denied)
}
