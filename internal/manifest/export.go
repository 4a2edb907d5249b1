package manifest

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// An ExportConfig says what Export writes.
type ExportConfig struct {
	View    *directory.View     // required
	Tenants []*directory.Tenant // required: those to write
	Now     time.Time           // required: credentials that have expired by then are left out
	// Passing names the credentials that a command has made for a while, which no file
	// should have. Nil: there are none.
	Passing func(name string) bool
	// Omit is told what is not in the file, as it is found. Nil: nobody is.
	Omit func(Omission)
}

// An Omission is something of the directory that a file cannot have.
type Omission struct {
	Tenant string
	Owner  string // whose it is; empty: the tenant's
	What   string // "the secret \"ci\""
	Why    string // as a clause: "its text is kept nowhere"
}

// Export writes a rolecall.yaml that makes the tenants anew when it is applied to an empty
// directory, but for what no file has: secrets, which it asks to generate, passwords, and
// signing keys. It writes each thing as it reads it, so that its memory does not grow with
// the directory.
func Export(w io.Writer, cfg ExportConfig) error {
	out := bufio.NewWriter(w)
	e := newExporter(cfg, nil, out)
	e.line(0, "tenants:")
	for _, t := range cfg.Tenants {
		if err := newExporter(cfg, t, out).tenant(t); err != nil {
			return err
		}
	}
	return out.Flush()
}

// An exporter writes a tenant, or a part of one. What it writes to remembers the first error.
type exporter struct {
	cfg  ExportConfig
	out  writer
	of   *directory.Tenant                          // that is being written
	apis map[directory.ObjectID]*directory.Instance // by service principal: a few that were asked for
	apps map[directory.AppID]*directory.Application // the same by app id
}

// A writer takes the file a text at a time: a buffer of one kind or another.
type writer interface {
	io.StringWriter
	io.ByteWriter
}

func newExporter(cfg ExportConfig, of *directory.Tenant, out writer) *exporter {
	return &exporter{cfg: cfg, out: out, of: of, apis: map[directory.ObjectID]*directory.Instance{}, apps: map[directory.AppID]*directory.Application{}}
}

// Indentations, in characters.
const (
	atTenant = 4
	atObject = 8
	atList   = 10
)

func (e *exporter) tenant(t *directory.Tenant) error {
	e.line(2, "- name: "+quoted(t.Name))
	e.member(atTenant, "id", string(t.ID))
	e.unless(atTenant, "enabled", t.Enabled, true)
	e.list(atTenant, "domains", t.Domains)
	if err := e.policy(); err != nil {
		return err
	}
	if err := e.discarded(); err != nil { // first, as only the first few of what is left out are listed
		return err
	}
	if err := section[directory.Application](e, "applications", e.cfg.View.Applications(), (*exporter).application); err != nil {
		return err
	}
	if err := section[directory.ResourceGroup](e, "resourceGroups", e.cfg.View.ResourceGroups(), (*exporter).group); err != nil {
		return err
	}
	if err := section[directory.ServicePrincipal](e, "managedIdentities", e.cfg.View.Identities(), (*exporter).identity); err != nil {
		return err
	}
	if err := section[directory.Host](e, "hosts", e.cfg.View.Hosts(), (*exporter).host); err != nil {
		return err
	}
	return section[directory.User](e, "users", e.cfg.View.Users(), (*exporter).user)
}

// policy writes which credentials may be given, unless nothing is said about that.
func (e *exporter) policy() error {
	p, err := e.cfg.View.AppManagementPolicy(e.of.ID)
	if err != nil {
		return err
	}
	written := object(
		flag("enabled", p.Enabled, false), flag("secretsForbidden", p.SecretsForbidden, false),
		str("maxSecretLifetime", shownDuration(p.MaxSecretLife)), str("maxCertificateLifetime", shownDuration(p.MaxCertificateLife)),
		raw("settings", escapeUnprintable(string(canonical(p.Settings)))),
	)
	if written != "{}" {
		e.line(atTenant, "appManagementPolicy: "+written)
	}
	return nil
}

