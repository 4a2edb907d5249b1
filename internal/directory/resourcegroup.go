package directory

import (
	"fmt"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/text"
)

const (
	maxResourceTags     = 50 // as in the resource manager, as are the following
	maxResourceTagName  = 512
	maxResourceTagValue = 256
	maxLocation         = 60
)

// checkPlace checks where something is in the resource manager, and its tags there.
func checkPlace(location string, tags map[string]string) error {
	if err := checkOptionalText("location", location, maxLocation); err != nil {
		return err
	}
	if len(tags) > maxResourceTags {
		return &RuleError{Field: "tags", What: fmt.Sprintf("There are more than %d tags.", maxResourceTags), Advice: "Remove some."}
	}
	seen := map[string]bool{}
	for name, value := range tags {
		if err := checkText("tags", name, maxResourceTagName); err != nil {
			return err
		}
		if strings.ContainsAny(name, "<>%&\\?/") {
			return &RuleError{Field: "tags", What: fmt.Sprintf("The name of the tag %q holds a character that does not belong there.", text.Shown(name)), Advice: `Leave out <, >, %, &, \, ? and /.`}
		}
		if seen[fold(name)] {
			return taken("tags", fmt.Sprintf("The tag %q is there twice.", text.Shown(name)), "List it once; case does not count.")
		}
		seen[fold(name)] = true
		if err := checkOptionalText("tags", value, maxResourceTagValue); err != nil {
			return err
		}
	}
	return nil
}
