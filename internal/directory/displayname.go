package directory

import (
	"cmp"
	"fmt"
)

// Label is what people are shown: the display name or, where there is none, the name.
func (a *Application) Label() string { return cmp.Or(a.DisplayName, a.Name) }

// Label is what people are shown: the display name or, where there is none, the name.
func (p *ServicePrincipal) Label() string { return cmp.Or(p.DisplayName, p.Name) }

// ref is what messages and the audit log call it: as a command would, where that is possible.
func (a *Application) ref() string { return cmp.Or(a.Name, a.DisplayName) }

func (p *ServicePrincipal) ref() string { return cmp.Or(p.Name, p.DisplayName) }

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
