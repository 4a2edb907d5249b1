package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// certificateMisfits are those of clients that sign assertions with a certificate's key.
func certificateMisfits() []misfit {
	registered := func(names ...string) func(*toldRow) {
		return func(r *toldRow) {
			var list []string
			for i, name := range names {
				list = append(list, "{name: "+name+", file: '"+r.certificate(name, i, time.Hour)+"'}")
			}
			r.apply("applications:\n  - name: nightly\n    certificates: [" + strings.Join(list, ", ") + "]\n")
		}
	}
	return []misfit{
		{
			name: "certificate that is not registered", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { registered("this-year")(r); r.certificate("other", 1, time.Hour) },
			ask:    signedBy("other", 1, "this-year", 0, nil),
			want: []string{"nightly signs with a certificate that is not registered", "certificate presented:", "{SHA-1 of other}",
				"certificate registered as this-year (ends 20", "{SHA-1 of this-year}", "Let the client use one of those registered"},
			lead: bySetting,
		},
		{
			name: "certificate that is named by its SHA-256 and not registered", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { registered("this-year")(r); r.certificate("other", 1, time.Hour) },
			ask: signedBy("other", 1, "this-year", 0, func(r *toldRow, header map[string]any) {
				delete(header, "x5t")
				header["x5t#S256"] = r.values["x5t#S256 of other"]
			}),
			want: []string{"SHA-256 {SHA-256 of other}", "{SHA-1 of this-year} SHA-256 {SHA-256 of this-year}"},
			lead: bySetting,
		},
		{
			name: "certificate, and none is registered", yaml: nightlyAndGreeter,
			before: func(r *toldRow) { r.certificate("first", 0, time.Hour) },
			ask: func(r *toldRow) told {
				if r.fixed {
					registered("first")(r) // as the text says
				}
				return signedBy("first", 0, "first", 0, nil)(r)
			},
			want: []string{"nightly signs with a certificate, and has none registered", "none is registered", "certificates: [{name: NAME, file: client.pem}]"},
			lead: bySetting,
		},
		{
			name: "key of another certificate", yaml: nightlyAndGreeter,
			before: registered("this-year"),
			ask:    signedBy("this-year", 1, "this-year", 0, nil),
			want:   []string{"The signature of the client assertion does not verify", "Check that the client signs with the private key of that certificate", "{SHA-1 of this-year}", "the one presented"},
			not:    []string{"Add the certificate to the application"},
			lead:   bySetting,
		},
		{
			name: "assertion for another audience", yaml: nightlyAndGreeter,
			before: registered("this-year"),
			ask:    claiming("this-year", map[string]any{"aud": "https://login.elsewhere.test/token"}),
			want:   []string{"is for the audience 'https://login.elsewhere.test/token', not for this token endpoint", "Set aud to '{authority}/"},
			lead:   bySetting,
		},
		{
			name: "assertion that has ended", yaml: nightlyAndGreeter,
			before: registered("this-year"),
			ask:    claiming("this-year", map[string]any{"exp": time.Now().Add(-time.Hour).Unix(), "nbf": time.Now().Add(-2 * time.Hour).Unix()}),
			want:   []string{"is not within its valid time range", "Make a new assertion for each request, and check the clock of the client"},
			not:    []string{"Set exp to ten minutes"},
			lead:   bySetting,
		},
		{
			name: "assertion that lasts too long", yaml: nightlyAndGreeter,
			before: registered("this-year"),
			ask:    claiming("this-year", map[string]any{"exp": time.Now().Add(48 * time.Hour).Unix()}),
			want:   []string{"made to be valid for longer than 24 hours", "Set exp to ten minutes from now"},
			lead:   bySetting,
		},
		{
			name: "assertion of another client", yaml: nightlyAndGreeter,
			before: registered("this-year"),
			ask:    claiming("this-year", map[string]any{"iss": "{id of greeter}", "sub": "{id of greeter}"}),
			want:   []string{"was issued by '{id of greeter}', but the request is from the application '{id of nightly}'", "Set iss and sub of the assertion to the client_id"},
			lead:   bySetting,
		},
	}
}

