package guard

import (
	"slices"
	"strings"
	"time"
)

// expiry requires a time after which the token is no longer accepted.
func (in *inspection) expiry() *refusal {
	v, _ := in.token.Claims.Get("exp")
	exp, ok := v.Integer()
	if !ok || exp == 0 {
		return fail(ExpInvalid, "", "exp is %s, not a positive integer", shown(v))
	}
	in.exp = exp
	if in.now >= exp+in.skew() {
		return fail(TokenExpired, "Get a new token: a client that caches tokens must renew them before they expire.",
			"it expired at %s, it is %s", clock(exp), clock(in.now))
	}
	return nil
}

// start looks at nbf and iat.
func (in *inspection) start() *refusal {
	for _, name := range []string{"nbf", "iat"} {
		v, present := in.token.Claims.Get(name)
		if !present {
			continue
		}
		reason := TokenNotYetValid
		if name == "iat" {
			reason = IatInFuture
		}
		at, ok := v.Integer()
		if !ok {
			return fail(ClaimsInvalid, "", "%s is %s, not an integer", name, shown(v))
		}
		if at > in.now+in.skew() {
			return fail(reason, "Correct the clocks of the authority and of this machine.", "%s is %s, it is %s", name, clock(at), clock(in.now))
		}
		if name == "nbf" && at > in.exp {
			return fail(reason, "", "nbf is after exp")
		}
		if name == "iat" {
			in.iat = at
		}
	}
	return nil
}

func (in *inspection) lifetime() *refusal {
	from := in.iat
	if from == 0 {
		from = in.now
	}
	if life, most := in.exp-from, int64(in.guard.cfg.MaxLifetime/time.Second); life > most {
		return fail(LifetimeTooLong, "Shorten the lifetime at the authority, or raise MaxLifetime.", "it is valid for %d s, and at most %d s are allowed", life, most)
	}
	return nil
}

func (in *inspection) skew() int64 { return int64(in.guard.cfg.Skew / time.Second) }

// audience requires that the token was issued for this API.
func (in *inspection) audience() *refusal {
	v, _ := in.token.Claims.Get("aud")
	single, ok := v.String()
	if ok && in.guard.audience[single] {
		return nil
	}
	if values, ok := v.Strings(); ok {
		for _, audience := range values {
			if in.guard.audience[audience] {
				return nil
			}
		}
	}
	near, fix := in.nearAudience(audiences(v))
	return fail(AudienceMismatch, fix, "aud is %s%s; this API is %s", shown(v), near, strings.Join(in.guard.cfg.Audience, ", "))
}

// version requires that ver and the form of the issuer agree.
func (in *inspection) version() *refusal {
	v, _ := in.token.Claims.Get("ver")
	if !isString(v, in.issuer.version) {
		return fail(IssuerVersionMismatch, "", "ver is %s, but the issuer issues version %s", shown(v), in.issuer.version)
	}
	in.caller.Version = in.issuer.version
	return nil
}

// tenantOf requires that tid is the tenant of the issuer, and one allowed.
func (in *inspection) tenantOf() *refusal {
	v, _ := in.token.Claims.Get("tid")
	if tid, ok := v.String(); !ok || !isGUID(tid) || tid != in.tenant {
		return fail(TenantMismatch, "", "tid is %s, but the issuer is that of tenant %s", shown(v), in.tenant)
	}
	if !listed(in.guard.cfg.Tenants, in.tenant) {
		return fail(TenantNotAllowed, "Add the tenant to Tenants if its applications should be able to call this API.", "the tenant %s is not on the list", in.tenant)
	}
	in.caller.TenantID, in.caller.Issuer = in.tenant, in.iss
	return nil
}

// accessToken tells an access token from an ID token, which may have the same
// audience when a web application and its API share a registration.
func (in *inspection) accessToken() *refusal {
	var ids []string
	for _, name := range []string{"appid", "azp"} {
		v, present := in.token.Claims.Get(name)
		if !present {
			continue
		}
		id, ok := v.String()
		if !ok || id == "" {
			return fail(ClaimsInvalid, "", "%s is %s, not an application id", name, shown(v))
		}
		ids = append(ids, id)
	}
	switch {
	case len(ids) == 0:
		return fail(NotAccessToken, "Send the access token, not the ID token.", "neither appid nor azp names a client")
	case len(ids) == 2 && ids[0] != ids[1]:
		return fail(ClaimsInvalid, "", "appid and azp name different clients")
	}
	if _, present := in.token.Claims.Get("nonce"); present {
		return fail(NotAccessToken, "Send the access token, not the ID token.", "it has a nonce, as ID tokens have")
	}
	in.caller.ClientID = ids[0]
	return nil
}

// callerOf reads who calls and what they may, and refuses contradictions.
func (in *inspection) callerOf() *refusal {
	if in.token.Claims.Endless() {
		return fail(ClaimsInvalid, "", "%s", endlessNumber)
	}
	c := &in.caller
	var scp, scope, uti, jti string
	for _, claim := range []struct {
		name     string
		value    *string
		required bool
	}{
		{"oid", &c.ObjectID, !in.guard.cfg.ObjectIDOptional}, {"sub", &c.Subject, true},
		{"idtyp", &in.idtyp, false}, {"scp", &scp, false}, {"scope", &scope, false},
		{"uti", &uti, false}, {"jti", &jti, false},
	} {
		v, present := in.token.Claims.Get(claim.name)
		if !present && !claim.required {
			continue
		}
		text, ok := v.String()
		if !ok || text == "" && (claim.required || claim.name == "idtyp" || claim.name == "oid") {
			return fail(ClaimsInvalid, "", "%s is %s, not the string it must be", claim.name, shown(v))
		}
		*claim.value = text
	}
	if v, present := in.token.Claims.Get("roles"); present {
		roles, ok := v.Strings()
		if !ok {
			return fail(ClaimsInvalid, "", "roles is %s, not an array of strings", shown(v))
		}
		c.Roles = roles
	}
	if v, present := in.token.Claims.Get("xms_cc"); present {
		known, _ := v.Strings()
		in.capable = slices.ContainsFunc(known, func(s string) bool { return strings.EqualFold(s, capability) })
	}
	c.Scopes = strings.Fields(scp + " " + scope)
	in.scoped = len(c.Scopes) > 0
	if in.idtyp == "app" && in.scoped {
		return fail(ClaimsInvalid, "", "idtyp says application, but the token has a scope, which only users' tokens have")
	}
	if c.TokenID = uti; uti == "" {
		c.TokenID = jti
	}
	if c.Kind = kindOf(in.idtyp, in.scoped, c.ObjectID, c.Subject); c.ObjectID == "" && in.idtyp == "" && !in.scoped {
		c.Kind = CallerApplication // a user always has an oid, and users' tokens a scope
	}
	c.Expires = time.Unix(in.exp, 0)
	if in.iat != 0 {
		c.IssuedAt = time.Unix(in.iat, 0)
	}
	return nil
}

// capability is what a client says of itself that understands claims challenges.
const capability = "cp1"

func clock(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }
