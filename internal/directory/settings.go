package directory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/text"
)

const (
	maxSettings     = 64 << 10 // bytes
	maxSettingDepth = 32       // of objects and lists in each other
	maxRemark       = 1024     // characters of descriptions and notes
	maxTags         = 200
	maxTag          = 256 // characters
)

// checkSettings brings the members without a meaning here into the form that is kept: one
// JSON object, without spaces between its parts. None is the same as an empty one.
func checkSettings(settings *json.RawMessage) error {
	const field = "settings"
	wrong := func(why string) error {
		return &RuleError{Field: field, What: "The settings " + why + ".", Advice: fmt.Sprintf("Give one JSON object of at most %d bytes, whose members occur once.", maxSettings)}
	}
	raw := bytes.TrimSpace(*settings)
	switch {
	case len(raw) == 0 || string(raw) == "null":
		*settings = nil
		return nil
	case len(raw) > maxSettings:
		return wrong(fmt.Sprintf("have %d bytes", len(raw)))
	case raw[0] != '{' || !utf8.Valid(raw) || !json.Valid(raw):
		return wrong("are no JSON object")
	}
	if err := checkSettingMembers(raw); err != nil {
		return wrong(err.Error())
	}
	kept, err := json.Marshal(json.RawMessage(raw))
	if err != nil {
		return wrong("are no JSON object")
	}
	if *settings = kept; string(kept) == "{}" {
		*settings = nil
	}
	return nil
}

// checkSettingMembers looks for members that occur twice in one object, and for too deep a nesting.
func checkSettingMembers(raw []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var open []map[string]bool // of each object or list around; nil for a list
	name := false              // the next string is a member's name
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.New("are no JSON object")
		}
		switch token := token.(type) {
		case json.Delim:
			switch token {
			case '{':
				open = append(open, map[string]bool{})
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
			if len(open) > maxSettingDepth {
				return fmt.Errorf("are nested more than %d deep", maxSettingDepth)
			}
			name = len(open) > 0 && open[len(open)-1] != nil
			continue
		case string:
			if name {
				members := open[len(open)-1]
				if members[token] {
					return fmt.Errorf("have the member %q twice", text.Shown(token))
				}
				members[token], name = true, false
				continue
			}
		}
		name = len(open) > 0 && open[len(open)-1] != nil
	}
}

// settings notes which members differ, by name alone.
func (d *detail) settings(old, next json.RawMessage) {
	if bytes.Equal(old, next) {
		return
	}
	was, is := members(old), members(next)
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if before, there := was[name]; !there || !bytes.Equal(before, is[name]) {
			d.add("settings: ~%s", text.Shown(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if _, there := is[name]; !there {
			d.add("settings: -%s", text.Shown(name))
		}
	}
}

// remarks notes that a description or notes differ, without what they say.
func (d *detail) remarks(description, nextDescription, notes, nextNotes string) {
	if description != nextDescription {
		d.add("~description")
	}
	if notes != nextNotes {
		d.add("~notes")
	}
}

func texts[T ~string](list []T) []string {
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = string(one)
	}
	return all
}

func members(settings json.RawMessage) map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	_ = json.Unmarshal(settings, &all) // they were checked; of nothing there is none
	return all
}

// checkRemark checks what people write about something: text that may have several lines.
func checkRemark(field, remark string) error {
	switch {
	case !utf8.ValidString(remark):
		return &RuleError{Field: field, What: field + " is not valid UTF-8.", Advice: "Write it in UTF-8."}
	case utf8.RuneCountInString(remark) > maxRemark:
		return &RuleError{Field: field, What: fmt.Sprintf("%s is longer than %d characters.", field, maxRemark), Advice: "Shorten it."}
	case strings.ContainsFunc(remark, func(r rune) bool { return r != '\n' && r != '\r' && r != '\t' && text.Invisible(r) }):
		return &RuleError{Field: field, What: field + " holds a control or invisible character.", Advice: "Use visible characters, spaces and line breaks only."}
	}
	return nil
}

// checkTags checks the tags of an application or a service principal.
func checkTags(tags []string) error {
	if len(tags) > maxTags {
		return &RuleError{Field: "tags", What: fmt.Sprintf("There are more than %d tags.", maxTags), Advice: "Remove some."}
	}
	for i, tag := range tags {
		field := fmt.Sprintf("tags[%d]", i)
		if err := checkText(field, tag, maxTag); err != nil {
			return err
		}
		if strings.ContainsFunc(tag, unicode.IsSpace) {
			return &RuleError{Field: field, What: fmt.Sprintf("The tag %q holds a space.", text.Shown(tag)), Advice: "Write tags without spaces."}
		}
		if slices.Contains(tags[:i], tag) {
			return taken(field, fmt.Sprintf("The tag %q is listed twice.", text.Shown(tag)), "List it once.")
		}
	}
	return nil
}
