package graph

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graph/odata"
)

// logRoutes are the routes of what happened: sign-ins, and changes of the directory.
func logRoutes() []route {
	return []route{
		{http.MethodGet, "auditLogs/signIns", readsLogs(), listSignIns},
		{http.MethodGet, "auditLogs/signIns/{signIn}", readsLogs(), getSignIn},
		{http.MethodGet, "auditLogs/directoryAudits", readsLogs(), listAudits},
		{http.MethodGet, "auditLogs/directoryAudits/{audit}", readsLogs(), getAudit},
	}
}

func readsLogs() *permit {
	return &permit{
		permissions: anyOf(logRead),
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
		{"status", object{{"errorCode", row.Code}, {"failureReason", failure}, {"additionalDetails", signInDetails(row)}}},
		{"deviceDetail", object{{"deviceId", ""}, {"displayName", ""}, {"operatingSystem", ""}, {"browser", ""}, {"isCompliant", false}, {"isManaged", false}, {"trustType", ""}}},
		{"location", object{{"city", ""}, {"state", ""}, {"countryOrRegion", ""}, {"geoCoordinates", object{}}}}, {"appliedConditionalAccessPolicies", []any{}},
	}
}

// signInDetails is what there is to say besides: how to fix a failure, or to whom the token was lent.
func signInDetails(row *directory.SignIn) any {
	if row.Fix == "" && row.Borrower != nil {
		return "Lent to " + row.Borrower.String() + "."
	}
	return orNull(row.Fix)
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
		{"authenticationProcessingDetails", processingDetails(row)},
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

// processingDetails are what a row has more than Graph has members for.
func processingDetails(row *directory.SignIn) []object {
	details := []object{}
	for _, one := range []struct{ key, value string }{
		{"Credential", row.Credential}, {"Resource", row.Resource}, {"Roles", strings.Join(row.Roles, " ")}, {"Scopes", strings.Join(row.Scopes, " ")},
		{"Version", row.Version}, {"Refusal", row.Refusal}, {"Cloud", row.Cloud},
	} {
		if one.value != "" {
			details = append(details, object{{"key", one.key}, {"value", one.value}})
		}
	}
	return details
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
func signInFilter(c *call, e odata.Expr) directory.SignInFilter {
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
func sourceOfSignIns(c *call, e odata.Expr) source[directory.SignIn] {
	filter := signInFilter(c, e)
	usersOnly := !c.isBeta() || e == nil || !namesMember(e, "signInEventTypes")
	return source[directory.SignIn]{
		set: "auditLogs/signIns", members: signInMembers(c.isBeta()), render: c.signIns().render,
		all: []access[directory.SignIn]{func(q directory.Query) (directory.Page[directory.SignIn], error) {
			return pageOfSignIns(c, filter, usersOnly, q)
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
func pageOfSignIns(c *call, filter directory.SignInFilter, usersOnly bool, q directory.Query) (page directory.Page[directory.SignIn], err error) {
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

func listSignIns(c *call) (answer, error) {
	query, err := c.query()
	if err != nil {
		return answer{}, err
	}
	return listing(c, sourceOfSignIns(c, query.Filter))
}

func getSignIn(c *call) (answer, error) {
	id := c.refs["signIn"].value
	from := sourceOfSignIns(c, nil)
	for after := ""; ; {
		page, err := pageOfSignIns(c, directory.SignInFilter{Tenant: c.tenant()}, !c.isBeta(), directory.Query{Limit: 1000, After: after})
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

// logPlace says how far a log was read: so many rows from the newest at a time on.
func logPlace(until time.Time, skip int) string {
	return strconv.FormatInt(until.UnixNano(), 10) + " " + strconv.Itoa(skip)
}

func parseLogPlace(s string) (until time.Time, skip int, err error) {
	var nanos int64
	if _, err := fmt.Sscanf(s, "%d %d", &nanos, &skip); err != nil {
		return until, 0, fmt.Errorf("read the place in a log: %w", err)
	}
	return time.Unix(0, nanos).UTC(), skip, nil
}

// auditID is the id of a row of the audit log: its hash, which tells nothing of other rows.
func auditID(row *audit.Row) string {
	return "Directory_" + hex.EncodeToString(row.Hash[:min(16, len(row.Hash))])
}

// auditKinds are what changes are of: on the wire, and the category.
var auditKinds = map[string]struct{ noun, kind, category string }{
	directory.KindTenant:           {"company", "Other", "DirectoryManagement"},
	directory.KindApplication:      {"application", "Application", "ApplicationManagement"},
	directory.KindServicePrincipal: {"service principal", "ServicePrincipal", "ApplicationManagement"},
	directory.KindAssignment:       {"app role assignment to service principal", "ServicePrincipal", "ApplicationManagement"},
	directory.KindDelegatedGrant:   {"delegated permission grant", "ServicePrincipal", "ApplicationManagement"},
	directory.KindUser:             {"user", "User", "UserManagement"},
	directory.KindPolicy:           {"policy", "Policy", "Policy"},
}

// activity is what a row tells of, in the words of the service where it has some.
func activity(row *audit.Row) (name, operation string) {
	verb := row.Action[strings.LastIndexByte(row.Action, '.')+1:]
	noun := row.Kind
	if known, is := auditKinds[row.Kind]; is {
		noun = known.noun
	}
	switch verb {
	case "create":
		return "Add " + noun, "Add"
	case "update":
		credentials := strings.Contains(row.Detail, "secret ") || strings.Contains(row.Detail, "certificate ") || strings.Contains(row.Detail, "federated credential ")
		if row.Kind == directory.KindApplication && credentials {
			return "Update application – Certificates and secrets management", "Update"
		}
		return "Update " + noun, "Update"
	case "delete", "discard":
		if row.Kind == directory.KindAssignment {
			return "Remove app role assignment from service principal", "Unassign"
		}
		if verb == "discard" || row.Kind != directory.KindUser && row.Kind != directory.KindApplication {
			return "Remove " + noun, "Delete"
		}
		return "Hard delete " + noun, "Delete"
	case "purge":
		return "Hard delete " + noun, "Delete"
	case "restore":
		return "Restore " + noun, "Update"
	}
	return verb + " " + noun, verb
}

func renderAudit(row *audit.Row) (object, error) {
	name, operation := activity(row)
	known, is := auditKinds[row.Kind]
	if !is {
		known.kind, known.category = "Other", "DirectoryManagement"
	}
	by := object{{"user", nil}, {"app", object{{"appId", nil}, {"displayName", row.Actor}, {"servicePrincipalId", nil}, {"servicePrincipalName", nil}}}}
	if row.ActorKind == string(directory.ActorUser) {
		by = object{{"app", nil}, {"user", object{{"id", nil}, {"displayName", nil}, {"userPrincipalName", row.Actor}, {"ipAddress", nil}}}}
	}
	details := []object{{{"key", "action"}, {"value", row.Action}}}
	if row.Detail != "" {
		details = append(details, object{{"key", "detail"}, {"value", row.Detail}})
	}
	target := object{
		{"id", row.Target}, {"displayName", orNull(row.Name)}, {"type", known.kind}, {"userPrincipalName", nil}, {"groupType", nil}, {"modifiedProperties", []any{}},
	}
	if row.Kind == directory.KindUser {
		target = target.replace("userPrincipalName", orNull(row.Name))
	}
	return object{
		{"id", auditID(row)}, {"category", known.category}, {"correlationId", nil}, {"result", "success"}, {"resultReason", ""}, {"activityDisplayName", name},
		{"activityDateTime", date(row.Time)}, {"loggedByService", "Core Directory"}, {"operationType", operation}, {"initiatedBy", by},
		{"targetResources", []object{target}}, {"additionalDetails", details},
	}, nil
}

const auditChunk = 500 // rows that are read at once

// pageOfAudits reads a page of the tenant's rows, the newest first. Those of other tenants are
// in the same chain, and passed over.
func (c *call) pageOfAudits(q directory.Query) (page directory.Page[audit.Row], err error) {
	var before int64
	if q.After != "" {
		if before, err = strconv.ParseInt(q.After, 10, 64); err != nil {
			return page, fmt.Errorf("read the place in the audit log: %w", err)
		}
	}
	for read := 0; read < maxSorted; {
		rows, err := directory.AuditRowsBefore(c.ctx(), c.api.cfg.Directory, before, auditChunk)
		if err != nil {
			return page, err
		}
		for i := range rows {
			if rows[i].Tenant != string(c.tenant()) {
				continue
			}
			if len(page.Items) == q.Limit {
				page.Next = strconv.FormatInt(rows[i].Sequence+1, 10)
				return page, nil
			}
			page.Items = append(page.Items, &rows[i])
		}
		if read += len(rows); len(rows) == 0 || rows[len(rows)-1].Sequence == 1 {
			return page, nil
		}
		before = rows[len(rows)-1].Sequence
	}
	page.Next = strconv.FormatInt(before, 10)
	return page, nil
}

func (c *call) audits() source[audit.Row] {
	empty, _ := renderAudit(&audit.Row{})
	return source[audit.Row]{set: "auditLogs/directoryAudits", members: memberNames(empty), render: renderAudit, all: []access[audit.Row]{c.pageOfAudits}}
}

func listAudits(c *call) (answer, error) { return listing(c, c.audits()) }

func getAudit(c *call) (answer, error) {
	id := c.refs["audit"].value
	for after := ""; ; {
		page, err := c.pageOfAudits(directory.Query{Limit: auditChunk, After: after})
		if err != nil {
			return answer{}, err
		}
		for _, row := range page.Items {
			if auditID(row) == id {
				return showing(c, c.audits(), row)
			}
		}
		if after = page.Next; after == "" {
			return answer{}, notThere(id)
		}
	}
}
