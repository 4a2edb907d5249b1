package clientauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

const exchangeAudience = "api://AzureADTokenExchange"

func federatedCredentials(issuer, subject, audience string) []directory.FederatedCredential {
	return []directory.FederatedCredential{{ID: "fic", Name: "ci", Issuer: issuer, Subject: subject, Audience: audience}}
}

// web is a documents of fixed answers that counts questions.
type web struct {
	mu      sync.Mutex
	answers map[string]string // by URL; missing: an error
	asked   map[string]int
	listed  []string // prefixes
	hang    atomic.Pointer[chan struct{}]
}

func (w *web) GetJSON(ctx context.Context, url string, _ int64) ([]byte, http.Header, error) {
	w.mu.Lock()
	w.asked[url]++
	body, ok := w.answers[url]
	w.mu.Unlock()
	if hang := w.hang.Load(); hang != nil {
		select {
		case <-*hang:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	if !ok {
		return nil, nil, errors.New("connection refused")
	}
	return []byte(body), nil, nil
}

func (w *web) Listed(url string) bool {
	for _, prefix := range w.listed {
		if strings.HasPrefix(url, prefix) {
			return true
		}
	}
	return false
}

func (w *web) set(url, body string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[url] = body
}

func (w *web) remove(url string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.answers, url)
}

func (w *web) count(url string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[url]
}

// publish puts up an issuer's metadata and keys.
func (w *web) publish(t testing.TB, issuer string, keys ...token.Key) {
	t.Helper()
	document, err := token.KeysDocument(keys)
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := json.Marshal(map[string]any{"issuer": issuer, "jwks_uri": keysURL(issuer), "response_types_supported": []string{"id_token"}})
	if err != nil {
		t.Fatal(err)
	}
	w.set(metadataURL(issuer), string(metadata))
	w.set(keysURL(issuer), string(document))
}

func metadataURL(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
}

func keysURL(issuer string) string { return strings.TrimSuffix(issuer, "/") + "/keys" }

const (
	clusterIssuer = "https://oidc.cluster.test"
	otherIssuer   = "https://oidc.other.test"
	workload      = "system:serviceaccount:orders:client"
)

// federatedBench is a bench whose client trusts the cluster, and whose issuers are up. The
// cluster signs with the first key, the other issuer with the second, under the same id.
func federatedBench(t testing.TB) (*bench, *web) {
	t.Helper()
	b := newBench(t)
	w := &web{answers: map[string]string{}, asked: map[string]int{}}
	b.v.foreign.documents = w
	b.app.Federated = federatedCredentials(clusterIssuer, workload, exchangeAudience)
	b.app.Federated = append(b.app.Federated, directory.FederatedCredential{ID: "second", Issuer: otherIssuer, Subject: "orders", Audience: exchangeAudience})
	w.publish(t, clusterIssuer, b.key("k1", 0))
	w.publish(t, otherIssuer, b.key("k1", 1))
	return b, w
}

func (b *bench) key(id string, n int) token.Key {
	return token.Key{ID: id, Use: "sig", KeyType: "RSA", Public: &b.keys[n].PublicKey}
}

func (b *bench) federatedHeader() object { return object{"alg": "RS256", "typ": "JWT", "kid": "k1"} }

func (b *bench) federatedClaims() object {
	now := b.clock.Now()
	return object{
		"iss": clusterIssuer, "sub": workload, "aud": []string{exchangeAudience},
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

func (b *bench) federated() string {
	return b.sign(b.federatedHeader(), b.federatedClaims(), b.keys[0])
}

// One platform token serves for as long as it lives, however often it is presented.
func TestFederatedTokenIsAcceptedAgainAndAgain(t *testing.T) {
	t.Parallel()
	b, w := federatedBench(t)
	b.app.StrictAssertions = true
	raw := b.federated()
	for range 1000 {
		proven, p := b.verify(raw, testids.Client)
		if p != nil {
			t.Fatalf("%v (%v)", p, p.Cause)
		}
		if proven.Credential != ByFederation || proven.CredentialID != "fic" || proven.replayed {
			t.Fatalf("proof is %+v", proven)
		}
	}
	if n := w.count(keysURL(clusterIssuer)); n != 1 {
		t.Errorf("keys were fetched %d times, want once", n)
	}
}

func TestFederatedTokensAccepted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ header, claims object }{
		"audience as a string":   {nil, object{"aud": exchangeAudience}},
		"several audiences":      {nil, object{"aud": []string{"sts.other.test", exchangeAudience}}},
		"no key id":              {object{"kid": nil}, nil},
		"type of access tokens":  {object{"typ": "at+jwt"}, nil},
		"no type":                {object{"typ": nil}, nil},
		"no start":               {nil, object{"nbf": nil, "iat": nil}},
		"long life":              {nil, object{"exp": time.Date(2026, 11, 24, 15, 5, 6, 0, time.UTC).Unix()}},
		"long life, begun":       {nil, object{"iat": nil, "nbf": time.Date(2026, 11, 22, 14, 5, 6, 0, time.UTC).Unix()}},
		"long life, no start":    {nil, object{"iat": nil, "nbf": nil, "exp": time.Date(2026, 11, 24, 15, 5, 6, 0, time.UTC).Unix()}},
		"platform's claims":      {nil, object{"kubernetes.io": object{"namespace": "orders", "pod": object{"name": "a"}}}},
		"expired within skew":    {nil, object{"exp": time.Date(2026, 11, 23, 14, 0, 7, 0, time.UTC).Unix(), "nbf": nil}},
		"jti that comes again":   {nil, object{"jti": "same"}},
		"client id in capitals ": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := federatedBench(t)
			id := testids.Client
			if strings.Contains(name, "capitals") {
				id = strings.ToUpper(id)
			}
			if _, p := b.verify(b.sign(b.federatedHeader().with(tt.header), b.federatedClaims().with(tt.claims), b.keys[0]), id); p != nil {
				t.Errorf("%v (%v)", p, p.Cause)
			}
		})
	}
}

