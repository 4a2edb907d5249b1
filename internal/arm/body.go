package arm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxDepth bounds the nesting of a body.
const maxDepth = 16

// readBody reads the one JSON object of a request. What is not known is ignored, as Azure does:
// tools send back what they have read. A member that occurs twice is refused, also when the two
// differ by case: two readers might take it for different things.
func (c *call) readBody(into any) error {
	raw, err := io.ReadAll(c.r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refusal(http.StatusRequestEntityTooLarge, "RequestContentTooLarge", "The content of the request has more than %d bytes.", tooLarge.Limit)
	case err != nil:
		return refusal(http.StatusBadRequest, "InvalidRequestContent", "The content of the request ended early.")
	}
	if err := checkJSON(raw); err != nil {
		return invalidContent(err.Error())
	}
	if err := json.Unmarshal(raw, into); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return invalidContent(fmt.Sprintf("the member %q cannot be a %s", wrong.Field, wrong.Value))
		}
		return invalidContent("it is not JSON")
	}
	return nil
}

func invalidContent(why string) *problem {
	return refusal(http.StatusBadRequest, "InvalidRequestContent", "The content of the request cannot be read: %s.", why)
}

// checkJSON requires one JSON object with distinct names at every depth.
func checkJSON(raw []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	first, err := decoder.Token()
	if err != nil || first != json.Delim('{') {
		return errors.New("it is not a JSON object")
	}
	if err := checkObject(decoder, 1); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// checkObject reads the rest of an object whose opening brace was read.
func checkObject(decoder *json.Decoder, depth int) error {
	names := map[string]bool{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return errors.New("it is not JSON")
		}
		folded := strings.ToLower(fmt.Sprint(name))
		if names[folded] {
			return errors.New("a member occurs twice in an object")
		}
		names[folded] = true
		if err := checkValue(decoder, depth); err != nil {
			return err
		}
	}
	return closed(decoder)
}

func checkValue(decoder *json.Decoder, depth int) error {
	value, err := decoder.Token()
	if err != nil {
		return errors.New("it is not JSON")
	}
	opening, is := value.(json.Delim)
	switch {
	case !is:
		return nil
	case depth >= maxDepth:
		return errors.New("it is nested too deeply")
	case opening == '{':
		return checkObject(decoder, depth+1)
	}
	for decoder.More() {
		if err := checkValue(decoder, depth+1); err != nil {
			return err
		}
	}
	return closed(decoder)
}

// closed reads the closing brace or bracket.
func closed(decoder *json.Decoder) error {
	if _, err := decoder.Token(); err != nil {
		return errors.New("it is not JSON")
	}
	return nil
}