func (e *exporter) group(g *directory.ResourceGroup) error {
	tags, err := tagsOf(g.Tags)
	if err != nil {
		return err
	}
	e.line(atTenant+2, "- "+object(str("name", g.Name), str("location", g.Location), raw("tags", tags)))
	return nil
}

// tagsOf are the tags of the resource manager as one object; nothing where there are none.
func tagsOf(tags map[string]string) (string, error) {
	if len(tags) == 0 {
		return "", nil
	}
	b, err := json.Marshal(tags)
	return escapeUnprintable(string(canonical(b))), err
}

// discarded tells of what can be restored, and is not there.
func (e *exporter) discarded() error {
	query := directory.Query{Limit: exportPage}
	for first := true; first || query.After != ""; first = false {
		page, err := e.cfg.View.Deleted().List(e.of.ID, query)
		if err != nil {
			return err
		}
		for _, gone := range page.Items {
			e.omit("", gone.Called(), "it is deleted, and can be restored here until "+gone.Until.UTC().Format(time.DateOnly))
		}
		query.After = page.Next
	}
	return nil
}

// exportPage is how many things are read at once.
const exportPage = 500

// A lists lists the things of one kind.
type lists[T any] interface {
	List(directory.TenantID, directory.Query) (directory.Page[T], error)
}

// section writes all things of one kind, a page at a time.
func section[T any](e *exporter, name string, all lists[T], write func(*exporter, *T) error) error {
	query := directory.Query{Limit: exportPage}
	for first := true; first || query.After != ""; first = false {
		page, err := all.List(e.of.ID, query)
		if err != nil {
			return err
		}
		if first && len(page.Items) > 0 {
			e.line(atTenant, name+":")
		}
		if err := spread(e, page.Items, write); err != nil {
			return err
		}
		query.After = page.Next
	}
	return nil
}

// minPart is how many things are worth a goroutine: each takes several look-ups.
const minPart = 20

// spread writes things in their order, with the look-ups of several made at the same time.
func spread[T any](e *exporter, items []*T, write func(*exporter, *T) error) error {
	parts := make([]part, min(runtime.GOMAXPROCS(0), 1+len(items)/minPart))
	errs := make([]error, len(parts))
	var working sync.WaitGroup
	for i := range parts {
		part, mine := &parts[i], items[i*len(items)/len(parts):(i+1)*len(items)/len(parts)]
		working.Go(func() {
			cfg := e.cfg
			cfg.Omit = func(o Omission) { part.omitted = append(part.omitted, o) }
			of := newExporter(cfg, e.of, &part.text)
			for _, one := range mine {
				if errs[i] = write(of, one); errs[i] != nil {
					return
				}
			}
		})
	}
	working.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i := range parts {
		_, _ = e.out.WriteString(parts[i].text.String()) // Flush has the error
		for _, o := range parts[i].omitted {
			e.tell(o)
		}
	}
	return nil
}

// A part is what one of several exporters wrote of a page, and left out of it.
type part struct {
	text    bytes.Buffer
	omitted []Omission
}

func (e *exporter) application(a *directory.Application) error {
	principal, err := e.cfg.View.ServicePrincipals().ByAppID(e.of.ID, a.AppID)
	if errors.Is(err, directory.ErrNotFound) {
		principal, err = nil, nil
	}
	if err != nil {
		return err
	}
	e.begin(a.Name, string(a.AppID))
	e.member(atObject, "displayName", a.DisplayName)
	e.member(atObject, "id", string(a.ID))
	if a.Name != "" { // otherwise it is first
		e.member(atObject, "appId", string(a.AppID))
	}
	if principal == nil {
		e.line(atObject, "registeredOnly: true")
	} else {
		if err := e.principal(principal); err != nil {
			return err
		}
		e.unless(atObject, "assignmentRequired", principal.AssignmentRequired, false)
		e.unless(atObject, "enabled", principal.Enabled, true)
	}
	if err := e.settings(a); err != nil {
		return err
	}
	if err := e.offers(a); err != nil {
		return err
	}
	e.objects("secrets", e.secrets(a.Label(), "", a.Secrets))
	e.objects("certificates", e.certificates(a.Label(), "", a.Certificates))
	if err := e.federated(a.Federated); err != nil {
		return err
	}
	return e.granted(a, principal)
}

