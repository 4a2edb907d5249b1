package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// settings are members that clients set and nothing here acts on, by their path on the wire:
// "web.homePageUrl". They are kept beside the object as JSON.
type settings map[string]json.RawMessage

// readSettings takes apart what is kept.
func readSettings(kept json.RawMessage) settings {
	s := settings{}
	if len(kept) > 0 {
		_ = json.Unmarshal(kept, &s) // package directory keeps nothing that is no object
	}
	return s
}

// keep puts them together again.
func (s settings) keep() (json.RawMessage, error) {
	if len(s) == 0 {
		return nil, nil
	}
	return json.Marshal(s)
}

// set keeps a value; null is the same as none.
func (s settings) set(path string, value any) error {
	if value == nil {
		delete(s, path)
		return nil
	}
	var b bytes.Buffer
	if err := encode(&b, value); err != nil {
		return err
	}
	s[path] = b.Bytes()
	return nil
}

// get returns a value as it is written on the wire, or what stands for none.
func (s settings) get(path string, missing any) any {
	if value, ok := s[path]; ok {
		return value
	}
	return missing
}

// text returns a value that is a text.
func (s settings) text(path string) string {
	var text string
	_ = json.Unmarshal(s[path], &text) // what is no text is none
	return text
}

// setting is a field that is kept among the settings. The check says what it may be; null
// unsets it.
func setting[T interface{ kept() settings }](path string, missing any, check func(input) error) field[T] {
	return field[T]{
		name: path[strings.LastIndexByte(path, '.')+1:],
		read: func(of T) any { return of.kept().get(path, missing) },
		write: func(to T, in input) error {
			if in.value != nil {
				if err := check(in); err != nil {
					return err
				}
			}
			return to.kept().set(path, in.value)
		},
	}
}

// isText checks a text of at most so many characters.
func isText(limit int) func(input) error {
	return func(in input) error {
		s, err := in.text()
		if err == nil && utf8.RuneCountInString(s) > limit {
			return in.wrong(fmt.Sprintf("a string of at most %d characters", limit))
		}
		return err
	}
}

const maxLink = 2048 // bytes

// isLink checks the URL of a page, which nothing here follows.
func isLink(in input) error {
	s, err := in.text()
	if err != nil || s == "" {
		return err
	}
	parsed, err := url.Parse(s)
	if err != nil || len(s) > maxLink || parsed.Scheme == "" || strings.EqualFold(parsed.Scheme, "javascript") || strings.EqualFold(parsed.Scheme, "data") {
		return in.wrong(fmt.Sprintf("an absolute URL of at most %d characters", maxLink))
	}
	return nil
}

func isBool(in input) error {
	_, err := in.bool()
	return err
}

func isGUID(in input) error {
	_, err := in.guid()
	return err
}

// isOneOf checks a text that is one of a few.
func isOneOf(words ...string) func(input) error {
	return func(in input) error {
		s, err := in.text()
		if err == nil && !slices.Contains(words, s) {
			return in.wrong("one of " + strings.Join(words, ", "))
		}
		return err
	}
}

const maxElements = 1000 // of one collection

// areAll checks a collection, each element by itself.
func areAll(check func(input) error) func(input) error {
	return func(in input) error {
		all, err := in.list()
		if err != nil {
			return err
		}
		if len(all) > maxElements {
			return in.wrong(fmt.Sprintf("an array of at most %d elements", maxElements))
		}
		for _, one := range all {
			if err := check(one); err != nil {
				return err
			}
		}
		return nil
	}
}

// hasShape checks an object whose members are known. Each may be null.
func hasShape(members map[string]func(input) error) func(input) error {
	return func(in input) error {
		all, err := in.object()
		if err != nil {
			return err
		}
		for _, one := range all {
			if strings.Contains(one.name(), "@odata") {
				continue
			}
			check, known := members[one.name()]
			if !known {
				return invalid(one.path, "Invalid property "+quote(one.path)+".")
			}
			if one.value == nil {
				continue
			}
			if err := check(one); err != nil {
				return err
			}
		}
		return nil
	}
}