// A flexible credential trusts every token whose claims its expression matches, and no other
// one. Audience, issuer, signature and times count as for any.
func TestFlexibleCredentials(t *testing.T) {
	t.Parallel()
	const expression = "claims['sub'] matches 'repo:contoso/orders:*' and claims['job_workflow_ref'] eq 'contoso/deploy.yml'"
	right := object{"sub": "repo:contoso/orders:ref:refs/heads/main", "job_workflow_ref": "contoso/deploy.yml"}
	for name, tt := range map[string]struct {
		expression string
		claims     object
		code       int // 0: a proof
	}{
		"any branch":                   {expression, right, 0},
		"another branch":               {expression, right.with(object{"sub": "repo:contoso/orders:pull_request"}), 0},
		"another repository":           {expression, right.with(object{"sub": "repo:contoso/orders-evil:ref"}), 700213},
		"another workflow":             {expression, right.with(object{"job_workflow_ref": "evil/deploy.yml"}), 700213},
		"no workflow":                  {expression, right.with(object{"job_workflow_ref": nil}), 700213},
		"a workflow that is no text":   {expression, right.with(object{"job_workflow_ref": []string{"contoso/deploy.yml"}}), 700213},
		"another case":                 {expression, right.with(object{"sub": "Repo:contoso/orders:x"}), 700213},
		"the expression as subject":    {expression, right.with(object{"sub": expression}), 700213},
		"a subject with quotes":        {"claims['sub'] eq 'x'", object{"sub": "x' and claims['sub'] eq 'x"}, 700213},
		"a subject that is empty":      {expression, right.with(object{"sub": ""}), 50027},
		"another audience":             {expression, right.with(object{"aud": "api://orders"}), 700212},
		"another issuer":               {expression, right.with(object{"iss": "https://evil.test"}), 700211},
		"one that has expired":         {expression, right.with(object{"exp": time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).Unix(), "iat": nil, "nbf": nil}), 700024},
		"everything":                   {"claims['sub'] matches '*'", object{"sub": "x"}, 0},
		"an expression that is broken": {"claims['sub'] matches '*", object{"sub": "x"}, 700213},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := federatedBench(t)
			b.app.Federated = []directory.FederatedCredential{{ID: "flexible", Issuer: clusterIssuer, Expression: tt.expression, Audience: exchangeAudience}}
			proven, p := b.verify(b.sign(b.federatedHeader(), b.federatedClaims().with(tt.claims), b.keys[0]), testids.Client)
			switch {
			case tt.code == 0 && (p != nil || proven.CredentialID != "flexible"):
				t.Errorf("got %+v, %v", proven, p)
			case tt.code != 0 && (p == nil || p.Code != tt.code):
				t.Errorf("got %v, want %d", p, tt.code)
			}
		})
	}
}