// settings writes what an application says of itself.
func (e *exporter) settings(a *directory.Application) error {
	e.member(atObject, "uniqueName", a.UniqueName)
	e.member(atObject, "signInAudience", string(a.SignInAudience))
	if err := e.remarks(a.Description, a.Notes, a.Tags, a.Owners, a.Settings); err != nil {
		return err
	}
	e.list(atObject, "identifierUris", a.IdentifierURIs)
	e.list(atObject, "redirectUris", a.RedirectURIs)
	e.list(atObject, "spaRedirectUris", a.SPARedirectURIs)
	e.list(atObject, "nativeRedirectUris", a.NativeRedirectURIs)
	if a.TokenVersion == 1 {
		e.line(atObject, "requestedAccessTokenVersion: 1")
	}
	e.unless(atObject, "public", a.Public, false)
	e.unless(atObject, "strictAssertions", a.StrictAssertions, false)
	e.unless(atObject, "idTokens", a.IDTokens, false)
	return nil
}

// remarks writes what something says to people and tools.
func (e *exporter) remarks(description, notes string, tags []string, owners []directory.ObjectID, settings json.RawMessage) error {
	names, err := e.owners(owners)
	if err != nil {
		return err
	}
	e.member(atObject, "description", description)
	e.member(atObject, "notes", notes)
	e.list(atObject, "tags", tags)
	e.list(atObject, "owners", names)
	if kept := canonical(settings); kept != nil {
		e.line(atObject, "settings: "+escapeUnprintable(string(kept)))
	}
	return nil
}

// owners are what a file calls owners who are there.
func (e *exporter) owners(ids []directory.ObjectID) (names []string, err error) {
	for _, id := range ids {
		principal, err := e.cfg.View.ServicePrincipals().Get(e.of.ID, id)
		if err == nil {
			names = append(names, cmp.Or(principal.Name, string(principal.AppID)))
			continue
		}
		if !errors.Is(err, directory.ErrNotFound) {
			return nil, err
		}
		user, err := e.cfg.View.Users().Get(e.of.ID, id)
		switch {
		case err == nil:
			names = append(names, user.PrincipalName)
		case !errors.Is(err, directory.ErrNotFound):
			return nil, err
		}
	}
	return names, nil
}

// principal writes what a service principal has of its own.
func (e *exporter) principal(p *directory.ServicePrincipal) error {
	owners, err := e.owners(p.Owners)
	if err != nil {
		return err
	}
	settings := escapeUnprintable(string(canonical(p.Settings)))
	e.line(atObject, "servicePrincipal: "+object(
		str("id", string(p.ID)), str("description", p.Description), str("notes", p.Notes), strs("tags", p.Tags), strs("owners", owners),
		strs("alternativeNames", p.AlternativeNames), raw("settings", settings),
		within("secrets", e.secrets(p.Label(), " of its service principal", p.Secrets)), within("certificates", e.certificates(p.Label(), " of its service principal", p.Certificates)),
	))
	return nil
}

