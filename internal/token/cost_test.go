package token

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// objectOf is an object of that many members, followed by as many bytes of others like it as
// fill a payload.
func objectOf(names, size int) string {
	var one strings.Builder
	for i := range names {
		if i > 0 {
			one.WriteByte(',')
		}
		fmt.Fprintf(&one, `"n%04d":0`, i)
	}
	object := "{" + one.String() + "}"
	count := max(1, size/len(object))
	return `{"a":[` + strings.TrimSuffix(strings.Repeat(object+",", count), ",") + `]}`
}

// What a stranger's token costs before its signature is looked at depends on its bytes, not
// on how they are spread over objects.
func TestReadingCostsByTheByte(t *testing.T) {
	t.Parallel()
	cost := func(text string) time.Duration {
		best := time.Hour
		for range 40 {
			start := time.Now()
			if _, err := ParseObject([]byte(text), DefaultPayloadDepth, DefaultMembers); err != nil {
				t.Fatal(err)
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	const size = 12 << 10
	few, many := cost(objectOf(8, size)), cost(objectOf(250, size))
	if many > 5*few {
		t.Errorf("objects of 250 names cost %s, the same bytes in objects of 8 names %s", many, few)
	}
	wide := objectOf(250, 0) // the members of the outermost object are kept
	kept := cost(strings.TrimSuffix(strings.TrimPrefix(wide, `{"a":[`), `]}`))
	if kept > few {
		t.Errorf("250 names alone cost %s, %d bytes in objects of 8 names %s", kept, size, few)
	}
}

// A name that comes twice is found wherever the two stand, in large objects as in small ones,
// in objects within objects, and written in two ways.
func TestDuplicatesAreFoundEverywhere(t *testing.T) {
	t.Parallel()
	for _, names := range []int{2, linearNames - 1, linearNames, linearNames + 1, linearNames + 2, 100, 250} {
		for _, at := range [][2]int{{0, 1}, {0, names - 1}, {names / 2, names - 1}, {names - 2, names - 1}} {
			if at[0] == at[1] {
				continue
			}
			for _, twin := range []string{`"n%04d"`, `"\u006e%04d"`} {
				var members []string
				for i := range names {
					format := `"n%04d"`
					n := i
					if i == at[1] {
						format, n = twin, at[0]
					}
					members = append(members, fmt.Sprintf(format+`:{"n0000":{"n0000":0}}`, n))
				}
				object := "{" + strings.Join(members, ",") + "}"
				for _, text := range []string{object, `{"a":` + object + `}`, `{"a":[` + object + `,{}]}`, `{"b":{"a":` + object + `},"c":1}`} {
					if _, err := ParseObject([]byte(text), DefaultPayloadDepth, DefaultMembers); err == nil || !strings.Contains(err.Error(), errDuplicate.Error()) {
						t.Fatalf("%d names, %v: got %v for %s", names, at, err, text)
					}
				}
			}
		}
	}
	if _, err := ParseObject([]byte(objectOf(250, 12<<10)), DefaultPayloadDepth, DefaultMembers); err != nil {
		t.Errorf("distinct names: %v", err)
	}
}

// A number that is too large for a double is another one to each reader.
func TestNumbersOfAnySize(t *testing.T) {
	for number, ok := range map[string]bool{
		"1e308": true, "-1e308": true, "1e309": false, "-1E+309": false, "1e-400": true, "0e999999": true, "1.5e300": true, "12345678901234567890": true,
		strings.Repeat("9", 308): true, strings.Repeat("9", 310): false, "0." + strings.Repeat("9", 400): true,
	} {
		for _, text := range []string{`{"x":` + number + `}`, `{"x":[{"y":` + number + `}]}`} {
			if o, err := ParseObject([]byte(text), DefaultPayloadDepth, DefaultMembers); err != nil || o.Endless() == ok {
				t.Errorf("%.40s: endless %t, %v", text, o.Endless(), err)
			}
		}
	}
}