// Of a stranger's key, an expression makes no friend's.
func TestFlexibleCredentialsCheckSignatures(t *testing.T) {
	t.Parallel()
	b, _ := federatedBench(t)
	b.app.Federated = []directory.FederatedCredential{{ID: "flexible", Issuer: clusterIssuer, Expression: "claims['sub'] matches '*'", Audience: exchangeAudience}}
	if _, p := b.verify(b.sign(b.federatedHeader(), b.federatedClaims(), b.keys[1]), testids.Client); p == nil || p.Code != 700027 {
		t.Errorf("got %v, want 700027", p)
	}
}

// spellings are texts that people or software take for s, and that are not s.
func spellings(s string) []string {
	return []string{
		s + "/", s + " ", " " + s, s + "\x00", s + "\n", s + "%20", s + "?", s + "#", s + ".", s + "*", s[:len(s)-1], s[1:], s + s, s + ",x", "x," + s,
		strings.ReplaceAll(s, ":", "%3A"), strings.ReplaceAll(s, ":", "%3a"), strings.ReplaceAll(s, ":", "："), strings.ReplaceAll(s, "e", "е"), strings.ReplaceAll(s, "s", "ſ"),
		strings.ReplaceAll(s, "i", "ı"), strings.ReplaceAll(s, "e", "e\u0301"), strings.ReplaceAll(s, "c", "\u200bc"), strings.ReplaceAll(s, "t", "%74"), strings.ReplaceAll(s, "/", "\\/"), "*", ".*", "%", "",
		strings.ReplaceAll(s, "r", "r\u00ad"), "`" + s + "`", `"` + s + `"`, "'" + s + "'", s + ";", s + "&", s + "\t", "\ufeff" + s, s + "\u200d",
	}
}

// caseSpellings differ from s only by case.
func caseSpellings(s string) []string {
	return []string{strings.ToUpper(s), strings.ToUpper(s[:1]) + s[1:], s[:len(s)-1] + strings.ToUpper(s[len(s)-1:])}
}

