package graph

import (
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// A federatedDraft is a federated credential between the directory and the wire.
type federatedDraft struct {
	directory.FederatedCredential
	own string // issuer of the tenant's managed identities
}

// federatedFields is the table of a federated credential's members. The last one is beta's
// alone.
func federatedFields() []field[*federatedDraft] {
	type draft = *federatedDraft
	return []field[draft]{
		{name: "id", read: func(d draft) any { return d.ID }, silent: true},
		{name: "name", read: func(d draft) any { return d.Name }, write: func(d draft, in input) (err error) { d.Name, err = in.text(); return err }},
		{name: "issuer", read: func(d draft) any { return d.issuer() }, write: func(d draft, in input) (err error) {
			issuer, err := in.text()
			if err == nil && (d.Identity == "" || issuer != d.own) {
				d.Issuer, d.Identity = issuer, ""
			}
			return err
		}},
		{name: "subject", read: func(d draft) any { return orNull(d.subject()) }, write: func(d draft, in input) (err error) {
			subject, err := in.optionalText()
			if err == nil && (d.Identity == "" || subject != string(d.Identity)) {
				d.Issuer, d.Subject, d.Identity = d.issuer(), subject, ""
			}
			return err
		}},
		{name: "description", read: func(d draft) any { return orNull(d.Description) }, write: func(d draft, in input) (err error) { d.Description, err = in.optionalText(); return err }},
		{name: "audiences", read: func(d draft) any { return []string{d.Audience} }, write: writeAudiences},
		{name: "claimsMatchingExpression", read: readExpression, write: writeExpression},
	}
}

// issuer is whose tokens count. A managed identity's are the tenant's own.
func (d *federatedDraft) issuer() string {
	if d.Identity != "" {
		return d.own
	}
	return d.Issuer
}

func (d *federatedDraft) subject() string {
	if d.Identity != "" {
		return string(d.Identity)
	}
	return d.Subject
}

func writeAudiences(d *federatedDraft, in input) error {
	audiences, err := in.texts()
	if err != nil {
		return err
	}
	if len(audiences) != 1 {
		return in.wrong("an array of exactly one audience")
	}
	d.Audience = audiences[0]
	return nil
}

// readExpression is the expression as beta writes it.
func readExpression(d *federatedDraft) any {
	if d.Expression == "" {
		return nil
	}
	return object{{"value", d.Expression}, {"languageVersion", 1}}
}

func writeExpression(d *federatedDraft, in input) error {
	d.Expression = ""
	if in.value == nil {
		return nil
	}
	all, err := in.object()
	if err != nil {
		return err
	}
	for _, one := range all {
		switch one.name() {
		case "value":
			if d.Expression, err = one.text(); err != nil {
				return err
			}
		case "languageVersion":
			if version, err := one.integer(); err != nil || version != 1 {
				return one.wrong("1")
			}
		default:
			return invalid(one.path, "Invalid property "+quote(one.path)+".")
		}
	}
	if d.Expression == "" {
		return in.wrong("an object with a value")
	}
	return nil
}

// federatedDraft is a credential to be rendered or changed.
func (c *call) federatedDraft(f directory.FederatedCredential) *federatedDraft {
	return &federatedDraft{f, c.api.cfg.Authority + "/" + string(c.tenant()) + "/v2.0"}
}

// federatedTable is the table of this version.
func (c *call) federatedTable() []field[*federatedDraft] {
	if c.isBeta() {
		return federatedTable
	}
	return federatedTable[:len(federatedTable)-1]
}

func renderFederated(c *call, f directory.FederatedCredential) object {
	return render(c.federatedTable(), c.federatedDraft(f))
}

// federatedSet is the set of an application's federated credentials.
func federatedSet(app *directory.Application) string {
	return "applications('" + string(app.ID) + "')/federatedIdentityCredentials"
}

// federated returns the credential of an application that the path names, by its id or name.
func (c *call) federated(app *directory.Application) (directory.FederatedCredential, error) {
	at := c.refs["credential"]
	id, _ := guid.Parse(at.value)
	i := slices.IndexFunc(app.Federated, func(f directory.FederatedCredential) bool {
		byName := (at.by == "" || at.by == "name") && strings.EqualFold(f.Name, at.value)
		return byName || at.by == "" && f.ID == id
	})
	if i < 0 {
		return directory.FederatedCredential{}, notThere(at.value)
	}
	return app.Federated[i], nil
}

func listFederated(c *call) (answer, error) {
	app, err := c.application(c.view())
	if err != nil {
		return answer{}, err
	}
	return listing(c, sourceOfFederated(c, federatedSet(app), app.Federated))
}

// sourceOfFederated is a list of federated credentials.
func sourceOfFederated(c *call, set string, all []directory.FederatedCredential) source[directory.FederatedCredential] {
	return source[directory.FederatedCredential]{
		set: set, members: memberNames(renderFederated(c, directory.FederatedCredential{})),
		render: func(f *directory.FederatedCredential) (object, error) { return renderFederated(c, *f), nil },
		all: []access[directory.FederatedCredential]{these(func() ([]*directory.FederatedCredential, error) {
			pointers := make([]*directory.FederatedCredential, len(all))
			for i := range all {
				pointers[i] = &all[i]
			}
			return pointers, nil
		})},
	}
}

func getFederated(c *call) (answer, error) {
	app, err := c.application(c.view())
	if err != nil {
		return answer{}, err
	}
	found, err := c.federated(app)
	if err != nil {
		return answer{}, err
	}
	return entity(federatedSet(app), renderFederated(c, found)), nil
}

func createFederated(c *call) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	return addFederated(c, given, "")
}

