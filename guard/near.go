package guard

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// Near misses: what a refused value would have been, but for a detail that is
// easy to overlook. All of it is for operators.

// nearIssuer compares an issuer with those that are trusted. near is part of a
// sentence and may be empty; fix says what to do.
func (g *Guard) nearIssuer(iss string) (near, fix string) {
	fix = "Ask the authority this API trusts for the token, or correct the API's Authority setting."
	for _, trusted := range g.issuers {
		switch name := trusted.called(); {
		case iss == "":
			return "", fix
		case strings.TrimRight(iss, "/") == strings.TrimRight(name, "/"):
			return ", which differs from " + name + " by a slash at its end", "Let the authority write its issuer as this API has it: issuers are compared exactly."
		case strings.EqualFold(iss, name):
			return ", which differs from " + name + " by case", "Let the authority write its issuer as this API has it: issuers are compared exactly."
		}
	}
	for _, trusted := range g.issuers {
		if near, fix, ok := trusted.misses(iss); ok {
			return near, fix
		}
	}
	return "", fix
}

// misses reports whether iss is of the same tenant or the same authority as
// the issuer.
func (i *issuer) misses(iss string) (near, fix string, ok bool) {
	name := i.called()
	theirs, err := url.Parse(iss)
	ours, wrong := url.Parse(name)
	if err != nil || wrong != nil || theirs.Host == "" {
		return "", "", false
	}
	tenant := guidIn(strings.ToLower(iss))
	sameTenant := i.tenant == "" || tenant == i.tenant
	same := sameAuthority(token.Origin(theirs), token.Origin(ours))
	version := "1.0"
	if strings.HasSuffix(iss, "/v2.0") {
		version = "2.0"
	}
	switch {
	case tenant == "":
		return "", "", false
	case sameTenant && same && version != i.version:
		return ", the same tenant's version " + version + " issuer", fmt.Sprintf("Set Authority, which trusts the issuers of both versions, or add this one to Issuers. "+
			"Or let the registration of this API ask for tokens of version %s (requestedAccessTokenVersion).", i.version), true
	case sameTenant && !same:
		return ", the same tenant's issuer at another address", "Write the host and port of the token's issuer into the Authority setting of this API: " +
			oneLine(token.Origin(theirs), maxShown) + ". An authority issues under one name, whichever it is reached by.", true
	case same:
		return ", another tenant's issuer at the same authority", "Ask for the token in the tenant of this API, or let the API trust the other tenant: Authority, or Issuers and Tenants.", true
	}
	return "", "", false
}

// sameAuthority reports whether two origins are of one authority. Entra's
// version 1.0 tokens have an issuer on a host of its own.
func sameAuthority(a, b string) bool {
	if a == b {
		return true
	}
	cloudA, isA := entraCloud(a)
	cloudB, isB := entraCloud(b)
	return isA && isB && cloudA == cloudB
}

// Names of Microsoft Graph, for which a token is when its client has named no
// API at all.
var graphAudiences = []string{"00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com"}

// nearAudience compares the values of aud with those of this API. near is part
// of a sentence and may be empty; fix says what to do.
func (in *inspection) nearAudience(values []string) (near, fix string) {
	for _, value := range values {
		for _, ours := range in.guard.cfg.Audience {
			if near, fix := missedAudience(value, ours); near != "" {
				return near, fix
			}
		}
	}
	for _, value := range values {
		if near, fix := in.otherAudience(value); fix != "" {
			return near, fix
		}
	}
	return "", "Ask for a token for this API: its identifier URI or application id followed by /.default as scope."
}

// missedAudience returns in which detail an audience differs from one of ours.
func missedAudience(value, ours string) (near, fix string) {
	switch {
	case value == "":
		return "", ""
	case strings.EqualFold(value, ours) && isGUID(strings.ToLower(ours)):
		return ", which is the application id in upper case", "Ask for the API by its application id in lower case, or by its identifier URI."
	case strings.EqualFold(value, ours):
		return ", which differs from " + ours + " by case", "Write the URI the same way in the API's registration, in its Audience setting and in what clients ask for: audiences are compared exactly."
	case strings.TrimRight(value, "/") == strings.TrimRight(ours, "/"):
		return ", which differs from " + ours + " by a slash at its end", "Ask for the API without the slash at the end, or list the audience in Audience as the token has it."
	case strings.EqualFold(value+"/.default", ours):
		return ", and " + ours + " is a scope", "Leave /.default out of Audience: it belongs to what clients ask for."
	}
	return "", ""
}

