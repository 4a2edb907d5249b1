package guard_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
)

// number is a JSON number as it is written.
func number(text string) json.RawMessage { return json.RawMessage(text) }

func TestTimes(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	at := func(c claims) string { return a.token(t, c) }
	second := now.Unix()
	cases := []bearerCase{
		{"C01 no exp", at(claims{"exp": nil}), badToken(guard.ExpInvalid)},
		{"C03 expired a second beyond the skew", at(claims{"exp": second - 61}), badToken(guard.TokenExpired)},
		{"C03 expired by exactly the skew", at(claims{"exp": second - 60}), badToken(guard.TokenExpired)},
		{"C03 expired within the skew", at(claims{"iat": second - 3600, "nbf": second - 3600, "exp": second - 59}), allowed},
		{"C04 nbf beyond the skew", at(claims{"nbf": second + 61}), badToken(guard.TokenNotYetValid)},
		{"C04 nbf within the skew", at(claims{"nbf": second + 60}), allowed},
		{"C04 nbf after exp", at(claims{"nbf": second, "exp": second - 30}), badToken(guard.TokenNotYetValid)},
		{"C04 iat beyond the skew", at(claims{"iat": second + 61}), badToken(guard.IatInFuture)},
		{"C04 iat within the skew", at(claims{"iat": second + 60}), allowed},
		{"C04 iat as string", at(claims{"iat": "1"}), badToken(guard.ClaimsInvalid)},
		{"C04 nbf null", at(claims{"nbf": number("null")}), badToken(guard.ClaimsInvalid)},
		{"no nbf and no iat", at(claims{"nbf": nil, "iat": nil}), allowed},
		{"C05 ten years", at(claims{"exp": second + 10*365*86400}), badToken(guard.LifetimeTooLong)},
		{"C05 ten years without iat", at(claims{"iat": nil, "exp": second + 10*365*86400}), badToken(guard.LifetimeTooLong)},
		{"C05 29 hours and a second", at(claims{"iat": second, "exp": second + 29*3600 + 1}), badToken(guard.LifetimeTooLong)},
		{"C05 29 hours", at(claims{"iat": second, "exp": second + 29*3600}), allowed},
	}
	for _, exp := range []string{
		`"1795442243"`, `1795442243.9`, `1.795442243e9`, `1e12`, `-1`, `0`, `null`, `true`, `99999999999999999999`, `1e400`,
		`9007199254740992`, `[1795442243]`, `{}`, `1795442243.0`, `-0`,
	} {
		cases = append(cases, bearerCase{"C02 exp " + exp, at(claims{"exp": number(exp)}), badToken(guard.ExpInvalid)})
	}
	run(t, newGuard(t, a.config()), cases)
}

func TestAudience(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	var cases []bearerCase
	for _, aud := range []any{
		nil, "", []string{}, []string{""}, claims{}, 5, []any{apiID, 5}, number("null"), true, []any{[]string{apiID}}, // C06
		"api://customers", "00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com", // C07 C19
		apiURI + ".evil", apiURI + "/x", "api://order", strings.ToUpper(apiID), "api%3A%2F%2Forders", "API://orders", apiURI + "//", " " + apiURI, apiID + " ", apiID + "/", // C08
		[]string{"api://customers"}, "api://" + apiID,
	} {
		cases = append(cases, bearerCase{"C06 C07 C08 aud " + text(t, aud), a.token(t, claims{"aud": aud}), badToken(guard.AudienceMismatch)})
	}
	cases = append(cases,
		bearerCase{"C09 an array with ours", a.token(t, claims{"aud": []string{"api://customers", apiID}}), allowed},
		bearerCase{"the URI", a.token(t, claims{"aud": apiURI}), allowed},
		bearerCase{"the URI with a slash", a.token(t, claims{"aud": apiURI + "/"}), allowed},
	)
	run(t, newGuard(t, a.config()), cases)

	cfg := a.config()
	cfg.Audience = []string{apiID}
	run(t, newGuard(t, cfg), []bearerCase{
		{"C10 a v2.0 token with the URI", a.token(t, claims{"aud": apiURI}), badToken(guard.AudienceMismatch)},
		{"the id in a v1.0 token", a.token(t, a.v1Claims(), claims{"aud": apiID}), allowed},
	})
}