// addFederated makes a federated credential, with a name if the path gives one.
func addFederated(c *call, given body, name string) (answer, error) {
	draft := c.federatedDraft(directory.FederatedCredential{Name: name})
	if err := apply(c.federatedTable(), draft, input{"", given}); err != nil {
		return answer{}, err
	}
	for _, required := range [][2]string{{"name", draft.Name}, {"issuer", draft.Issuer}, {"audiences", draft.Audience}} {
		if required[1] == "" {
			return answer{}, invalid(required[0], "A value is required for property "+quote(required[0])+" of resource 'FederatedIdentityCredential'.")
		}
	}
	var in *directory.Application
	var made directory.FederatedCredential
	err := c.changeApplication(func(e *directory.Editor, app *directory.Application) (err error) {
		in = app
		made, err = e.Credentials().AddFederated(c.tenant(), app.ID, draft.FederatedCredential)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	set := federatedSet(in)
	return created(set, c.base()+"/applications/"+string(in.ID)+"/federatedIdentityCredentials/"+made.ID, renderFederated(c, made)), nil
}

func updateFederated(c *call) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	missing := false
	err = c.changeApplication(func(e *directory.Editor, app *directory.Application) error {
		found, err := c.federated(app)
		if err != nil {
			missing = true
			return err
		}
		_, err = e.Credentials().EditFederated(c.tenant(), app.ID, found.ID, func(f *directory.FederatedCredential) error {
			draft := c.federatedDraft(*f)
			if err := apply(c.federatedTable(), draft, input{"", given}); err != nil {
				return err
			}
			*f = draft.FederatedCredential
			return nil
		})
		return err
	})
	if at := c.refs["credential"]; missing && at.by == "name" && prefersCreation(c) {
		return addFederated(c, given, at.value)
	}
	if err != nil {
		return answer{}, err
	}
	return done(), nil
}

func deleteFederated(c *call) (answer, error) {
	return done(), c.changeApplication(func(e *directory.Editor, app *directory.Application) error {
		found, err := c.federated(app)
		if err != nil {
			return err
		}
		return e.Credentials().Remove(c.tenant(), app.ID, found.ID)
	})
}