// offers writes what others can have of an application.
func (e *exporter) offers(a *directory.Application) error {
	var roles, scopes, claims []string
	for _, r := range a.AppRoles {
		members := make([]string, len(r.Members))
		for i, m := range r.Members {
			members[i] = string(m)
		}
		roles = append(roles, object(
			str("value", r.Value), str("id", string(r.ID)), other("displayName", r.DisplayName, r.Value), other("description", r.Description, r.DisplayName),
			flag("enabled", r.Enabled, true), strs("members", members),
		))
	}
	for _, s := range a.Scopes {
		consent := ""
		if s.AdminOnly {
			consent = consentAdmin
		}
		scopes = append(scopes, object(
			str("value", s.Value), str("id", string(s.ID)), other("displayName", s.DisplayName, s.Value), other("description", s.Description, s.DisplayName),
			str("userDisplayName", s.UserDisplayName), str("userDescription", s.UserDescription),
			flag("enabled", s.Enabled, true), str("consent", consent),
		))
	}
	for _, c := range a.OptionalClaims {
		claims = append(claims, object(str("name", c.Name), strs("properties", c.Properties)))
	}
	e.objects("appRoles", roles)
	e.objects("scopes", scopes)
	e.objects("optionalClaims", claims)
	return e.preAuthorized(a)
}

// preAuthorized writes which clients need no consent.
func (e *exporter) preAuthorized(a *directory.Application) error {
	var all []string
	for _, p := range a.PreAuthorized {
		client, err := e.apiByAppID(p.App)
		if err != nil {
			return err
		}
		if client == nil {
			e.omit(a.Label(), "the pre-authorized client "+string(p.App), "there is no such application in the tenant")
			continue
		}
		var scopes []string
		for _, id := range p.Scopes {
			if scope, ok := a.Scope(string(id)); ok {
				scopes = append(scopes, cmp.Or(scope.Value, string(scope.ID)))
			}
		}
		if len(scopes) > 0 {
			all = append(all, object(str("client", apiRef(client)), strs("scopes", scopes)))
		}
	}
	e.objects("preAuthorized", all)
	return nil
}

func (e *exporter) identity(p *directory.ServicePrincipal) error {
	e.begin(p.Name, string(p.AppID))
	e.member(atObject, "type", string(p.IdentityKind))
	e.member(atObject, "displayName", p.DisplayName)
	e.member(atObject, "id", string(p.ID))
	if p.Name != "" {
		e.member(atObject, "appId", string(p.AppID))
	}
	e.member(atObject, "resourceId", p.ResourceID)
	e.unless(atObject, "enabled", p.Enabled, true)
	e.member(atObject, "location", p.Location)
	tags, err := tagsOf(p.ResourceTags)
	if err != nil {
		return err
	}
	if tags != "" {
		e.line(atObject, "resourceTags: "+tags)
	}
	if err := e.remarks(p.Description, p.Notes, p.Tags, p.Owners, p.Settings); err != nil {
		return err
	}
	e.list(atObject, "alternativeNames", p.AlternativeNames)
	if err := e.federated(p.Federated); err != nil {
		return err
	}
	return e.assignments(p.ID, p.Label(), directory.MemberApplication)
}

func (e *exporter) host(h *directory.Host) error {
	e.line(atTenant+2, "- name: "+quoted(h.Name))
	e.member(atObject, "id", string(h.ID))
	if h.Platform != directory.PlatformAppService {
		e.member(atObject, "via", string(h.Platform))
	}
	e.member(atObject, "listen", h.Listen)
	e.member(atObject, "node", h.Node)
	var identities []string
	for _, id := range h.Identities {
		identity, err := e.cfg.View.Identities().Get(e.of.ID, id)
		if err != nil {
			return err
		}
		identities = append(identities, cmp.Or(identity.Name, string(identity.AppID)))
	}
	e.list(atObject, "identities", identities)
	e.list(atObject, "names", h.Names)
	e.list(atObject, "from", h.From)
	e.member(atObject, "user", h.User)
	return nil
}

func (e *exporter) user(u *directory.User) error {
	e.line(atTenant+2, "- userPrincipalName: "+quoted(u.PrincipalName))
	e.member(atObject, "id", string(u.ID))
	e.member(atObject, "displayName", u.DisplayName)
	e.unless(atObject, "enabled", u.Enabled, true)
	e.list(atObject, "directoryRoles", u.DirectoryRoles)
	if kept := canonical(u.Settings); kept != nil {
		e.line(atObject, "settings: "+escapeUnprintable(string(kept)))
	}
	if u.Password != nil {
		e.omit(u.PrincipalName, "the password", "its text is kept nowhere")
	}
	return e.assignments(u.ID, u.PrincipalName, directory.MemberUser)
}