func TestIssuer(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	var cases []bearerCase
	for _, iss := range []any{
		nil, "", 5, []string{a.v2}, []string{a.v2, "https://evil.test"}, claims{}, // C12
		a.v2 + "/", strings.TrimSuffix(a.v1, "/"), strings.ToUpper(a.v2), strings.Replace(a.v2, "authority", "Authority", 1), // C11
		strings.Replace(a.v2, "https", "http", 1), strings.Replace(a.v2, ".test", ".test:443", 1), strings.Replace(a.v2, "https://", "https://evil.test@", 1),
		strings.Replace(a.v2, "a", "а", 1), strings.Replace(a.v2, ".test", ".test.evil", 1), a.v2 + " ", " " + a.v2, a.v2 + "\x00", a.v2 + "#", a.v2 + "?",
		"https://authority.test/", "https://authority.test", a.v2[:len(a.v2)-1], // C13
		strings.Replace(a.v2, tenant, otherTenant, 1), strings.Replace(a.v2, tenant, strings.ToUpper(tenant), 1),
		"https://authority.test/{tenantid}/v2.0", // C16
	} {
		cases = append(cases, bearerCase{"C11 C12 C13 C16 iss " + text(t, iss), a.token(t, claims{"iss": iss}), badToken(guard.IssuerUnknown)})
	}
	for _, ver := range []any{nil, "1.0", "2", 2.0, "", number("null"), "2.0 ", []string{"2.0"}} { // C17
		cases = append(cases, bearerCase{"C17 ver " + text(t, ver), a.token(t, claims{"ver": ver}), badToken(guard.IssuerVersionMismatch)})
	}
	cases = append(cases, bearerCase{"C17 ver 2.0 of the v1 issuer", a.token(t, a.v1Claims(), claims{"ver": "2.0"}), badToken(guard.IssuerVersionMismatch)})
	for _, tid := range []any{nil, otherTenant, "common", "{tenantid}", tenant + " ", strings.ToUpper(tenant), "", 7, []string{tenant}} { // C14 C15
		cases = append(cases, bearerCase{"C14 C15 tid " + text(t, tid), a.token(t, claims{"tid": tid}), badToken(guard.TenantMismatch)})
	}
	run(t, newGuard(t, a.config()), cases)
}

func TestManyTenants(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	of := func(iss, tid string) string {
		return a.token(t, claims{"iss": "https://authority.test/" + iss + "/v2.0", "tid": tid})
	}
	const third = "33333333-0a4e-4b8e-9c61-2d5e8f0a1b11"
	cfg := a.config()
	cfg.Authority = ""
	cfg.Issuers = []guard.Issuer{{Issuer: "https://authority.test/{tenantid}/v2.0", Keys: a.url + "/" + tenant + "/discovery/keys"}}
	cfg.Tenants = []string{tenant, strings.ToUpper(otherTenant)}
	run(t, newGuard(t, cfg), []bearerCase{
		{"a tenant on the list", of(tenant, tenant), allowed},
		{"the other tenant on the list", of(otherTenant, otherTenant), allowed},
		{"a tenant that is not", of(third, third), badToken(guard.TenantNotAllowed)},
		{"C14 iss of one, tid of the other", of(tenant, otherTenant), badToken(guard.TenantMismatch)},
		{"C15 no tid", a.token(t, claims{"tid": nil}), badToken(guard.TenantMismatch)},
		{"C15 common", of("common", "common"), badToken(guard.IssuerUnknown)},
		{"C16 the template itself", of("{tenantid}", "{tenantid}"), badToken(guard.IssuerUnknown)},
		{"a tenant in upper case", of(strings.ToUpper(tenant), tenant), badToken(guard.IssuerUnknown)},
		{"a tenant with a slash", of(tenant[:35]+"/", tenant), badToken(guard.IssuerUnknown)},
		{"two tenants", of(tenant+"/"+tenant, tenant), badToken(guard.IssuerUnknown)},
	})
}

func TestCaller(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	user := claims{"idtyp": "user", "scp": "Orders.Read", "sub": "pairwise"}
	cases := []bearerCase{
		{"C18 an ID token", a.token(t, claims{"azp": nil, "idtyp": nil, "nonce": "n"}), badToken(guard.NotAccessToken)},
		{"C18 an ID token without nonce", a.token(t, claims{"azp": nil, "idtyp": nil}), badToken(guard.NotAccessToken)},
		{"a nonce", a.token(t, claims{"nonce": "n"}), badToken(guard.NotAccessToken)},
		{"C21 appid and azp differ", a.token(t, claims{"appid": principalID}), badToken(guard.ClaimsInvalid)},
		{"appid and azp agree", a.token(t, claims{"appid": clientID}), allowed},
		{"azp is empty", a.token(t, claims{"azp": ""}), badToken(guard.ClaimsInvalid)},
		{"azp is a number", a.token(t, claims{"azp": 1}), badToken(guard.ClaimsInvalid)},
		{"no oid", a.token(t, claims{"oid": nil}), badToken(guard.ClaimsInvalid)},
		{"no sub", a.token(t, claims{"sub": nil}), badToken(guard.ClaimsInvalid)},
		{"oid is an array", a.token(t, claims{"oid": []string{principalID}}), badToken(guard.ClaimsInvalid)},
		{"C22 a user who has the role", a.token(t, user), missingRight(guard.WrongCallerKind)},
		{"C22 a user by scope alone", a.token(t, claims{"idtyp": nil, "scp": "x"}), missingRight(guard.WrongCallerKind)},
		{"C22 a user by the other name of scope", a.token(t, claims{"idtyp": nil, "scope": "x"}), missingRight(guard.WrongCallerKind)},
		{"a device", a.token(t, claims{"idtyp": "device"}), missingRight(guard.WrongCallerKind)},
		{"idtyp App", a.token(t, claims{"idtyp": "App"}), missingRight(guard.WrongCallerKind)},
		{"idtyp is an array", a.token(t, claims{"idtyp": []string{"app"}}), badToken(guard.ClaimsInvalid)},
		{"idtyp null", a.token(t, claims{"idtyp": number("null")}), badToken(guard.ClaimsInvalid)},
		{"C23 application and scope", a.token(t, claims{"scp": "Orders.Read"}), badToken(guard.ClaimsInvalid)},
		{"application and empty scope", a.token(t, claims{"scp": ""}), allowed},
		{"scp is an array", a.token(t, claims{"scp": []string{"x"}}), badToken(guard.ClaimsInvalid)},
		{"C31 oid differs from sub, no idtyp", a.token(t, claims{"idtyp": nil, "sub": "other"}), missingRight(guard.WrongCallerKind)},
		{"oid is sub, no idtyp", a.token(t, claims{"idtyp": nil}), allowed},
	}
	for _, cnf := range []any{claims{"x5t#S256": "abc"}, claims{"jkt": "abc"}, claims{}, "x", number("null")} { // C32
		cases = append(cases, bearerCase{"C32 cnf " + text(t, cnf), a.token(t, claims{"cnf": cnf}), badToken(guard.BindingMissing)})
	}
	run(t, newGuard(t, a.config()), cases)
}

