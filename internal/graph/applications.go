package graph

import (
	"errors"
	"net/http"
	"strings"

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
		{http.MethodPost, "applications/{application}/addPassword", changesApplications(), (*call).addApplicationPassword},
		{http.MethodPost, "applications/{application}/removePassword", changesApplications(), (*call).removeApplicationPassword},
		{http.MethodPost, "applications/{application}/addKey", rollsKeys(), (*call).addApplicationKey},
		{http.MethodPost, "applications/{application}/removeKey", rollsKeys(), (*call).removeApplicationKey},
		{http.MethodGet, "applications/{application}/appRoles", readsApplications(), (*call).listApplicationRoles},
		{http.MethodGet, "applications/{application}/owners", readsApplications(), (*call).listApplicationOwners},
		{http.MethodPost, "applications/{application}/owners/$ref", changesApplications(), (*call).addApplicationOwner},
		{http.MethodDelete, "applications/{application}/owners/{owner}/$ref", changesApplications(), (*call).removeApplicationOwner},
		{http.MethodGet, "applications/{application}/logo", readsApplications(), (*call).getLogo},
		{http.MethodPut, "applications/{application}/logo", changesApplications(), (*call).putLogo},
		{http.MethodGet, "applications/{application}/federatedIdentityCredentials", readsApplications(), (*call).listFederated},
		{http.MethodPost, "applications/{application}/federatedIdentityCredentials", changesApplications(), (*call).createFederated},
		{http.MethodGet, "applications/{application}/federatedIdentityCredentials/{credential}", readsApplications(), (*call).getFederated},
		{http.MethodPatch, "applications/{application}/federatedIdentityCredentials/{credential}", changesApplications(), (*call).updateFederated},
		{http.MethodDelete, "applications/{application}/federatedIdentityCredentials/{credential}", changesApplications(), (*call).deleteFederated},
	}
}

func (c *call) listApplications() (answer, error) { return listing(c, c.applications()) }

func (c *call) countApplications() (answer, error) { return counting(c, c.applications()) }

// application finds the one that the path names, in what is read or changed.
func (c *call) application(in *directory.View) (*directory.Application, error) {
	at := c.refs["application"]
	if at.by == "uniquename" {
		return in.Applications().Unique(c.tenant(), at.value)
	}
	id, is := guid.Parse(at.value)
	switch {
	case is && at.by == "":
		return in.Applications().Get(c.tenant(), directory.ObjectID(id))
	case is && at.by == "appid":
		return in.Applications().ByAppID(c.tenant(), directory.AppID(id))
	}
	return nil, notThere(at.value)
}

// changeApplication lets f change the application that the path names, if the caller may.
func (c *call) changeApplication(f func(*directory.Editor, *directory.Application) error) error {
	return c.change(func(e *directory.Editor) error {
		app, err := c.application(e.View())
		if err != nil {
			return err
		}
		if err := c.owns(app.Owners); err != nil {
			return err
		}
		return f(e, app)
	})
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
	return c.create(given, "")
}

// create makes an application, with a unique name if there is to be one, and the credentials
// that come with it.
func (c *call) create(given body, unique string) (answer, error) {
	var made object
	var id directory.ObjectID
	err := c.change(func(e *directory.Editor) error {
		draft := c.draft(&directory.Application{Tenant: c.tenant(), UniqueName: unique})
		draft.creating = true
		if err := draft.fill(given); err != nil {
			return err
		}
		owners, err := c.firstOwners(given)
		if err != nil {
			return err
		}
		draft.Owners = owners
		app, err := e.Applications().Create(*draft.Application)
		if err != nil {
			return err
		}
		secrets, err := c.addCredentials(e, app.ID, draft)
		if err != nil {
			return err
		}
		if app, err = e.View().Applications().Get(c.tenant(), app.ID); err != nil {
			return err
		}
		id, made = app.ID, c.renderApplication(app)
		if secrets != nil {
			made = made.replace("passwordCredentials", secrets)
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return created("applications", c.base()+"/applications/"+string(id), made), nil
}

// fill sets what a client sent for a new application.
func (d *applicationDraft) fill(given body) error {
	if err := apply(applicationTable, d, input{"", given}); err != nil {
		return err
	}
	if d.DisplayName == "" {
		return invalid("displayName", "A value is required for property 'displayName' of resource 'Application'.")
	}
	if d.TokenVersion == 0 { // as in the service, where nothing said means version 1
		d.TokenVersion = 1
		if isPersonal(d.SignInAudience) {
			d.TokenVersion = 2
		}
	}
	return d.finish()
}

// finish brings the draft's settings back into the application.
func (d *applicationDraft) finish() (err error) {
	d.Settings, err = d.settings.keep()
	return err
}

// addCredentials makes the credentials that came with a new application, and returns the
// secrets with their texts, nil if there are none.
func (c *call) addCredentials(e *directory.Editor, app directory.ObjectID, d *applicationDraft) ([]object, error) {
	var secrets []object
	for _, wanted := range d.passwords {
		secret, err := c.makeSecret(e, app, wanted)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	if d.keys == nil {
		return secrets, nil
	}
	return secrets, c.replaceKeys(e, app, nil, *d.keys)
}

// updateApplication changes an application, or creates the one with a unique name where the
// client asks for that.
func (c *call) updateApplication() (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	err = c.changeApplication(func(e *directory.Editor, app *directory.Application) error {
		var draft *applicationDraft
		_, err := e.Applications().DisabledFirst().Edit(c.tenant(), app.ID, func(next *directory.Application) error {
			draft = c.draft(next)
			if err := apply(applicationTable, draft, input{"", given}); err != nil {
				return err
			}
			return draft.finish()
		})
		if err != nil || draft.keys == nil {
			return err
		}
		return c.replaceKeys(e, app.ID, app.Certificates, *draft.keys)
	})
	at := c.refs["application"]
	if at.by == "uniquename" && errors.Is(err, directory.ErrNotFound) && c.prefersCreation() {
		return c.create(given, at.value)
	}
	if err != nil {
		return answer{}, err
	}
	return done(), nil
}

// prefersCreation reports whether the client asks to create what is missing.
func (c *call) prefersCreation() bool {
	for _, value := range c.request.Header.Values("Prefer") {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), "create-if-missing") {
				return true
			}
		}
	}
	return false
}

func (c *call) deleteApplication() (answer, error) {
	return done(), c.changeApplication(func(e *directory.Editor, app *directory.Application) error {
		_, err := e.Applications().Discard(c.tenant(), app.ID)
		return err
	})
}

func (c *call) addApplicationPassword() (answer, error) {
	return c.addPassword(c.applicationOwner)
}

func (c *call) removeApplicationPassword() (answer, error) {
	return c.removePassword(c.applicationOwner)
}

func (c *call) addApplicationKey() (answer, error) { return c.addKey(c.applicationOwner) }

func (c *call) removeApplicationKey() (answer, error) { return c.removeKey(c.applicationOwner) }

// applicationOwner is the application that the path names as an owner of credentials.
func (c *call) applicationOwner(in *directory.View) (holder, error) {
	app, err := c.application(in)
	if err != nil {
		return holder{}, err
	}
	return holder{app.ID, app.AppID, app.Owners, app.Secrets, app.Certificates}, nil
}
