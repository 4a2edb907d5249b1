package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

const (
	maxBody  = 4 << 20 // bytes
	maxDepth = 32
)

// A body is a JSON object that a client sent: its members in the order in which they were
// sent, each once. Numbers are json.Number, arrays []any, objects body.
type body []sent

// sent is a member of a body.
type sent struct {
	name  string
	value any
}

// get returns the value of a member; nil: it is null, or was not sent.
func (b body) get(name string) any {
	for _, m := range b {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// body reads the body of the request, which must be one JSON object.
func (c *call) body() (body, error) {
	if err := checkMedia(c.request.Header); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(c.request.Body, maxBody+1))
	if err != nil {
		return nil, invalid("", "The body could not be read whole.")
	}
	return parseBody(content)
}

// checkMedia refuses a body that says that it is no JSON. Clients may leave the type out.
func checkMedia(header http.Header) error {
	given := header.Get("Content-Type")
	if given == "" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(given)
	if err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json")) {
		return nil
	}
	return &problem{status: http.StatusUnsupportedMediaType, code: codeUnsupportedMedia, message: "The body must be JSON: send it with Content-Type: application/json."}
}

// parseBody reads one JSON object, and nothing else. A member that occurs twice is refused: to
// pick one of them is a way to be told something else than a proxy read.
func parseBody(content []byte) (body, error) {
	switch {
	case len(content) > maxBody:
		return nil, &problem{status: http.StatusRequestEntityTooLarge, code: codeTooLarge, message: fmt.Sprintf("The body is larger than %d bytes.", maxBody)}
	case !utf8.Valid(content):
		return nil, malformed("it is not valid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	value, err := readValue(decoder, 0)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed("something follows the object")
	}
	object, ok := value.(body)
	if !ok {
		return nil, malformed("it must be an object")
	}
	return object, nil
}

func malformed(why string) *problem {
	return invalid("", "Unable to read JSON request payload: "+why+".")
}

func readValue(decoder *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, malformed(fmt.Sprintf("it is nested more than %d deep", maxDepth))
	}
	token, err := decoder.Token()
	if err != nil {
		return nil, malformed("it is malformed at byte " + fmt.Sprint(decoder.InputOffset()))
	}
	switch token {
	case json.Delim('{'):
		return readObject(decoder, depth)
	case json.Delim('['):
		return readArray(decoder, depth)
	}
	return token, nil
}

func readObject(decoder *json.Decoder, depth int) (any, error) {
	object := body{}
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, malformed("it is malformed at byte " + fmt.Sprint(decoder.InputOffset()))
		}
		name, ok := token.(string)
		if !ok {
			return nil, malformed("a member has no name")
		}
		folded := strings.ToLower(name)
		if seen[folded] {
			return nil, malformed("the member " + quote(name) + " occurs twice")
		}
		seen[folded] = true
		value, err := readValue(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		object = append(object, sent{name, value})
	}
	return object, closes(decoder)
}

func readArray(decoder *json.Decoder, depth int) (any, error) {
	array := []any{}
	for decoder.More() {
		value, err := readValue(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	return array, closes(decoder)
}

// closes reads the end of an object or array.
func closes(decoder *json.Decoder) error {
	if _, err := decoder.Token(); err != nil {
		return malformed("it ends too early")
	}
	return nil
}
