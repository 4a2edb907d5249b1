package launch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// toolFlags are the flags of a tool's command, each by its long name.
type toolFlags struct {
	takes   map[string]string // flags with a value: any spelling, to the long name
	many    []string          // long names of those whose value may be several arguments
	ignored []string          // flags without one that change nothing here
}

// parse reads arguments: words, and the values of flags. A flag and its value are two
// arguments or joined by an equals sign; of one letter, by nothing.
func (f toolFlags) parse(args []string) (words []string, values map[string][]string, err error) {
	values = map[string][]string{}
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		long, takes := f.takes[name]
		if short := args[i]; !takes && len(short) > 2 && short[1] != '-' {
			if long, takes = f.takes[short[:2]]; takes {
				name, value, joined = short[:2], short[2:], true
			}
		}
		switch {
		case !strings.HasPrefix(args[i], "-"):
			words = append(words, args[i])
		case slices.Contains(f.ignored, args[i]):
		case !takes:
			return nil, nil, fmt.Errorf("unrecognized arguments: %s", text.Clean(name))
		case joined:
			values[long] = append(values[long], value)
		case i+1 == len(args):
			return nil, nil, fmt.Errorf("argument %s: expected one argument", name)
		default:
			i++
			values[long] = append(values[long], args[i])
			for slices.Contains(f.many, long) && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++
				values[long] = append(values[long], args[i])
			}
		}
	}
	return words, values, nil
}

// last is the value of a flag that counts when it is given more than once.
func last(values map[string][]string, name string) string {
	if all := values[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}
