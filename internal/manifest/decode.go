package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// maxNodes bounds the work that one file can cause; with aliases, a short file can stand
// for an endless one.
const maxNodes = 5_000_000

// The types of managed identities.
const (
	kindSystem = "system"
	kindUser   = "user"
)

// Whose consent a scope takes.
const (
	consentAdmin = "admin"
	consentUser  = "user"
)

// A decoder turns nodes of YAML into parts of a File and reports what is wrong with them.
type decoder struct {
	report
	environment func(string) (string, bool)
	readFile    func(string) ([]byte, error)
	nodes       int // visited so far
}

// A place remembers where an object and its members stand in the file.
type place struct {
	at      position
	members map[string]position
}

// of returns the place of a member, or of the object that lacks it.
func (p place) of(member string) position {
	if at, ok := p.members[member]; ok {
		return at
	}
	return p.at
}

// has reports whether the file gives the member.
func (p place) has(member string) bool {
	_, ok := p.members[member]
	return ok
}

// An item is an element of a list of texts.
type item struct {
	text string
	at   position
}

// A reader takes in the node of one member.
type reader func(*yaml.Node)

// A schema names the members an object may have.
type schema struct {
	what     string // "an application"
	members  map[string]reader
	required []string
	// secret is set where a slip of the pen can turn a secret into a member's name.
	secret bool
}

func positionOf(n *yaml.Node) position { return position{n.Line, n.Column} }

// resolve follows an alias and counts the node. It returns nil when there were too many.
func (d *decoder) resolve(n *yaml.Node) *yaml.Node {
	d.nodes++
	if d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.add(positionOf(n), "the file grows beyond all bounds through its aliases.", "Write out what they stand for.")
		}
		return nil
	}
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// mismatch reports a node of the wrong type, without its content.
func (d *decoder) mismatch(n *yaml.Node, want, fix string) {
	d.add(positionOf(n), fmt.Sprintf("%s stands where %s belongs.", describe(n), want), fix)
}

// describe names what a node is.
func describe(n *yaml.Node) string {
	if n.Kind == yaml.MappingNode {
		return "an object"
	}
	if n.Kind == yaml.SequenceNode {
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!str":
		return "text"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	}
	return "a value of another type"
}

// object reads a mapping by its schema.
func (d *decoder) object(n *yaml.Node, s schema) (place, bool) {
	n = d.resolve(n)
	if n == nil {
		return place{}, false
	}
	if n.Kind != yaml.MappingNode {
		d.mismatch(n, s.what, "Its members are: "+s.list()+".")
		return place{}, false
	}
	p := place{at: positionOf(n), members: make(map[string]position, len(n.Content)/2)}
	for i := 0; i+1 < len(n.Content) && !d.full(); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read := d.member(p, key, s)
		if read == nil {
			continue
		}
		p.members[key.Value] = positionOf(value)
		read(value)
	}
	for _, name := range s.required {
		if !p.has(name) {
			d.add(p.at, fmt.Sprintf("%s lacks its %s.", s.what, name), "Add "+name+".")
		}
	}
	return p, true
}

// member returns the reader of a member, nil when there is no use in reading it.
func (d *decoder) member(p place, key *yaml.Node, s schema) reader {
	at := positionOf(key)
	name := strconv.Quote(text.Shown(key.Value))
	if s.secret || key.Kind != yaml.ScalarNode {
		name = "this"
	}
	read, known := s.members[key.Value]
	switch {
	case key.Kind != yaml.ScalarNode, !known:
		d.add(at, fmt.Sprintf("%s is no member of %s.", name, s.what), "Its members are: "+s.list()+".")
		return nil
	case p.has(key.Value):
		d.add(at, fmt.Sprintf("%s has its %s twice, first in line %d.", s.what, key.Value, p.members[key.Value].line), "Keep one of them.")
		return nil
	}
	return read
}

func (s schema) list() string {
	var names []string
	for name := range s.members {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// list reads each element of a sequence.
func (d *decoder) list(read func(*yaml.Node)) reader {
	return func(n *yaml.Node) {
		if n = d.resolve(n); n == nil {
			return
		}
		if n.Kind != yaml.SequenceNode {
			d.mismatch(n, "a list", "Write [a, b] or one element to a line behind hyphens, or remove the member.")
			return
		}
		for _, element := range n.Content {
			if d.full() {
				return
			}
			read(element)
		}
	}
}

// texts reads a list of texts.
func (d *decoder) texts(into *[]item) reader {
	return d.list(func(n *yaml.Node) {
		if text, ok := d.scalar(n); ok {
			*into = append(*into, item{text, positionOf(n)})
		}
	})
}

// text reads a text that is not empty.
func (d *decoder) text(into *string) reader {
	return func(n *yaml.Node) {
		if text, ok := d.scalar(n); ok {
			*into = text
		}
	}
}

func (d *decoder) scalar(n *yaml.Node) (string, bool) {
	if n = d.resolve(n); n == nil {
		return "", false
	}
	switch {
	case n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null":
		d.mismatch(n, "text", "Give it, or remove the member.")
		return "", false
	case n.ShortTag() != "!!str":
		d.mismatch(n, "text", `Put it in quotes.`)
		return "", false
	case n.Value == "":
		d.add(positionOf(n), "the text is empty.", "Give it, or remove the member.")
		return "", false
	}
	return n.Value, true
}

// guid reads a GUID and writes it in lower case.
func (d *decoder) guid(into *string) reader {
	return func(n *yaml.Node) {
		value, ok := d.scalar(n)
		if !ok {
			return
		}
		id, is := guid.Parse(value)
		if !is {
			d.add(positionOf(n), fmt.Sprintf("%q is not a GUID.", text.Shown(value)), "Write it as 7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11, or remove the member to have one made.")
			return
		}
		*into = id
	}
}

// boolean reads true or false.
func (d *decoder) boolean(into *bool) reader {
	return func(n *yaml.Node) {
		if n = d.resolve(n); n == nil {
			return
		}
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
			d.mismatch(n, "true or false", "Write true or false, without quotes.")
			return
		}
		*into = strings.EqualFold(n.Value, "true")
	}
}

// integer reads one of a few numbers.
func (d *decoder) integer(into *int, allowed ...int) reader {
	return func(n *yaml.Node) {
		if n = d.resolve(n); n == nil {
			return
		}
		number, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil || !slices.Contains(allowed, number) {
			d.mismatch(n, "one of the numbers "+strings.Trim(fmt.Sprint(allowed), "[]"), "Write one of them, without quotes.")
			return
		}
		*into = number
	}
}

// choice reads one of a few words.
func (d *decoder) choice(into *string, allowed ...string) reader {
	return func(n *yaml.Node) {
		value, ok := d.scalar(n)
		if !ok {
			return
		}
		if !slices.Contains(allowed, value) {
			d.add(positionOf(n), fmt.Sprintf("%q is none of %s.", text.Shown(value), strings.Join(allowed, ", ")), "Write one of them, as spelled here.")
			return
		}
		*into = value
	}
}

// choices reads a list of such words.
func (d *decoder) choices(into *[]item, allowed ...string) reader {
	var word string
	read := d.choice(&word, allowed...)
	return d.list(func(n *yaml.Node) {
		word = ""
		if read(n); word != "" {
			*into = append(*into, item{word, positionOf(n)})
		}
	})
}

// moment reads a date (midnight UTC) or a time of RFC 3339.
func (d *decoder) moment(into *time.Time) reader {
	return func(n *yaml.Node) {
		if n = d.resolve(n); n == nil {
			return
		}
		if tag := n.ShortTag(); n.Kind == yaml.ScalarNode && (tag == "!!str" || tag == "!!timestamp") {
			for _, layout := range []string{time.DateOnly, time.RFC3339} {
				if t, err := time.Parse(layout, n.Value); err == nil && !t.IsZero() {
					*into = t.UTC().Truncate(time.Microsecond) // as the directory keeps it
					return
				}
			}
		}
		d.mismatch(n, "a time", "Write a date such as 2027-12-31, or a time such as 2027-12-31T12:00:00Z.")
	}
}

// duration reads how long something may last: days, or a duration as Go writes it.
func (d *decoder) duration(into *time.Duration) reader {
	return func(n *yaml.Node) {
		value, ok := d.scalar(n)
		if !ok {
			return
		}
		length, err := parseDuration(value)
		if err != nil {
			d.add(positionOf(n), fmt.Sprintf("%q is no length of time.", text.Shown(value)), "Write a number of days such as 180d, or hours and minutes such as 36h30m.")
			return
		}
		*into = length
	}
}

const (
	day     = 24 * time.Hour
	maxDays = 100_000 // far below what a duration can hold
)

func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > maxDays {
			return 0, errors.New("not a number of days")
		}
		return time.Duration(n) * day, nil
	}
	length, err := time.ParseDuration(s)
	if err != nil || length < 0 {
		return 0, errors.New("not a length of time")
	}
	return length, nil
}

// shownDuration is a duration as a file has it; none where it is zero.
func shownDuration(length time.Duration) string {
	switch {
	case length == 0:
		return ""
	case length%day == 0 && length/day <= maxDays:
		return strconv.FormatInt(int64(length/day), 10) + "d"
	}
	return length.String()
}

// tags reads an object whose members are texts, which may be empty.
func (d *decoder) tags(into *map[string]string) reader {
	return func(n *yaml.Node) {
		if n = d.resolve(n); n == nil {
			return
		}
		if n.Kind != yaml.MappingNode {
			d.mismatch(n, "an object", "Write {name: value}, or remove the member.")
			return
		}
		all := make(map[string]string, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content) && !d.full(); i += 2 {
			key, value := d.resolve(n.Content[i]), d.resolve(n.Content[i+1])
			if key == nil || value == nil {
				return
			}
			for _, one := range []*yaml.Node{key, value} {
				if one.Kind != yaml.ScalarNode || one.ShortTag() != "!!str" {
					d.mismatch(one, "text", "Put it in quotes.")
				}
			}
			if _, twice := all[key.Value]; twice {
				d.add(positionOf(key), fmt.Sprintf("the tag %q is there twice.", text.Shown(key.Value)), "Keep one of them.")
			}
			all[key.Value] = value.Value
		}
		*into = all
	}
}