func (e *exporter) omit(owner, what, why string) {
	e.tell(Omission{Tenant: e.of.Name, Owner: owner, What: what, Why: why})
}

func (e *exporter) tell(o Omission) {
	if e.cfg.Omit != nil {
		e.cfg.Omit(o)
	}
}

// begin writes what something goes by: its name, or its app id where it has none.
func (e *exporter) begin(name, appID string) {
	if name != "" {
		e.line(atTenant+2, "- name: "+quoted(name))
		return
	}
	e.line(atTenant+2, "- appId: "+quoted(appID))
}

// api finds the API with a service principal; nil: it is gone.
func (e *exporter) api(principal directory.ObjectID) (*directory.Instance, error) {
	if found, known := e.apis[principal]; known {
		return found, nil
	}
	found, err := e.readAPI(principal)
	if err != nil {
		return nil, err
	}
	if len(e.apis) >= exportPage {
		clear(e.apis)
	}
	e.apis[principal] = found
	return found, nil
}

func (e *exporter) readAPI(id directory.ObjectID) (*directory.Instance, error) {
	principal, err := e.cfg.View.ServicePrincipals().Get(e.of.ID, id)
	if errors.Is(err, directory.ErrNotFound) {
		found, _ := directory.FindBuiltinPrincipal(e.of.ID, id)
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	app, err := e.cfg.View.Applications().Get(e.of.ID, principal.Application)
	if errors.Is(err, directory.ErrNotFound) {
		return nil, nil
	}
	return &directory.Instance{Application: app, Principal: principal}, err
}

// apiByAppID finds the API with an app id; nil: it is gone.
func (e *exporter) apiByAppID(id directory.AppID) (*directory.Application, error) {
	if found, known := e.apps[id]; known {
		return found, nil
	}
	found, err := e.readAPIByAppID(id)
	if err != nil {
		return nil, err
	}
	if len(e.apps) >= exportPage {
		clear(e.apps)
	}
	e.apps[id] = found
	return found, nil
}

func (e *exporter) readAPIByAppID(id directory.AppID) (*directory.Application, error) {
	app, err := e.cfg.View.Applications().ByAppID(e.of.ID, id)
	if !errors.Is(err, directory.ErrNotFound) {
		return app, err
	}
	if b, is := directory.FindBuiltin(string(id)); is {
		return b.In(e.of.ID).Application, nil
	}
	return nil, nil
}

// apiRef is what a file calls an API: its name, where that can mean nothing else.
func apiRef(a *directory.Application) string {
	return cmp.Or(a.Name, string(a.AppID))
}

// line writes a line.
func (e *exporter) line(indent int, s string) {
	_, _ = e.out.WriteString(strings.Repeat(" ", indent)) // Flush has the error
	_, _ = e.out.WriteString(s)
	_ = e.out.WriteByte('\n')
}

// member writes a member, unless its value is empty.
func (e *exporter) member(indent int, name, value string) {
	if value != "" {
		e.line(indent, name+": "+quoted(value))
	}
}

// unless writes a member whose value is not the usual one.
func (e *exporter) unless(indent int, name string, value, usual bool) {
	if value != usual {
		e.line(indent, fmt.Sprintf("%s: %v", name, value))
	}
}

// list writes a list of texts, unless it is empty.
func (e *exporter) list(indent int, name string, values []string) {
	if len(values) > 0 {
		e.line(indent, name+": "+quotedList(values))
	}
}

// objects writes a list of objects within an application, unless it is empty.
func (e *exporter) objects(name string, all []string) {
	if len(all) == 0 {
		return
	}
	e.line(atObject, name+":")
	for _, one := range all {
		e.line(atObject+2, "- "+one)
	}
}