// federatedMisfits are those of clients that present a token of somebody else. The issuer is
// the row's own tenant, whose application ci has a token for the exchange.
func federatedMisfits() []misfit {
	const ci = nightlyAndGreeter + "  - name: ci\n"
	trusting := func(issuer, subject, audience string) func(*toldRow) {
		return func(r *toldRow) {
			r.apply("applications:\n  - name: nightly\n    federatedCredentials:\n      - {name: build, issuer: '" + issuer + "', subject: '" + subject + "', audience: '" + audience + "'}\n")
			r.values["exchanged"] = strings.TrimSpace(r.must("token", "--as", "ci", "--scope", "api://AzureADTokenExchange/.default"))
		}
	}
	const (
		issuer   = "{authority}/{tenant id}/v2.0"
		audience = "api://AzureADTokenExchange"
		github   = "https://token.actions.githubusercontent.com"
	)
	presents := nightlyPresents("{exchanged}")
	return []misfit{
		{
			name: "federated subject that is another", yaml: ci,
			before: trusting(issuer, "{object id of nightly}", audience),
			ask:    presents,
			want: []string{"the subject of the token that nightly presents is not that of its federated credential", "subject presented: {object id of ci}",
				"subject registered as build", "{object id of nightly}", "Nobody has verified the token: make sure"},
			lead: byCommand,
		},
		{
			name: "federated issuer without its version", yaml: ci,
			before: trusting("{authority}/{tenant id}/v2.0/", "{object id of ci}", audience),
			ask:    presents,
			want:   []string{"the issuer of the token that nightly presents is not that of its federated credential", "issuer registered as build (differs by a slash at its end)"},
			lead:   byCommand,
		},
		{
			name: "federated credential that nobody made", yaml: ci,
			before: func(r *toldRow) {
				r.values["exchanged"] = strings.TrimSpace(r.must("token", "--as", "ci", "--scope", audience+"/.default"))
			},
			ask:  presents,
			want: []string{"nightly presents a token of another issuer, and trusts none", "federatedCredentials:", "{object id of ci}"},
			lead: byCommand,
		},
		{
			name: "token for another audience than the exchange", yaml: ci + "    permissions: [{api: greeter, roles: [Greetings.Read], consent: true}]\n",
			before: func(r *toldRow) {
				trusting(issuer, "{object id of ci}", audience)(r)
				r.values["right"] = r.values["exchanged"]
				r.values["exchanged"] = strings.TrimSpace(r.must("token", "--as", "ci", "--scope", "api://greeter/.default"))
			},
			ask: func(r *toldRow) told {
				if r.fixed {
					r.values["exchanged"] = r.values["right"]
				}
				return presents(r)
			},
			want: []string{"the audience of the token that nightly presents is not that of its federated credential", "audience presented: {id of greeter}",
				"audience registered as build", "a token with the audience api://AzureADTokenExchange"},
			lead: bySetting,
		},
		{
			name: "branch that the federated credential does not name", yaml: nightlyAndGreeter,
			before: func(r *toldRow) {
				r.apply("applications:\n  - name: nightly\n    federatedCredentials:\n      - {name: github, issuer: '" + github + "', subject: 'repo:contoso/orders:ref:refs/heads/main'}\n")
				r.values["exchanged"] = r.jwt(0, map[string]any{"kid": "k"}, map[string]any{"iss": github, "sub": "repo:contoso/orders:ref:refs/heads/master", "aud": audience})
			},
			ask: presents,
			want: []string{"repo:contoso/orders:ref:refs/heads/master", "repo:contoso/orders:ref:refs/heads/main",
				"                                         ^ differs from here"},
			lead: byNothing, // whether the branch is to be trusted, nobody here knows
		},
		{
			name: "subject that differs by case", yaml: nightlyAndGreeter,
			before: func(r *toldRow) {
				r.apply("applications:\n  - name: nightly\n    federatedCredentials:\n      - {name: github, issuer: '" + github + "', subject: 'repo:Contoso/orders:ref:refs/heads/main'}\n")
				r.values["exchanged"] = r.jwt(0, map[string]any{"kid": "k"}, map[string]any{"iss": github, "sub": "repo:contoso/orders:ref:refs/heads/main", "aud": audience})
			},
			ask:  presents,
			want: []string{"AADSTS7002138", "subject registered as github (differs by case)"},
			lead: byNothing,
		},
	}
}

