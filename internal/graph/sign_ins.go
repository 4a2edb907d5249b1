package graph

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graph/odata"
)

// logRoutes are the routes of what happened: sign-ins, and changes of the directory.
func logRoutes() []route {
	return []route{
		{http.MethodGet, "auditLogs/signIns", readsLogs(), (*call).listSignIns},
		{http.MethodGet, "auditLogs/signIns/{signIn}", readsLogs(), (*call).getSignIn},
		{http.MethodGet, "auditLogs/directoryAudits", readsLogs(), (*call).listAudits},
		{http.MethodGet, "auditLogs/directoryAudits/{audit}", readsLogs(), (*call).getAudit},
	}
}

func readsLogs() *permit {
	return &permit{
		permissions: anyOf("AuditLog.Read.All"),
		users:       []string{globalAdministrator, globalReader, "Security Administrator", "Security Reader", "Reports Reader"},
	}
}

// Kinds of sign-ins. Version 1.0 has those of users alone.
const (
	eventUser      = "interactiveUser"
	eventPrincipal = "servicePrincipal"
	eventIdentity  = "managedIdentity"
)

// signIns finds what sign-ins name, each thing once in a request.
type signIns struct {
	*call
	in        *directory.View
	clients   map[directory.AppID]*directory.ServicePrincipal // nil: gone
	users     map[string]*directory.User
	resources map[string]*directory.Instance
}

func (c *call) signIns() *signIns {
	return &signIns{
		c, c.view(), map[directory.AppID]*directory.ServicePrincipal{}, map[string]*directory.User{}, map[string]*directory.Instance{},
	}
}

// remember answers a question once; what is not there is nil.
func remember[K comparable, V any](known map[K]*V, key K, find func() (*V, error)) (*V, error) {
	if found, has := known[key]; has {
		return found, nil
	}
	found, err := find()
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return nil, err
	}
	if err != nil {
		found = nil
	}
	known[key] = found
	return found, nil
}

func (s *signIns) render(row *directory.SignIn) (object, error) {
	client, err := remember(s.clients, row.AppID, func() (*directory.ServicePrincipal, error) {
		return s.in.ServicePrincipals().ByAppID(s.tenant(), row.AppID)
	})
	if err != nil {
		return nil, err
	}
	user, err := remember(s.users, row.User, func() (*directory.User, error) { return s.in.Users().Find(s.tenant(), row.User) })
	if err != nil {
		return nil, err
	}
	resource, err := remember(s.resources, row.Resource, func() (*directory.Instance, error) {
		return s.api.cfg.Directory.Resource(s.ctx(), s.tenant(), row.Resource)
	})
	if err != nil {
		return nil, err
	}
	event := eventPrincipal
	switch {
	case row.User != "":
		event = eventUser
	case client != nil && client.Type == directory.PrincipalManagedIdentity || row.Presented != nil && row.Presented.Platform != "":
		event = eventIdentity
	}
	o := append(signInObject(row, event), resourceMembers(row, resource)...)
	o = append(o, userMembers(row, user)...)
	if s.isBeta() {
		o = append(o, betaMembers(row, event, client)...)
	}
	return o, nil
}

func signInObject(row *directory.SignIn, event string) object {
	failure := "Other."
	if row.Refused() {
		failure = row.Reason
	}
	return object{
		{"id", row.TraceID}, {"createdDateTime", date(row.Time)}, {"appId", row.AppID}, {"appDisplayName", orNull(row.Name)}, {"ipAddress", orNull(row.Source)},
		{"clientAppUsed", nil}, {"correlationId", orNull(row.CorrelationID)}, {"conditionalAccessStatus", "notApplied"}, {"isInteractive", event == eventUser},
		{"riskDetail", "none"}, {"riskLevelAggregated", "none"}, {"riskLevelDuringSignIn", "none"}, {"riskState", "none"}, {"riskEventTypes", []string{}},
		{"riskEventTypes_v2", []string{}},
		{"status", object{{"errorCode", row.Code}, {"failureReason", failure}, {"additionalDetails", orNull(row.Fix)}}},
		{"deviceDetail", object{{"deviceId", ""}, {"displayName", ""}, {"operatingSystem", ""}, {"browser", ""}, {"isCompliant", false}, {"isManaged", false}, {"trustType", ""}}},
		{"location", object{{"city", ""}, {"state", ""}, {"countryOrRegion", ""}, {"geoCoordinates", object{}}}}, {"appliedConditionalAccessPolicies", []any{}},
	}
}

func resourceMembers(row *directory.SignIn, resource *directory.Instance) object {
	if resource == nil {
		return object{{"resourceDisplayName", orNull(row.Resource)}, {"resourceId", nil}}
	}
	return object{{"resourceDisplayName", resource.Application.Label()}, {"resourceId", resource.Application.AppID}}
}

func userMembers(row *directory.SignIn, user *directory.User) object {
	if user == nil {
		return object{{"userDisplayName", nil}, {"userId", nil}, {"userPrincipalName", orNull(row.User)}}
	}
	return object{{"userDisplayName", user.DisplayName}, {"userId", user.ID}, {"userPrincipalName", user.PrincipalName}}
}

