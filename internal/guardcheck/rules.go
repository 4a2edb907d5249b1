package guardcheck

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
)

// A Finding is something that is hardly meant, and what to do about it.
type Finding struct {
	Kind Kind   `json:"kind"`
	Host string `json:"host,omitempty"` // of the API, if the file has several
	Rule string `json:"rule,omitempty"` // its path
	Line int    `json:"line,omitempty"`
	What string `json:"what"`
	Fix  string `json:"fix,omitempty"`
}

// A Kind is a sort of finding.
type Kind string

// The kinds.
const (
	Wrong        Kind = "wrong"         // the rule means nothing
	Unreachable  Kind = "unreachable"   // earlier rules decide about every request that it is for
	Shadowed     Kind = "shadowed"      // an earlier rule decides about some of them
	OpenAbove    Kind = "open-above"    // an anonymous rule lets in what it is for
	NotCanonical Kind = "not-canonical" // the path is another way to write a path
	Unknown      Kind = "unknown"       // the directory does not have what it names
	Open         Kind = "open"          // settings of another guard leave something open
)

// Rules returns what is wrong with the rules of a file, without anything else than the file.
func Rules(ctx context.Context, f *guardfile.File) []Finding {
	var all []Finding
	for _, warning := range f.Warnings {
		all = append(all, Finding{Kind: Open, What: warning.What, Fix: warning.Fix})
	}
	for _, api := range f.APIs {
		ctx, stop := context.WithCancel(ctx)
		cfg := f.Config(api)
		cfg.StateDir = "" // whose keys are of no use here
		g, err := guard.New(ctx, cfg)
		if err != nil {
			all = append(all, Finding{Kind: Wrong, Host: api.Host, What: strings.TrimPrefix(err.Error(), "guard: ")})
		}
		all = append(all, rulesOf(api, g)...)
		all = append(all, unprovable(f, api)...)
		stop()
	}
	return all
}

// unprovable finds rules that demand a bound token where no proof of one is ever there.
func unprovable(f *guardfile.File, api guardfile.API) (all []Finding) {
	certificates := f.TLS != nil && f.TLS.AskClients || f.ClientCertificate != "" || f.Mode == guardfile.ModeExtAuthz && f.Dialect == guardfile.DialectGRPC
	if certificates || len(api.Origins) > 0 {
		return nil
	}
	for i, rule := range api.Rules {
		if rule.Bound {
			all = append(all, Finding{
				Kind: Wrong, Host: api.Host, Rule: rule.Path, Line: api.Places[i].Line,
				What: "the rule demands a token that is bound to its client, and nothing lets a client prove that it has the key",
				Fix:  "Write origins, for tokens that are bound by DPoP or come in signed requests, or let the guard see certificates: askClients of tls, or clientCertificate.",
			})
		}
	}
	return all
}

func rulesOf(api guardfile.API, g *guard.Guard) []Finding {
	var all []Finding
	earlier := map[bool][]rule{} // by whether they are shadows, which decide among themselves
	for i, settings := range api.Rules {
		found := func(kind Kind, fix, what string, args ...any) {
			all = append(all, Finding{Kind: kind, Host: api.Host, Rule: settings.Path, Line: api.Places[i].Line, What: fmt.Sprintf(what, args...), Fix: fix})
		}
		if g != nil {
			counts := settings
			counts.Shadow = false
			if _, err := g.Policy([]guard.Rule{counts}); err != nil {
				found(Wrong, canonicalFix(settings.Path), "%s", strings.TrimPrefix(err.Error(), "guard: "))
				continue
			}
		}
		if plain := canonical(settings.Path); plain != settings.Path {
			found(NotCanonical, "Write "+plain+".", "the path is another way to write %s, which a reader may take for another rule's", plain)
		}
		one := rule{settings, segmentsOf(settings.Path), api.Places[i].Line}
		one.compare(earlier[settings.Shadow], found)
		earlier[settings.Shadow] = append(earlier[settings.Shadow], one)
	}
	return all
}

// canonical returns a path as it is best written: the guard reads /a/ as it does /a.
func canonical(p string) string {
	if p == "/" {
		return p
	}
	return strings.TrimRight(p, "/")
}