func TestFederatedConfusionIsRefused(t *testing.T) {
	t.Parallel()
	cases := 0
	check := func(name string, header, claims object, signer int, codes ...int) {
		cases++
		t.Run(name, func(t *testing.T) {
			b, _ := federatedBench(t)
			b.wantRefused(t, b.sign(b.federatedHeader().with(header), b.federatedClaims().with(claims), b.keys[signer]), testids.Client, codes...)
		})
	}
	for _, field := range []struct {
		name, value    string
		code, caseCode int
	}{{"iss", clusterIssuer, 700211, 700211}, {"sub", workload, 700213, 7002138}, {"aud", exchangeAudience, 700212, 700212}} {
		for _, text := range spellings(field.value) {
			if text == field.value {
				continue
			}
			// What folds to the same letters without being the same text counts as case.
			check(fmt.Sprintf("%s %+q", field.name, text), nil, object{field.name: text}, 0, field.code, field.caseCode, 50027)
		}
		for _, text := range caseSpellings(field.value) {
			check(fmt.Sprintf("%s %q", field.name, text), nil, object{field.name: text}, 0, field.caseCode)
		}
	}
	for name, tt := range map[string]struct {
		header, claims object
		signer, code   int
	}{
		"other issuer's key for our issuer":     {nil, nil, 1, 700027},
		"our issuer's key for the other issuer": {nil, object{"iss": otherIssuer, "sub": "orders"}, 0, 700027},
		"other issuer's subject":                {nil, object{"sub": "orders"}, 0, 700213},
		"our subject at the other issuer":       {nil, object{"iss": otherIssuer}, 1, 700213},
		"unknown key id":                        {object{"kid": "k2"}, nil, 0, 700027},
		"empty key id, other key":               {object{"kid": ""}, nil, 1, 700027},
		"key id is a number":                    {object{"kid": 1}, nil, 0, 50027},
		"key id is a path":                      {object{"kid": "../k1"}, nil, 0, 700027},
		"key id with a NUL":                     {object{"kid": "k1\x00"}, nil, 0, 700027},
		"PS256":                                 {object{"alg": "PS256"}, nil, 0, 50027},
		"RS512":                                 {object{"alg": "RS512"}, nil, 0, 50027},
		"none":                                  {object{"alg": "none"}, nil, 0, 50027},
		"HS256":                                 {object{"alg": "HS256"}, nil, 0, 50027},
		"jwk":                                   {object{"jwk": object{"kty": "RSA"}}, nil, 0, 50027},
		"jku":                                   {object{"jku": keysURL(otherIssuer)}, nil, 1, 50027},
		"x5u":                                   {object{"x5u": "https://evil.test"}, nil, 0, 50027},
		"crit":                                  {object{"crit": []string{"x"}}, nil, 0, 50027},
		"expired":                               {nil, object{"exp": 1795442406, "nbf": nil}, 0, 700024},
		"no end":                                {nil, object{"exp": nil}, 0, 50027},
		"begins later":                          {nil, object{"nbf": 1795443007}, 0, 700024},
		"lives a second too long":               {nil, object{"exp": 1795442706 + 25*3600 + 1 - 600, "iat": 1795442706 - 600}, 0, 70023},
		"lives for a year":                      {nil, object{"exp": 1795442706 + 365*86400}, 0, 70023},
		"lives too long since its start":        {nil, object{"iat": nil, "nbf": 1795442706 - 25*3600, "exp": 1795442706 + 3600}, 0, 70023},
		"lives too long, no start":              {nil, object{"iat": nil, "nbf": nil, "exp": 1795442706 + 25*3600 + 1}, 0, 70023},
		"issued later":                          {nil, object{"iat": 1795443007}, 0, 700024},
		"no subject":                            {nil, object{"sub": nil}, 0, 50027},
		"no audience":                           {nil, object{"aud": nil}, 0, 50027},
		"audience of the token endpoint":        {nil, object{"aud": assertionAudience}, 0, 700212},
		"audience of the client":                {nil, object{"aud": testids.Client}, 0, 700212},
		"audience within an array element":      {nil, object{"aud": []string{"x " + exchangeAudience}}, 0, 700212},
		"subject as an array":                   {nil, object{"sub": []string{workload}}, 0, 50027},
		"issuer as an array":                    {nil, object{"iss": []string{clusterIssuer}}, 0, 50027},
		"no issuer":                             {nil, object{"iss": nil}, 0, 50027},
		"issuer under ours":                     {nil, object{"iss": clusterIssuer + "/tenant"}, 0, 700211},
		"issuer with a port":                    {nil, object{"iss": clusterIssuer + ":443"}, 0, 700211},
		"issuer over http":                      {nil, object{"iss": "http://oidc.cluster.test"}, 0, 700211},
	} {
		check(name, tt.header, tt.claims, tt.signer, tt.code)
	}
	if cases < 152 { // the combined ones are in TestFederatedCombinationsAreRefused
		t.Errorf("%d confusions, want at least 152", cases)
	}
}

func TestFederatedNeedsTheRightApplication(t *testing.T) {
	t.Parallel()
	b, _ := federatedBench(t)
	raw := b.federated()
	b.wantRefused(t, raw, testids.Nobody, 700211)
	b.wantRefused(t, raw, testids.API, 700016)
	b.wantRefused(t, raw, "", 900144)
	b.app.Federated = nil // removed a moment ago, keys still in memory
	b.wantRefused(t, raw, testids.Client, 700211)
}

