package graph

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// policyRoutes are the routes of the policy for credentials of applications.
func policyRoutes() []route {
	const read, write = "Policy.Read.All", "Policy.ReadWrite.ApplicationConfiguration"
	return []route{
		{http.MethodGet, "policies/defaultAppManagementPolicy", &permit{permissions: anyOf(read, write)}, getPolicy},
		{http.MethodPatch, "policies/defaultAppManagementPolicy", &permit{
			permissions: anyOf(write), users: []string{globalAdministrator}, rights: directory.Manage(directory.Policies),
		}, updatePolicy},
	}
}

// A policyDraft is the policy between the directory and the wire.
type policyDraft struct {
	*directory.AppManagementPolicy
	settings settings
}

func (d *policyDraft) kept() settings { return d.settings }

const restrictionsPath = "applicationRestrictions"

// policyFields is the table of the policy's members. What is said of applications holds for
// service principals, too.
func policyFields() []field[*policyDraft] {
	type draft = *policyDraft
	return []field[draft]{
		{name: "id", read: func(draft) any { return directory.NoRole }, silent: true},
		{name: "deletedDateTime", read: func(draft) any { return nil }, silent: true},
		{name: "displayName", read: func(draft) any { return "Default app management tenant policy" }, silent: true},
		{name: "description", read: func(draft) any {
			return "Default tenant policy that enforces app management restrictions on applications and service principals."
		}, silent: true},
		{name: "isEnabled", read: func(d draft) any { return d.Enabled }, write: func(d draft, in input) (err error) { d.Enabled, err = in.bool(); return err }},
		{name: restrictionsPath, read: func(d draft) any {
			return d.settings.get(restrictionsPath, object{{"passwordCredentials", []any{}}, {"keyCredentials", []any{}}})
		}, write: writeRestrictions},
	}
}

// A restriction is one rule of the policy.
type restriction struct {
	kind  string
	life  time.Duration // zero: none was given
	works bool
}

func restrictionFields() []field[*restriction] {
	type one = *restriction
	return []field[one]{
		{name: "restrictionType", write: func(r one, in input) (err error) { r.kind, err = in.text(); return err }},
		{name: "maxLifetime", write: func(r one, in input) (err error) {
			if in.value != nil {
				r.life, err = in.duration()
			}
			return err
		}},
		{name: "state", write: func(r one, in input) error {
			state, err := in.text()
			if err == nil && state != "enabled" && state != "disabled" {
				err = in.wrong("enabled or disabled")
			}
			r.works = state == "enabled"
			return err
		}},
		{name: "restrictForAppsCreatedAfterDateTime", write: func(_ one, in input) error {
			if in.value != nil {
				return invalid(in.path, saysInvalid+" The policy holds for all applications here: leave "+quote(in.name())+" out, or send null.")
			}
			return nil
		}},
	}
}

// writeRestrictions replaces the rules. A collection that the client leaves out has none.
func writeRestrictions(d *policyDraft, in input) error {
	d.SecretsForbidden, d.MaxSecretLife, d.MaxCertificateLife = false, 0, 0
	if in.value == nil {
		return d.settings.set(restrictionsPath, nil)
	}
	all, err := in.object()
	if err != nil {
		return err
	}
	kept := object{{"passwordCredentials", []any{}}, {"keyCredentials", []any{}}}
	for _, one := range all {
		if _, known := kept.get(one.name()); !known {
			return invalid(one.path, "Invalid property "+quote(one.path)+".")
		}
		rules, err := each(one, func(in input) (restriction, error) {
			r := restriction{works: true}
			err := apply(restrictionFields(), &r, in)
			if err == nil {
				err = d.restrict(one.name(), r, in)
			}
			return r, err
		})
		if err != nil {
			return err
		}
		if len(rules) > 0 {
			kept = kept.replace(one.name(), one.value)
		}
	}
	return d.settings.set(restrictionsPath, kept)
}

// restrict lets one rule act.
func (d *policyDraft) restrict(of string, r restriction, in input) error {
	switch {
	case of == "passwordCredentials" && r.kind == "passwordAddition":
		d.SecretsForbidden = d.SecretsForbidden || r.works
	case of == "passwordCredentials" && r.kind == "passwordLifetime" && r.life > 0:
		if r.works {
			d.MaxSecretLife = r.life
		}
	case of == "keyCredentials" && r.kind == "asymmetricKeyLifetime" && r.life > 0:
		if r.works {
			d.MaxCertificateLife = r.life
		}
	case of == "passwordCredentials" && (r.kind == "customPasswordAddition" || r.kind == "symmetricKeyAddition" || r.kind == "symmetricKeyLifetime"):
		// There are no such credentials here, so nothing of them is ever added.
	default:
		return in.wrong("a rule for passwordAddition, passwordLifetime or asymmetricKeyLifetime, the latter two with a maxLifetime such as P90D")
	}
	return nil
}

var isoDuration = regexp.MustCompile(`^P(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?$`)

// duration is a time span as ISO 8601 writes it, in which a month has 30 days and a year 365.
func (in input) duration() (time.Duration, error) {
	s, err := in.text()
	if err != nil {
		return 0, err
	}
	parts := isoDuration.FindStringSubmatch(s)
	if parts == nil || strings.TrimRight(s, "PT") == "" {
		return 0, in.wrong("a time span such as P90D")
	}
	const day = 24 * time.Hour
	var d time.Duration
	for i, unit := range []time.Duration{365 * day, 30 * day, 7 * day, day, time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi(parts[i+1]) // digits, or nothing
		d += time.Duration(n) * unit
	}
	const longest = 200 * 365 * day
	if d <= 0 || d > longest {
		return 0, in.wrong("a time span such as P90D, of at most 200 years")
	}
	return d, nil
}

func renderPolicy(p *directory.AppManagementPolicy) object {
	return render(policyFields(), &policyDraft{p, readSettings(p.Settings)})
}

func getPolicy(c *call) (answer, error) {
	p, err := c.view().AppManagementPolicy(c.tenant())
	if err != nil {
		return answer{}, err
	}
	return entity("policies/defaultAppManagementPolicy", renderPolicy(p)), nil
}

func updatePolicy(c *call) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	return done(), c.change(func(e *directory.Editor) error {
		_, err := e.EditAppManagementPolicy(c.tenant(), func(p *directory.AppManagementPolicy) (err error) {
			draft := &policyDraft{p, readSettings(p.Settings)}
			if err := apply(policyFields(), draft, input{"", given}); err != nil {
				return err
			}
			p.Settings, err = draft.settings.keep()
			return err
		})
		return err
	})
}