// canonicalFix says how a path is written that is refused, if it can be.
func canonicalFix(p string) string {
	decoded, err := url.PathUnescape(p)
	if err != nil {
		decoded = p
	}
	decoded = path.Clean("/" + strings.ReplaceAll(decoded, `\`, "/"))
	if decoded == p || strings.ContainsAny(decoded, ";?#%") {
		return ""
	}
	return "If the path " + decoded + " is meant, write that."
}

// A rule is one of a file, with its path in pieces.
type rule struct {
	guard.Rule
	path segments
	line int
}

// segments are a path as guard reads it: an empty segment is any one.
type segments struct {
	parts []string
	below bool
}

func segmentsOf(p string) segments {
	var s segments
	trimmed := strings.Trim(p, "/")
	if trimmed == "*" || strings.HasSuffix(trimmed, "/*") {
		s.below = true
		trimmed = strings.TrimSuffix(strings.TrimSuffix(trimmed, "*"), "/")
	}
	if trimmed == "" {
		return s
	}
	for part := range strings.SplitSeq(trimmed, "/") {
		if strings.HasPrefix(part, "{") {
			part = ""
		}
		s.parts = append(s.parts, part)
	}
	return s
}

// covers reports whether every path of other is one of s.
func (s segments) covers(other segments) bool {
	if len(s.parts) > len(other.parts) || !s.below && (other.below || len(s.parts) != len(other.parts)) {
		return false
	}
	for i, part := range s.parts {
		if part != "" && part != other.parts[i] {
			return false
		}
	}
	return true
}

// meets reports whether a path is one of both.
func (s segments) meets(other segments) bool {
	for i := range min(len(s.parts), len(other.parts)) {
		if a, b := s.parts[i], other.parts[i]; a != "" && b != "" && a != b {
			return false
		}
	}
	return len(s.parts) == len(other.parts) || len(s.parts) < len(other.parts) && s.below || len(other.parts) < len(s.parts) && other.below
}

// methods are those that a rule is for.
func (r *rule) methods() []string {
	if len(r.Methods) == 0 {
		return []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
	}
	return r.Methods
}

// compare finds what earlier rules leave of this one.
func (r *rule) compare(earlier []rule, found func(kind Kind, fix, what string, args ...any)) {
	left := r.methods()
	var open, taken, before *rule
	for i := range earlier {
		e := &earlier[i]
		common := slices.ContainsFunc(e.methods(), func(m string) bool { return slices.Contains(r.methods(), m) })
		if !common || !e.path.meets(r.path) {
			continue
		}
		if e.Anonymous && !r.Anonymous && open == nil && (e.path.covers(r.path) || !r.path.covers(e.path)) {
			open = e
		}
		if !e.path.covers(r.path) {
			continue
		}
		if before == nil {
			before = e
		}
		remaining := slices.DeleteFunc(slices.Clone(left), func(m string) bool { return slices.Contains(e.methods(), m) })
		if len(remaining) < len(left) && taken == nil && !sameRights(e.Rule, r.Rule) {
			taken = e
		}
		left = remaining
	}
	const order = "Put the rule before that one, or take one of them out."
	switch {
	case open != nil:
		found(OpenAbove, order, "the rule for %q (line %d) is above it and lets everybody in, also to paths of this rule", open.Path, open.line)
	case len(left) == 0:
		found(Unreachable, order, "the rule is never reached: the rule for %q (line %d), or several, decide about every request before it", before.Path, before.line)
	case taken != nil:
		found(Shadowed, order, "the rule decides about %s only: about the other methods the rule for %q (line %d) decides, which is above it and asks for something else", strings.Join(left, ", "), taken.Path, taken.line)
	}
}

// sameRights reports whether two rules let in the same callers.
func sameRights(a, b guard.Rule) bool {
	return a.Anonymous == b.Anonymous && a.Bound == b.Bound && a.Caller == b.Caller && slices.Equal(a.Roles, b.Roles) && slices.Equal(a.AllRoles, b.AllRoles) && slices.Equal(a.Scopes, b.Scopes) &&
		slices.Equal(a.Clients, b.Clients) && slices.Equal(a.Principals, b.Principals) && slices.Equal(a.Tenants, b.Tenants)
}
