package graph

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

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
	details := []object{}
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
		rows, err := c.api.cfg.Directory.AuditRowsBefore(c.ctx(), before, auditChunk)
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

func (c *call) listAudits() (answer, error) { return listing(c, c.audits()) }

func (c *call) getAudit() (answer, error) {
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