// otherAudience tells the usual mistakes apart: the wrong resource was asked
// for, or the API knows itself by its other name only. There is no fix if value
// is none of them.
func (in *inspection) otherAudience(value string) (near, fix string) {
	ver, client := in.textOf("ver"), in.textOf("azp")
	if client == "" {
		client = in.textOf("appid")
	}
	switch isURI := strings.Contains(value, "://"); {
	case value == "":
		return "", ""
	case slices.Contains(graphAudiences, strings.TrimRight(value, "/")):
		return ", which is Microsoft Graph", "Name this API in the scope that the client asks for, such as api://orders/.default: without an API, the token is for Microsoft Graph."
	case value == client:
		return ", which is the client itself", "Ask for this API in place of the client's own id. What stands in aud is who the token is for."
	case isURI && ver == "2.0":
		return "", "A v2.0 token carries the API's application id as aud, never a URI such as this: list the URI in Audience if your authority does otherwise."
	case isURI && in.guard.audience[strings.TrimPrefix(value, "api://")]:
		return ", which names this API by its URI", "List the URI in Audience beside the application id: version 1.0 tokens carry the URI that the client asked for, version 2.0 tokens the application id."
	case isURI && in.guard.lacks(isURIText):
		return ", which is a URI, and Audience holds the application id alone", "If it is an identifier URI of this API, list it in Audience beside the application id: version 1.0 tokens carry the URI that the client asked for, version 2.0 tokens the application id. " + sameResource
	case !isURI && in.guard.audience["api://"+value]:
		return ", which names this API by its application id", "List the application id in Audience beside the URI: version 2.0 tokens always carry it."
	case !isURI && isGUID(value) && in.guard.lacks(isGUID):
		return ", which is an application id, and Audience holds URIs alone", "If it is the application id of this API, list it in Audience beside the URI: version 2.0 tokens always carry it. " + sameResource
	}
	return "", ""
}

const sameResource = "If not, the token was issued for another API."

// lacks reports whether no audience of the configuration is of a kind.
func (g *Guard) lacks(kind func(string) bool) bool { return !slices.ContainsFunc(g.cfg.Audience, kind) }

func isURIText(s string) bool { return strings.Contains(s, "://") }

// textOf returns a claim that is a string, or nothing.
func (in *inspection) textOf(name string) string {
	v, _ := in.token.Claims.Get(name)
	s, _ := v.String()
	return s
}

// audiences returns the values of aud, as far as they are strings.
func audiences(v token.Value) []string {
	if single, ok := v.String(); ok {
		return []string{single}
	}
	values, _ := v.Strings()
	return values
}

// unmatched returns the refusal of a request that no rule is for, with the
// rule that it misses by little.
func (p *Policy) unmatched(r *Request, reason Reason) *refusal {
	path, ok := canonicalPath(r.Path)
	if !ok {
		return fail(reason, "", "%s", pathFault(r.Path))
	}
	const detail = "no rule is for %s %q"
	method, quoted := oneLine(r.Method, maxMethod), shownPath(path)
	for i := range p.routes {
		if route := &p.routes[i]; !route.rule.Shadow && route.pattern.match(path, p.guard.cfg.IgnoreCase) {
			return fail(reason, "Add a rule for this method, or the method to the rule that is there, or correct the request.",
				detail+": the rule for %q is for %s", method, quoted, route.rule.Path, strings.Join(route.rule.Methods, ", "))
		}
	}
	for i := range p.routes {
		switch rule, pattern := p.routes[i].rule.Path, p.routes[i].pattern; {
		case p.routes[i].rule.Shadow:
		case pattern.match(path, true):
			return fail(reason, "Write the path as the rule has it, or set IgnoreCase if the server behind the guard ignores case.",
				detail+": it differs from the rule for %q by case", method, quoted, rule)
		case len(pattern.segments) > 0 && len(path) > 1 && strings.HasSuffix(strings.TrimSuffix(rule, "/"), strings.TrimSuffix(path, "/")):
			return fail(reason, "Let the proxy before this API pass the whole path on, or write the rule for what arrives here.",
				detail+": the rule for %q has more before it, which a proxy may have removed", method, quoted, rule)
		case len(pattern.segments) > 0 && strings.HasSuffix(strings.TrimSuffix(path, "/"), strings.TrimSuffix(rule, "/")):
			return fail(reason, "Let the proxy before this API remove what it has put there, or write the rule for what arrives here.",
				detail+": it has more before the path of the rule for %q, which a proxy may have added", method, quoted, rule)
		}
	}
	return fail(reason, "", detail, method, quoted)
}

// pathFault says why a path is not canonical.
func pathFault(raw string) string {
	path := raw
	if unescaped, err := url.PathUnescape(raw); err == nil {
		path = unescaped
	}
	switch {
	case raw == "" || raw[0] != '/':
		return "the path does not begin with a slash"
	case strings.Contains(raw, "%") && !cleanEscapes(raw):
		return "the path hides a separator in an escape (%2f, %5c, %2e, %3b and their like), or has an escape that is none"
	case strings.Contains(path, "//"):
		return "the path has two slashes in a row"
	case strings.Contains(path+"/", "/../") || strings.Contains(path+"/", "/./"):
		return "the path has a dot segment"
	case strings.ContainsAny(path, `;\?#`):
		return "the path has a semicolon, a backslash, a question mark or a number sign"
	default:
		return "the path has a control character, invalid UTF-8 or an escape that is encoded twice"
	}
}
