package graph

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// applicationRoutes are the routes of applications.
func applicationRoutes() []route {
	return []route{
		{http.MethodGet, "applications", readsApplications(), listApplications},
		{http.MethodPost, "applications", createsApplications(), createApplication},
		{http.MethodGet, "applications/$count", readsApplications(), countApplications},
		{http.MethodGet, "applications/{application}", readsApplications(), getApplication},
		{http.MethodPatch, "applications/{application}", changesApplications(), updateApplication},
		{http.MethodDelete, "applications/{application}", changesApplications(), deleteApplication},
		{http.MethodPost, "applications/{application}/addPassword", changesApplications(), addApplicationPassword},
		{http.MethodPost, "applications/{application}/removePassword", changesApplications(), removeApplicationPassword},
		{http.MethodPost, "applications/{application}/addKey", rollsKeys(), addApplicationKey},
		{http.MethodPost, "applications/{application}/removeKey", rollsKeys(), removeApplicationKey},
		{http.MethodGet, "applications/{application}/appRoles", readsApplications(), listApplicationRoles},
		{http.MethodGet, "applications/{application}/owners", readsApplications(), listApplicationOwners},
		{http.MethodPost, "applications/{application}/owners/$ref", changesApplications(), addApplicationOwner},
		{http.MethodDelete, "applications/{application}/owners/{owner}/$ref", changesApplications(), removeApplicationOwner},
		{http.MethodGet, "applications/{application}/logo", readsApplications(), getLogo},
		{http.MethodPut, "applications/{application}/logo", changesApplications(), putLogo},
		{http.MethodGet, "applications/{application}/federatedIdentityCredentials", readsApplications(), listFederated},
		{http.MethodPost, "applications/{application}/federatedIdentityCredentials", changesApplications(), createFederated},
		{http.MethodGet, "applications/{application}/federatedIdentityCredentials/{credential}", readsApplications(), getFederated},
		{http.MethodPatch, "applications/{application}/federatedIdentityCredentials/{credential}", changesApplications(), updateFederated},
		{http.MethodDelete, "applications/{application}/federatedIdentityCredentials/{credential}", changesApplications(), deleteFederated},
	}
}

func listApplications(c *call) (answer, error) { return listing(c, c.applications()) }

func countApplications(c *call) (answer, error) { return counting(c, c.applications()) }

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

func getApplication(c *call) (answer, error) {
	app, err := c.application(c.view())
	if err != nil {
		return answer{}, err
	}
	return showing(c, c.applications(), app)
}

func createApplication(c *call) (answer, error) {
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
		owners, err := firstOwners(c, given)
		if err != nil {
			return err
		}
		draft.Owners = owners
		app, err := e.Applications().Create(*draft.Application)
		if err != nil {
			return err
		}
		secrets, err := addCredentials(c, e, app.ID, draft)
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
func addCredentials(c *call, e *directory.Editor, app directory.ObjectID, d *applicationDraft) ([]object, error) {
	var secrets []object
	for _, wanted := range d.passwords {
		secret, err := makeSecret(c, e, app, wanted)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	if d.keys == nil {
		return secrets, nil
	}
	return secrets, replaceKeys(c, e, app, nil, *d.keys)
}

// updateApplication changes an application, or creates the one with a unique name where the
// client asks for that.
func updateApplication(c *call) (answer, error) {
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
		return replaceKeys(c, e, app.ID, app.Certificates, *draft.keys)
	})
	at := c.refs["application"]
	if at.by == "uniquename" && errors.Is(err, directory.ErrNotFound) && prefersCreation(c) {
		return c.create(given, at.value)
	}
	if err != nil {
		return answer{}, err
	}
	return done(), nil
}

// prefersCreation reports whether the client asks to create what is missing.
func prefersCreation(c *call) bool {
	for _, value := range c.request.Header.Values("Prefer") {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), "create-if-missing") {
				return true
			}
		}
	}
	return false
}

func deleteApplication(c *call) (answer, error) {
	return done(), c.changeApplication(func(e *directory.Editor, app *directory.Application) error {
		_, err := e.Applications().Discard(c.tenant(), app.ID)
		return err
	})
}

func addApplicationPassword(c *call) (answer, error) {
	return addPassword(c, c.applicationOwner)
}

func removeApplicationPassword(c *call) (answer, error) {
	return removePassword(c, c.applicationOwner)
}

func addApplicationKey(c *call) (answer, error) { return addKey(c, c.applicationOwner) }

func removeApplicationKey(c *call) (answer, error) { return removeKey(c, c.applicationOwner) }

// applicationOwner is the application that the path names as an owner of credentials.
func (c *call) applicationOwner(in *directory.View) (holder, error) {
	app, err := c.application(in)
	if err != nil {
		return holder{}, err
	}
	return holder{app.ID, app.AppID, app.Owners, app.Secrets, app.Certificates}, nil
}

// maxLogo is how large a logo can be, in bytes. It is kept with the application.
const maxLogo = 32 << 10

const logoPath = "logo"

// logoType is the type of a picture that browsers show and that holds no script, by its
// beginning.
func logoType(picture []byte) string {
	switch {
	case bytes.HasPrefix(picture, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	case bytes.HasPrefix(picture, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	case bytes.HasPrefix(picture, []byte("GIF8")):
		return "image/gif"
	}
	return ""
}

// logoURL is where the logo of an application is, null if it has none.
func logoURL(home string, id directory.ObjectID, s settings) any {
	if s.text(logoPath) == "" {
		return nil
	}
	return home + "/" + version1 + "/applications/" + string(id) + "/logo"
}

func putLogo(c *call) (answer, error) {
	picture, err := io.ReadAll(io.LimitReader(c.request.Body, maxLogo+1))
	if err != nil {
		return answer{}, invalid("", "The body could not be read whole.")
	}
	if len(picture) > maxLogo {
		return answer{}, &problem{status: http.StatusRequestEntityTooLarge, code: codeTooLarge, message: fmt.Sprintf("The logo is larger than %d bytes.", maxLogo)}
	}
	if logoType(picture) == "" {
		return answer{}, invalid("logo", saysInvalid+" The logo must be a picture in PNG, JPEG or GIF.")
	}
	return done(), c.changeApplication(func(e *directory.Editor, app *directory.Application) error {
		_, err := e.Applications().Edit(c.tenant(), app.ID, func(next *directory.Application) error {
			draft := c.draft(next)
			if err := draft.settings.set(logoPath, base64.StdEncoding.EncodeToString(picture)); err != nil {
				return err
			}
			return draft.finish()
		})
		return err
	})
}

func getLogo(c *call) (answer, error) {
	app, err := c.application(c.view())
	if err != nil {
		return answer{}, err
	}
	picture, err := base64.StdEncoding.DecodeString(readSettings(app.Settings).text(logoPath))
	if err != nil || len(picture) == 0 {
		return answer{}, notThere(logoPath)
	}
	return answer{status: http.StatusOK, body: &raw{logoType(picture), picture}}, nil
}