// betaMembers are those of applications that sign in for themselves.
func betaMembers(row *directory.SignIn, event string, client *directory.ServicePrincipal) object {
	o := object{
		{"signInEventTypes", []string{event}}, {"uniqueTokenIdentifier", orNull(row.TokenID)}, {"userAgent", orNull(row.Library)}, {"tokenIssuerType", "AzureAD"},
		{"incomingTokenType", "none"}, {"servicePrincipalCredentialKeyId", nil}, {"federatedCredentialId", nil}, {"servicePrincipalCredentialThumbprint", nil},
	}
	switch row.Credential {
	case "secret", "certificate":
		o = o.replace("servicePrincipalCredentialKeyId", orNull(row.CredentialID))
	case "federated":
		o = o.replace("federatedCredentialId", orNull(row.CredentialID))
	}
	if event == eventUser || client == nil {
		return append(o, member{"servicePrincipalId", nil}, member{"servicePrincipalName", nil})
	}
	return append(o, member{"servicePrincipalId", client.ID}, member{"servicePrincipalName", client.Label()})
}

// signInMembers are the names of what a sign-in has in a version.
func signInMembers(beta bool) []string {
	row := &directory.SignIn{}
	o := append(signInObject(row, eventUser), resourceMembers(row, nil)...)
	o = append(o, userMembers(row, nil)...)
	if beta {
		o = append(o, betaMembers(row, eventUser, nil)...)
	}
	return memberNames(o)
}

// signInFilter takes from a filter what the log can choose by itself.
func (c *call) signInFilter(e odata.Expr) directory.SignInFilter {
	f := directory.SignInFilter{Tenant: c.tenant()}
	if e == nil {
		return f
	}
	for _, l := range odata.Lookups(e) {
		if l.Element || len(l.Values) != 1 {
			continue
		}
		switch value := strings.ToLower(l.Values[0]); {
		case l.Prefix:
		case l.Member == "appid":
			f.AppID = directory.AppID(value)
		case l.Member == "userprincipalname":
			f.User = value
		}
	}
	if from, has := odata.From(e, "createdDateTime"); has {
		f.Since = from
	}
	return f
}

// sourceOfSignIns are the sign-ins as lists read them, the newest first. Where nothing else was
// asked for they are those of users.
func (c *call) sourceOfSignIns(e odata.Expr) source[directory.SignIn] {
	filter := c.signInFilter(e)
	usersOnly := !c.isBeta() || e == nil || !namesMember(e, "signInEventTypes")
	return source[directory.SignIn]{
		set: "auditLogs/signIns", members: signInMembers(c.isBeta()), render: c.signIns().render,
		all: []access[directory.SignIn]{func(q directory.Query) (directory.Page[directory.SignIn], error) {
			return c.pageOfSignIns(filter, usersOnly, q)
		}},
	}
}

// namesMember reports whether a filter names a member.
func namesMember(e odata.Expr, name string) bool {
	found := false
	_ = odata.Members(e, func(_ *odata.Member, way []string) error {
		found = found || strings.EqualFold(way[0], name)
		return nil
	})
	return found
}

// pageOfSignIns reads a page. The log grows at the end that is read first, so a page is said by
// the time of the newest row of the first one and how many rows from there were read.
func (c *call) pageOfSignIns(filter directory.SignInFilter, usersOnly bool, q directory.Query) (page directory.Page[directory.SignIn], err error) {
	var until time.Time
	skip := 0
	if q.After != "" {
		if until, skip, err = parseLogPlace(q.After); err != nil {
			return page, err
		}
	}
	for filter.Limit = skip + q.Limit + 256; ; filter.Limit *= 2 {
		rows, err := c.api.cfg.Directory.SignIns(c.ctx(), filter)
		if err != nil {
			return page, err
		}
		whole := len(rows) < filter.Limit
		if until.IsZero() && len(rows) > 0 {
			until = rows[0].Time
		}
		kept := rows[:0]
		for _, row := range rows {
			if !row.Time.After(until) && (!usersOnly || row.User != "") {
				kept = append(kept, row)
			}
		}
		if len(kept) <= skip+q.Limit && !whole {
			continue
		}
		end := min(skip+q.Limit, len(kept))
		for i := min(skip, end); i < end; i++ {
			page.Items = append(page.Items, &kept[i])
		}
		if end < len(kept) {
			page.Next = logPlace(until, end)
		}
		return page, nil
	}
}

func (c *call) listSignIns() (answer, error) {
	query, err := c.query()
	if err != nil {
		return answer{}, err
	}
	return listing(c, c.sourceOfSignIns(query.Filter))
}

func (c *call) getSignIn() (answer, error) {
	id := c.refs["signIn"].value
	from := c.sourceOfSignIns(nil)
	for after := ""; ; {
		page, err := c.pageOfSignIns(directory.SignInFilter{Tenant: c.tenant()}, !c.isBeta(), directory.Query{Limit: 1000, After: after})
		if err != nil {
			return answer{}, err
		}
		for _, row := range page.Items {
			if row.TraceID == id {
				return showing(c, from, row)
			}
		}
		if after = page.Next; after == "" {
			return answer{}, notThere(id)
		}
	}
}