func TestIncompleteCredentialMatchesNothing(t *testing.T) {
	t.Parallel()
	b, _ := federatedBench(t)
	b.app.Federated = []directory.FederatedCredential{{}}
	b.wantRefused(t, b.sign(b.federatedHeader(), b.federatedClaims().with(object{"iss": "", "sub": "", "aud": ""}), b.keys[0]), testids.Client, 50027)
}

func TestIssuerDocuments(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		metadata string
		listed   string
		want     bool
	}{
		"as it should be":             {`{"issuer":"https://oidc.cluster.test","jwks_uri":"https://oidc.cluster.test/keys"}`, "", true},
		"keys in another letter case": {`{"issuer":"https://oidc.cluster.test","jwks_uri":"https://OIDC.cluster.test/keys"}`, "", false}, // the fake has no such page
		"issuer with a slash":         {`{"issuer":"https://oidc.cluster.test/","jwks_uri":"https://oidc.cluster.test/keys"}`, "", false},
		"issuer in capitals":          {`{"issuer":"https://OIDC.cluster.test","jwks_uri":"https://oidc.cluster.test/keys"}`, "", false},
		"issuer longer":               {`{"issuer":"https://oidc.cluster.test.evil","jwks_uri":"https://oidc.cluster.test/keys"}`, "", false},
		"issuer shorter":              {`{"issuer":"https://oidc.cluster","jwks_uri":"https://oidc.cluster.test/keys"}`, "", false},
		"issuer of the other":         {`{"issuer":"https://oidc.other.test","jwks_uri":"https://oidc.cluster.test/keys"}`, "", false},
		"no issuer":                   {`{"jwks_uri":"https://oidc.cluster.test/keys"}`, "", false},
		"issuer twice":                {`{"issuer":"x","issuer":"https://oidc.cluster.test","jwks_uri":"https://oidc.cluster.test/keys"}`, "", false},
		"keys elsewhere":              {`{"issuer":"https://oidc.cluster.test","jwks_uri":"https://keys.test/keys"}`, "", false},
		"keys elsewhere, listed":      {`{"issuer":"https://oidc.cluster.test","jwks_uri":"https://keys.test/keys"}`, "https://keys.test/", true},
		"keys at another port":        {`{"issuer":"https://oidc.cluster.test","jwks_uri":"https://oidc.cluster.test:8443/keys"}`, "", false},
		"keys over http":              {`{"issuer":"https://oidc.cluster.test","jwks_uri":"http://oidc.cluster.test/keys"}`, "", false},
		"keys at a relative place":    {`{"issuer":"https://oidc.cluster.test","jwks_uri":"/keys"}`, "", false},
		"no keys":                     {`{"issuer":"https://oidc.cluster.test"}`, "", false},
		"keys is a number":            {`{"issuer":"https://oidc.cluster.test","jwks_uri":1}`, "", false},
		"not JSON":                    {`<html>`, "", false},
		"empty":                       {``, "", false},
		"array":                       {`[]`, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			b, w := federatedBench(t)
			w.set(metadataURL(clusterIssuer), tt.metadata)
			w.mu.Lock()
			w.answers["https://keys.test/keys"] = w.answers[keysURL(clusterIssuer)]
			w.mu.Unlock()
			if tt.listed != "" {
				w.listed = []string{tt.listed}
			}
			_, p := b.verify(b.federated(), testids.Client)
			switch {
			case tt.want && p != nil:
				t.Errorf("%v (%v)", p, p.Cause)
			case !tt.want && (p == nil || p.Code != 50166):
				t.Errorf("got %v, want 50166", p)
			}
		})
	}
}

