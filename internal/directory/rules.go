package directory

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A RuleError says which rule of the model a change breaks, and how to fix it.
type RuleError struct {
	Field  string // "appRoles[2].value"; may be empty
	What   string
	Advice string
	Cause  error // ErrDuplicate, ErrNotFound … where there is one
}

func (e *RuleError) Error() string { return e.What + " " + e.Advice }

// Fix says what to do next.
func (e *RuleError) Fix() string { return e.Advice }

// Unwrap returns the cause, so that errors.Is sees ErrDuplicate and its like.
func (e *RuleError) Unwrap() error { return e.Cause }

const maxName = 120 // runes, of names of every kind

// checkName checks what people call things: tenants, applications, credentials.
func checkName(field, name string) error {
	return checkText(field, name, maxName)
}

// checkText requires visible text of 1 to limit characters.
func checkText(field, value string, limit int) error {
	switch {
	case strings.TrimSpace(value) == "":
		return &RuleError{Field: field, What: field + " is empty.", Advice: fmt.Sprintf("Give it 1 to %d characters.", limit)}
	case !utf8.ValidString(value):
		return &RuleError{Field: field, What: field + " is not valid UTF-8.", Advice: "Write it in UTF-8."}
	case utf8.RuneCountInString(value) > limit:
		return &RuleError{Field: field, What: fmt.Sprintf("%s is longer than %d characters.", field, limit), Advice: "Shorten it."}
	case strings.ContainsFunc(value, text.Invisible):
		return &RuleError{Field: field, What: fmt.Sprintf("%s %q holds a control or invisible character.", field, text.Shown(value)), Advice: "Use visible characters only."}
	case value != strings.TrimSpace(value):
		return &RuleError{Field: field, What: fmt.Sprintf("%s %q begins or ends with a space.", field, text.Shown(value)), Advice: "Remove the space."}
	}
	return nil
}

// checkOptionalText is checkText for what may be left out.
func checkOptionalText(field, value string, limit int) error {
	if value == "" {
		return nil
	}
	return checkText(field, value, limit)
}

// checkNotGUID checks names by which something is referred to: a GUID there would be
// taken for an id.
func checkNotGUID(name string) error {
	if _, is := guid.Parse(name); is {
		return &RuleError{Field: "name", What: fmt.Sprintf("name %q looks like an id.", name), Advice: "Use a name that is not a GUID."}
	}
	return nil
}

// checkHost checks a domain name of a tenant.
func checkHost(field, host string) error {
	if !validHost(host) {
		return &RuleError{Field: field, What: fmt.Sprintf("%s %q is not a domain name.", field, text.Shown(host)), Advice: "Write it as contoso.test: labels of letters, digits and hyphens, joined by dots."}
	}
	return checkNoToken(field, host)
}

// checkNoToken checks every name that can stand in the URL of a token endpoint. MSAL
// for Go makes its device-code URL by replacing each "token" in that URL, so a name
// that contains the word would send it elsewhere.
func checkNoToken(field, name string) error {
	if strings.Contains(fold(name), "token") {
		return &RuleError{
			Field:  field,
			What:   fmt.Sprintf("%s %q contains the word \"token\", which clients rewrite in the URLs they call.", field, text.Shown(name)),
			Advice: "Choose a name without that word.",
		}
	}
	return nil
}

func validHost(host string) bool {
	if len(host) > 253 || !strings.Contains(host, ".") {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if !validLabel(label) {
			return false
		}
	}
	return true
}

func validLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return strings.Trim(fold(label), "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func taken(field, what, fix string) error {
	return &RuleError{Field: field, What: what, Advice: fix, Cause: ErrDuplicate}
}

func missing(what, fix string) error {
	return &RuleError{What: what, Advice: fix, Cause: ErrNotFound}
}

// givenGUID returns a given id in lower case, or a fresh one for none.
func givenGUID[T ~string](field string, given T) (T, error) {
	if given == "" {
		return T(guid.New()), nil
	}
	id, ok := guid.Parse(string(given))
	if !ok {
		return "", &RuleError{
			Field:  field,
			What:   fmt.Sprintf("%s %q is not a GUID.", field, text.Shown(string(given))),
			Advice: "Write it as 7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11, or leave it out to have one made.",
		}
	}
	return T(id), nil
}

// Label is what people are shown: the display name or, where there is none, the name.
func (a *Application) Label() string { return cmp.Or(a.DisplayName, a.Name) }

// Label is what people are shown: the display name or, where there is none, the name.
func (p *ServicePrincipal) Label() string { return cmp.Or(p.DisplayName, p.Name) }

// Called is what commands and messages call it: the name or, where there is none, as of what
// was made by way of Graph, the display name.
func (a *Application) Called() string { return cmp.Or(a.Name, a.DisplayName) }

// Called is what commands and messages call it: the name or, where there is none, the display
// name.
func (p *ServicePrincipal) Called() string { return cmp.Or(p.Name, p.DisplayName) }

func (a *Application) ref() string { return a.Called() }

func (p *ServicePrincipal) ref() string { return p.Called() }

// checkNames checks a name and a display name, of which one may be missing, and leaves out
// a display name that says the same.
func checkNames(name string, display *string) error {
	if *display == name {
		*display = ""
	}
	if *display != "" {
		if err := checkText("displayName", *display, maxDisplayName); err != nil {
			return err
		}
		if name == "" {
			return nil
		}
	}
	if err := checkName("name", name); err != nil {
		return err
	}
	return checkNotGUID(name)
}

const maxDisplayName = 256 // as in Entra

// nameFree requires that no other object of the kind has the name.
func (e *editor) nameFree(tenant TenantID, kind, called, name string, id ObjectID) error {
	if name == "" {
		return nil
	}
	if err := e.free(tenant, kind, makeKey("name", fold(name)), string(id)); err != nil {
		return duplicate(err, "name", fmt.Sprintf("There is %s named %q already.", called, name), "Choose another name; case does not count.")
	}
	return nil
}