func TestRoles(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cases := []bearerCase{
		{"C24 neither roles nor scopes", a.token(t, claims{"roles": nil}), missingRight(guard.RoleMissing)},
		{"no roles", a.token(t, claims{"roles": []string{}}), missingRight(guard.RoleMissing)},
		{"several roles", a.token(t, claims{"roles": []string{"Other", "Orders.Read"}}), allowed},
		{"C27 a scope of the same name", a.token(t, claims{"roles": nil, "idtyp": nil, "scp": "Orders.Read"}), missingRight(guard.WrongCallerKind)},
		{"C28 a hundred roles", a.token(t, claims{"roles": strings.Split(strings.Repeat("R ", 100)+"Orders.Read", " ")}), allowed},
		{"C28 five thousand roles", a.token(t, claims{"roles": strings.Split(strings.Repeat("R ", 5000)+"Orders.Read", " ")}), badToken(guard.TokenTooLarge)},
		{"C29 groups and wids", a.token(t, claims{"roles": nil, "groups": []string{"Orders.Read"}, "wids": []string{"Orders.Read"}}), missingRight(guard.RoleMissing)},
		{"C30 groups elsewhere", a.token(t, claims{"roles": nil, "hasgroups": true, "_claim_names": claims{"roles": "src1"},
			"_claim_sources": claims{"src1": claims{"endpoint": "https://evil.test/roles"}}}), missingRight(guard.RoleMissing)},
	}
	for _, roles := range []any{
		"Orders.Read", "Orders.Read Other", []any{[]string{"Orders.Read"}}, claims{"Orders.Read": true}, []any{"Orders.Read", nil}, 7, true, number("null"), // C25
	} {
		cases = append(cases, bearerCase{"C25 roles " + text(t, roles), a.token(t, claims{"roles": roles}), badToken(guard.ClaimsInvalid)})
	}
	for _, role := range []string{
		"orders.read", "ORDERS.READ", "Orders.Read ", " Orders.Read", "Orders.Read\x00", "Orders.Read\u200b", "Оrders.Read", "Orders.Réad", "Orders.Re\u0301ad", // C26
		"Orders.Read Other", "Orders.Rea", "Orders.Read.All", "Orders.*", "*", "", "Orders.Read,Other", "Orders.Read\r\nX-Evil: 1",
	} {
		cases = append(cases, bearerCase{"C26 C35 role " + text(t, role), a.token(t, claims{"roles": []string{role}}), missingRight(guard.RoleMissing)})
	}
	run(t, newGuard(t, a.config()), cases)
}

func TestRevoked(t *testing.T) { // C33
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	cutoff := now.Add(-time.Minute)
	cfg.Revoked = func(c guard.Caller) bool { return c.IssuedAt.Before(cutoff) || c.TokenID == "u-2" }
	g := newGuard(t, cfg)
	run(t, g, []bearerCase{
		{"issued before the cutoff", a.token(t, claims{"iat": now.Unix() - 61}), badToken(guard.TokenRevoked)},
		{"issued after", a.token(t), allowed},
		{"on the list", a.token(t, claims{"uti": "u-2"}), badToken(guard.TokenRevoked)},
	})
	cutoff = now
	run(t, g, []bearerCase{{"revoked after it was seen", a.token(t), badToken(guard.TokenRevoked)}})
}