func TestIssuerKeys(t *testing.T) {
	t.Parallel()
	b, w := federatedBench(t)
	document := func(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }
	good, err := json.Marshal(b.key("k1", 0).JWK())
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := json.Marshal(b.key("k1", 1).JWK())
	if err != nil {
		t.Fatal(err)
	}
	change := func(from, to string) string { return strings.Replace(string(good), from, to, 1) }
	many := make([]string, 120)
	for i := range many {
		many[i] = strings.Replace(string(wrong), `"k1"`, fmt.Sprintf(`"x%d"`, i), 1)
	}
	for name, tt := range map[string]struct {
		body string
		code int // 0: accepted
	}{
		"one key":                   {document(string(good)), 0},
		"and unknown kinds":         {document(`{"kty":"EC","crv":"P-999","kid":"a"}`, `{"kty":"oct","k":"AAAA","kid":"k1"}`, `1`, string(good)), 0},
		"the same key twice":        {document(string(good), string(good)), 0},
		"two keys of one id":        {document(string(good), string(wrong)), 700027},
		"for encryption":            {document(change(`"sig"`, `"enc"`)), 50166},
		"of another algorithm":      {document(change(`"use"`, `"alg":"PS256","use"`)), 50166},
		"without an id":             {document(change(`"kid":"k1"`, `"x":"y"`)), 700027},
		"after a hundred":           {document(append(many, string(good))...), 700027},
		"among the first hundred":   {document(append([]string{string(good)}, many...)...), 0},
		"none":                      {document(), 50166},
		"no array":                  {`{"keys":{}}`, 50166},
		"not JSON":                  {`<html>`, 50166},
		"deep":                      {`{"keys":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`, 50166},
		"only a secret key":         {document(`{"kty":"oct","k":"AAAA","kid":"k1"}`), 50166},
		"exponent one":              {document(change(`"AQAB"`, `"AQ"`)), 50166},
		"modulus of a few bits":     {document(`{"kty":"RSA","kid":"k1","n":"AQAB","e":"AQAB"}`), 50166},
		"modulus of a million bits": {document(`{"kty":"RSA","kid":"k1","e":"AQAB","n":"` + strings.Repeat("_", 170000) + `"}`), 50166},
		"a private key":             {document(change(`"use"`, `"d":"AAAA","use"`)), 50166},
	} {
		t.Run(name, func(t *testing.T) {
			b.v.foreign = newForeignIssuers(w, b.clock.Now)
			w.set(keysURL(clusterIssuer), tt.body)
			_, p := b.verify(b.federated(), testids.Client)
			if codeOf(p) != tt.code {
				t.Errorf("got %v, want %d", p, tt.code)
			}
		})
	}
}

// Tokens of Microsoft's national clouds prove no application of this one, though it trusts
// them and they are right in every other way; nobody asks for their keys.
func TestFederatedTokenOfAnotherCloud(t *testing.T) {
	t.Parallel()
	tenant := "/" + testids.Tenant
	for issuer, code := range map[string]int{
		"https://login.microsoftonline.us" + tenant + "/v2.0":                   700238,
		"https://LOGIN.microsoftonline.us" + tenant + "/v2.0":                   700238,
		"https://login.partner.microsoftonline.cn" + tenant + "/v2.0":           700238,
		"https://login.chinacloudapi.cn" + tenant + "/v2.0":                     700238,
		"https://sts.chinacloudapi.cn" + tenant + "/":                           700238,
		"https://login.microsoftonline.us.contoso.test" + tenant + "/v2.0":      0,
		"https://oidc.cluster.test/login.microsoftonline.us" + tenant + "/v2.0": 0,
	} {
		t.Run(issuer, func(t *testing.T) {
			b, w := federatedBench(t)
			b.app.Federated = federatedCredentials(issuer, workload, exchangeAudience)
			w.publish(t, issuer, b.key("k1", 0))
			_, p := b.verify(b.sign(b.federatedHeader(), b.federatedClaims().with(object{"iss": issuer}), b.keys[0]), testids.Client)
			got := 0
			if p != nil {
				got = p.Code
			}
			if got != code || code != 0 && w.count(metadataURL(issuer)) != 0 {
				t.Errorf("got %d, want %d; its metadata was read %d times", got, code, w.count(metadataURL(issuer)))
			}
		})
	}
}
