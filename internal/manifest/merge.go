package manifest

import (
	"strconv"
	"strings"
)

// merge returns the current elements of a list as the file wants them: those it mentions,
// changed; those it does not, as they are or, when pruning, not at all; then the new ones.
func merge[C, F any](current []C, wanted []F, same func(C, F) bool, change func(*C, F), prune bool) []C {
	var merged []C
	taken := make([]bool, len(wanted))
	for _, c := range current {
		mentioned := false
		for i, f := range wanted {
			if !taken[i] && same(c, f) {
				change(&c, f)
				mentioned, taken[i] = true, true
				break
			}
		}
		if mentioned || !prune {
			merged = append(merged, c)
		}
	}
	for i, f := range wanted {
		if !taken[i] {
			var c C
			change(&c, f)
			merged = append(merged, c)
		}
	}
	return merged
}

// sameText compares as the directory does, without regard to case and to one trailing slash.
func sameText(current string, wanted item) bool {
	return strings.EqualFold(strings.TrimSuffix(current, "/"), strings.TrimSuffix(wanted.text, "/"))
}

// equalText compares what case matters to.
func equalText(current string, wanted item) bool { return current == wanted.text }

func setText(current *string, wanted item) { *current = wanted.text }

// placeOf returns the place of a text in a list, or the other place.
func placeOf(items []item, text string, other position) position {
	for _, i := range items {
		if sameText(text, i) {
			return i.at
		}
	}
	return other
}

// splitField takes apart the field that a rule names: "appRoles[2].value" is appRoles, 2,
// value. The index is -1 where there is none.
func splitField(field string) (name string, index int, member string) {
	head, member, _ := strings.Cut(field, ".")
	name, number, found := strings.Cut(head, "[")
	if !found {
		return name, -1, member
	}
	index, err := strconv.Atoi(strings.TrimSuffix(number, "]"))
	if err != nil {
		return name, -1, member
	}
	return name, index, member
}

func texts(items []item) []string {
	var all []string
	for _, i := range items {
		all = append(all, i.text)
	}
	return all
}
