package graph

import (
	"errors"
	"net/url"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// maxBound is how many owners one request binds.
const maxBound = 20

// firstOwners are the owners of something new: those that the client binds, and a user who
// makes it, or an application that may only change what it owns.
func firstOwners(c *call, given body) ([]directory.ObjectID, error) {
	if c.extent != toEverything && c.caller.user != nil {
		return nil, c.caller.denied(c.permit, "")
	}
	var owners []directory.ObjectID
	value := given.get("owners@odata.bind")
	bound, err := input{"owners@odata.bind", value}.texts()
	if err != nil {
		return nil, err
	}
	if len(bound) > maxBound {
		return nil, invalid("owners@odata.bind", "A request binds at most 20 owners. Add the others by owners/$ref.")
	}
	for _, link := range bound {
		id, err := referenced("owners@odata.bind", link)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(owners, id) {
			owners = append(owners, id)
		}
	}
	if (c.extent != toEverything || c.caller.user != nil) && !slices.Contains(owners, c.caller.id) {
		owners = append(owners, c.caller.id)
	}
	return owners, nil
}

// referenced is the object id at the end of a link to a directory object.
func referenced(path, link string) (directory.ObjectID, error) {
	wrong := invalid(path, saysInvalid+" Property "+quote(path)+" must be the URL of a directory object, such as https://graph.microsoft.com/v1.0/directoryObjects/ID.")
	at, err := url.Parse(link)
	if err != nil {
		return "", wrong
	}
	parsed, err := parsePath(at)
	if err != nil || len(parsed.segments) == 0 {
		return "", wrong
	}
	last := parsed.segments[len(parsed.segments)-1]
	value := last.given
	if last.key != nil && last.key.by == "" {
		value = last.key.value
	}
	id, is := guid.Parse(value)
	if !is {
		return "", wrong
	}
	return directory.ObjectID(id), nil
}

// reference reads the body of a request that adds a reference.
func (c *call) reference() (directory.ObjectID, error) {
	given, err := c.body()
	if err != nil {
		return "", err
	}
	value := given.get("@odata.id")
	link, err := input{"@odata.id", value}.text()
	if err != nil {
		return "", err
	}
	return referenced("@odata.id", link)
}

func listApplicationOwners(c *call) (answer, error) {
	view := c.view()
	app, err := c.application(view)
	if err != nil {
		return answer{}, err
	}
	return listing(c, sourceOfObjects(func() ([]object, error) { return c.objects(view, app.Owners, kindUser, kindPrincipal) }))
}

func addApplicationOwner(c *call) (answer, error) {
	id, err := c.reference()
	if err != nil {
		return answer{}, err
	}
	return done(), c.changeApplication(func(e *directory.Editor, app *directory.Application) error {
		return ownerProblem(e.Applications().AddOwner(c.tenant(), app.ID, id), id)
	})
}

func removeApplicationOwner(c *call) (answer, error) {
	id, is := guid.Parse(c.refs["owner"].value)
	if !is {
		return answer{}, notThere(c.refs["owner"].value)
	}
	return done(), c.changeApplication(func(e *directory.Editor, app *directory.Application) error {
		return ownerProblem(e.Applications().RemoveOwner(c.tenant(), app.ID, directory.ObjectID(id)), directory.ObjectID(id))
	})
}

// ownerProblem words what is wrong with an owner that is added or removed.
func ownerProblem(err error, id directory.ObjectID) error {
	var rule *directory.RuleError
	if !errors.As(err, &rule) {
		return err
	}
	switch {
	case rule.Field == "owners" && errors.Is(err, directory.ErrDuplicate):
		return invalid("owners", saysRefsExist)
	case rule.Field == "" && errors.Is(err, directory.ErrNotFound):
		return &problem{status: 404, code: codeNotFound, message: saysRefsMissing + " " + rule.Error()}
	case errors.Is(err, directory.ErrNotFound):
		return notThere(string(id))
	}
	return err
}
