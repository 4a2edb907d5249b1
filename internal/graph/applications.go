package graph

import (
	"errors"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// applicationRoutes are the routes of applications.
func applicationRoutes() []route {
	return []route{
		{http.MethodGet, "applications", readsApplications(), (*call).listApplications},
		{http.MethodPost, "applications", createsApplications(), (*call).createApplication},
		{http.MethodGet, "applications/$count", readsApplications(), (*call).countApplications},
		{http.MethodGet, "applications/{application}", readsApplications(), (*call).getApplication},
		{http.MethodPatch, "applications/{application}", changesApplications(), (*call).updateApplication},
		{http.MethodDelete, "applications/{application}", changesApplications(), (*call).deleteApplication},
	}
}

func (c *call) listApplications() (answer, error) { return listing(c, c.applications()) }

func (c *call) countApplications() (answer, error) { return counting(c, c.applications()) }

// application finds the one that the path names, in what is read or changed.
func (c *call) application(in *directory.View) (*directory.Application, error) {
	at := c.refs["application"]
	id, is := guid.Parse(at.value)
	switch {
	case !is:
	case at.by == "":
		return in.Applications().Get(c.tenant(), directory.ObjectID(id))
	case at.by == "appid":
		app, err := in.Applications().Find(c.tenant(), id)
		if err == nil && app.AppID == directory.AppID(id) {
			return app, nil
		}
		if err != nil && !errors.Is(err, directory.ErrNotFound) {
			return nil, err
		}
	}
	return nil, notThere(at.value)
}

func (c *call) getApplication() (answer, error) {
	app, err := c.application(c.view())
	if err != nil {
		return answer{}, err
	}
	return showing(c, c.applications(), app)
}

func (c *call) createApplication() (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var app *directory.Application
	err = c.change(func(e *directory.Editor) error {
		draft := applicationDraft{&directory.Application{Tenant: c.tenant()}, c.caller.tenant}
		if err := apply(applicationFields(), &draft, input{"", given}); err != nil {
			return err
		}
		if draft.DisplayName == "" {
			return invalid("displayName", "A value is required for property 'displayName' of resource 'Application'.")
		}
		app, err = e.Applications().Create(*draft.Application)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return created("applications", c.base()+"/applications/"+string(app.ID), c.renderApplication(app)), nil
}

func (c *call) updateApplication() (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	err = c.change(func(e *directory.Editor) error {
		app, err := c.application(e.View())
		if err != nil {
			return err
		}
		_, err = e.Applications().Edit(c.tenant(), app.ID, func(next *directory.Application) error {
			return apply(applicationFields(), &applicationDraft{next, c.caller.tenant}, input{"", given})
		})
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return done(), nil
}

func (c *call) deleteApplication() (answer, error) {
	return done(), c.change(func(e *directory.Editor) error {
		app, err := c.application(e.View())
		if err != nil {
			return err
		}
		return e.Applications().Delete(c.tenant(), app.ID)
	})
}