// nightlyPresents lets nightly ask for greeter with an assertion.
func nightlyPresents(assertion string) func(*toldRow) told {
	return func(r *toldRow) told {
		return r.token("client_id={id of nightly}", "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
			"client_assertion="+assertion, "scope=api://greeter/.default")
	}
}

// signedBy lets nightly ask with an assertion: at first one that names a certificate and is
// signed with a key, and with another pair when the advice was followed. Change, which may be
// nil, changes the header of the first.
func signedBy(name string, key int, then string, thenKey int, change func(*toldRow, map[string]any)) func(*toldRow) told {
	return func(r *toldRow) told {
		name, key := name, key
		if r.fixed {
			name, key = then, thenKey
		}
		header := map[string]any{"x5t": r.values["x5t of "+name]}
		if change != nil && !r.fixed {
			change(r, header)
		}
		r.values["assertion"] = r.jwt(key, header, r.assertionClaims(nil))
		return nightlyPresents("{assertion}")(r)
	}
}

// claiming lets nightly ask with an assertion that has other claims than it should at first.
func claiming(name string, wrong map[string]any) func(*toldRow) told {
	return func(r *toldRow) told {
		if r.fixed {
			wrong = nil
		}
		r.values["assertion"] = r.jwt(0, map[string]any{"x5t": r.values["x5t of "+name]}, r.assertionClaims(wrong))
		return nightlyPresents("{assertion}")(r)
	}
}

// assertionClaims are those of a good assertion of nightly, but for some.
func (r *toldRow) assertionClaims(but map[string]any) map[string]any {
	claims := map[string]any{
		"iss": r.values["id of nightly"], "sub": r.values["id of nightly"], "jti": rand.Text(),
		"aud": r.values["authority"] + "/" + r.values["tenant id"] + "/oauth2/v2.0/token",
	}
	for name, value := range but {
		if s, ok := value.(string); ok {
			value = r.fill(s)
		}
		claims[name] = value
	}
	return claims
}

// jwt signs with one of the test's keys. It is valid for ten minutes unless the claims say
// otherwise.
func (r *toldRow) jwt(key int, header, claims map[string]any) string {
	r.Helper()
	header["alg"], header["typ"] = "RS256", "JWT"
	for name, offset := range map[string]time.Duration{"iat": 0, "nbf": 0, "exp": 10 * time.Minute} {
		if claims[name] == nil {
			claims[name] = time.Now().Add(offset).Unix()
		}
	}
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			r.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := part(header) + "." + part(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, r.key(key), crypto.SHA256, sum[:])
	if err != nil {
		r.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func (r *toldRow) key(n int) *rsa.PrivateKey {
	r.Helper()
	keys, err := testKeys()
	if err != nil {
		r.Fatal(err)
	}
	return keys[n]
}

// certificate makes a certificate for a key and returns its file. Its thumbprints become values.
func (r *toldRow) certificate(name string, key int, life time.Duration) (file string) {
	r.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, r.key(key).Public(), r.key(key))
	if err != nil {
		r.Fatal(err)
	}
	short, long := sha1.Sum(der), sha256.Sum256(der)
	r.values["x5t of "+name], r.values["SHA-1 of "+name] = base64.RawURLEncoding.EncodeToString(short[:]), strings.ToUpper(hex.EncodeToString(short[:]))
	r.values["x5t#S256 of "+name], r.values["SHA-256 of "+name] = base64.RawURLEncoding.EncodeToString(long[:]), strings.ToUpper(hex.EncodeToString(long[:]))
	file = filepath.Join(r.TempDir(), name+".pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		r.Fatal(err)
	}
	return file
}
