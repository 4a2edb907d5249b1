package attack

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

const (
	tenant      = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"
	apiID       = "a9100002-5a5a-4c4c-8d8d-000000000002"
	apiURI      = "api://orders"
	clientID    = "c11e0001-5a5a-4c4c-8d8d-000000000001"
	principalID = "0b1ec701-5a5a-4c4c-8d8d-000000000003"
	skew        = time.Minute
)

var (
	tokens = flag.Int("tokens", 20_000, "how many tokens are forged")
	seed   = flag.Uint64("seed", 0, "repeats a run; zero means a new one")
	peers  = flag.Bool("peers", false, "ask jose, PyJWT and nimbus as well, which attack/run installs")
	dotnet = flag.String("dotnet", "", "ask ASP.NET's JwtBearer as well: the program that compat/dotnet makes")
)

// A validator says of each token whether it takes it.
type validator struct {
	name   string
	verify func(raw string) bool
}

// exceptions are what the guard takes and a validator refuses, for a reason that is not a
// fault of the guard. It is never written to.
var exceptions = map[string]func(raw string) bool{
	// It looks for a key whose certificate has the thumbprint of the token, and this set has
	// no certificates.
	"nimbus": func(raw string) bool {
		encoded, _, _ := strings.Cut(raw, ".")
		text, _ := base64.RawURLEncoding.DecodeString(encoded)
		var header map[string]any
		return json.Unmarshal(text, &header) == nil && header["x5t#S256"] != nil
	},
	// The API there knows itself by its application id alone.
	"JwtBearer": func(raw string) bool {
		_, encoded, _ := strings.Cut(raw, ".")
		encoded, _, _ = strings.Cut(encoded, ".")
		text, _ := base64.RawURLEncoding.DecodeString(encoded)
		var claims struct{ Aud any }
		return json.Unmarshal(text, &claims) == nil && claims.Aud != apiID && strings.Contains(fmt.Sprint(claims.Aud), apiURI)
	},
}

// TestNothingIsTakenThatAValidatorRefuses is the whole of it.
func TestNothingIsTakenThatAValidatorRefuses(t *testing.T) {
	if *seed == 0 {
		*seed = mathrand.Uint64()
	}
	t.Logf("-seed %d -tokens %d", *seed, *tokens)
	k, document := newKeys(t)
	authority := publish(t, document)
	issuer := authority.URL + "/" + tenant + "/v2.0"
	g, err := guard.New(t.Context(), guard.Config{
		Issuers: []guard.Issuer{{Issuer: issuer}}, Audience: []string{apiID, apiURI},
		Algorithms: []string{"RS256", "ES256"}, Skew: skew, CacheBytes: -1, HTTPClient: authority.Client(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	forger := &forger{Rand: mathrand.New(mathrand.NewPCG(*seed, 1)), tb: t, now: time.Now(), keys: k, issuer: issuer}
	all := make([]forged, *tokens)
	for i := range all {
		all[i] = forger.next()
	}

	rule := guard.Rule{Caller: guard.CallerAny, Clients: []string{clientID}}
	taken, reasons := make([]bool, len(all)), map[guard.Reason]int{}
	for i, one := range all {
		d := g.Check(context.Background(), one.raw, rule)
		_, taken[i] = d.Caller() // whatever its rights: those are no business of the others
		reasons[d.Reason]++
	}
	report(t, "guard", taken, nil, nil)
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		t.Logf("    %6d %s", reasons[reason], reason)
	}
	for name, answers := range ask(t, all, validators(t, issuer, document), issuer, document) {
		report(t, name, answers, taken, all)
	}
}

// report counts, and fails for what the guard takes and a validator refuses.
func report(t *testing.T, name string, answers, guardTakes []bool, all []forged) {
	t.Helper()
	took, stricter, laxer, excepted := 0, 0, 0, 0
	for i, yes := range answers {
		if yes {
			took++
		}
		if guardTakes == nil {
			continue
		}
		switch {
		case yes && !guardTakes[i]:
			stricter++
		case !yes && guardTakes[i] && exceptions[name] != nil && exceptions[name](all[i].raw):
			excepted++
		case !yes && guardTakes[i]:
			if laxer++; laxer <= 10 {
				header, claims, _ := strings.Cut(all[i].raw, ".")
				claims, _, _ = strings.Cut(claims, ".")
				h, _ := base64.RawURLEncoding.DecodeString(header)
				c, _ := base64.RawURLEncoding.DecodeString(claims)
				t.Errorf("the guard takes what %s refuses (%s): %s %.600s", name, all[i].how, h, c)
			}
		}
	}
	t.Logf("%-8s takes %6d of %d; the guard alone refuses %6d, %s alone refuses %d and, as is written down, %d", name, took, len(answers), stricter, name, laxer, excepted)
}

// newKeys makes the keys of the issuer and its keys document, with keys in it that are not
// for these tokens.
func newKeys(t *testing.T) (keys, []byte) {
	t.Helper()
	newRSA := func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	newEC := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	k := keys{rsa: newRSA(), spare: newRSA(), ec: newEC(), stranger: &strangerKeys{newRSA(), newEC()}}
	document, err := token.KeysDocument([]token.Key{
		{ID: "rsa", Use: "sig", Public: k.rsa.Public()}, {ID: "ec", Use: "sig", Public: k.ec.Public()}, {ID: "spare", Use: "sig", Public: k.spare.Public()},
	})
	if err != nil {
		t.Fatal(err)
	}
	k.public = publicForms(t, document, k.rsa.Public(), k.ec.Public())
	jwk, err := json.Marshal(token.Key{Public: k.stranger.ec.Public()}.JWK())
	if err != nil {
		t.Fatal(err)
	}
	k.strangerJWK = string(jwk)
	return k, document
}

// publish is an authority with nothing but its documents.
func publish(t *testing.T, document []byte) *httptest.Server {
	t.Helper()
	var server *httptest.Server
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/" + tenant + "/v2.0/.well-known/openid-configuration":
			fmt.Fprintf(w, `{"issuer":"%[1]s/%[2]s/v2.0","jwks_uri":"%[1]s/keys","token_endpoint":"%[1]s/token","authorization_endpoint":"%[1]s/authorize",`+
				`"id_token_signing_alg_values_supported":["RS256"],"response_types_supported":["code"],"subject_types_supported":["pairwise"]}`, server.URL, tenant)
		case "/keys":
			_, _ = w.Write(document)
		default:
			http.NotFound(w, r)
		}
	}))
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// validators are those of this process.
func validators(t *testing.T, issuer string, document []byte) []validator {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(document, &set); err != nil {
		t.Fatal(err)
	}
	algorithms := []jose.SignatureAlgorithm{jose.RS256, jose.ES256}
	var public []crypto.PublicKey
	for _, key := range set.Keys {
		public = append(public, key.Key)
	}
	verifier := oidc.NewVerifier(issuer, &oidc.StaticKeySet{PublicKeys: public}, &oidc.Config{SkipClientIDCheck: true, SupportedSigningAlgs: []string{"RS256", "ES256"}})
	return []validator{
		{"go-jose", func(raw string) bool {
			parsed, err := josejwt.ParseSigned(raw, algorithms)
			if err != nil {
				return false
			}
			var claims josejwt.Claims
			if err := parsed.Claims(&set, &claims); err != nil {
				return false
			}
			return claims.ValidateWithLeeway(josejwt.Expected{Issuer: issuer, AnyAudience: josejwt.Audience{apiID, apiURI, apiURI + "/"}, Time: time.Now()}, skew) == nil
		}},
		{"go-oidc", func(raw string) bool {
			parsed, err := verifier.Verify(context.Background(), raw)
			return err == nil && slices.ContainsFunc(parsed.Audience, func(a string) bool { return a == apiID || strings.TrimSuffix(a, "/") == apiURI })
		}},
	}
}

// ask has every validator say what it takes, all at the same time.
func ask(t *testing.T, all []forged, in []validator, issuer string, document []byte) map[string][]bool {
	t.Helper()
	answers := map[string][]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	keep := func(name string, verdicts []bool) {
		mu.Lock()
		defer mu.Unlock()
		answers[name] = verdicts
	}
	for _, v := range in {
		wg.Go(func() {
			verdicts := make([]bool, len(all))
			for i, one := range all {
				verdicts[i] = v.verify(one.raw)
			}
			keep(v.name, verdicts)
		})
	}
	if *peers {
		settings := filepath.Join(t.TempDir(), "settings.json")
		text := fmt.Sprintf(`{"issuer":%q,"audiences":[%q,%q,%q],"skew":%d,"keys":%s}`, issuer, apiID, apiURI, apiURI+"/", int(skew/time.Second), document)
		if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"jose", "PyJWT", "nimbus"} {
			wg.Go(func() {
				verdicts, err := askPeer(t.Context(), strings.ToLower(name), settings, all)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				keep(name, verdicts)
			})
		}
	}
	if *dotnet != "" {
		wg.Go(func() { keep("JwtBearer", askDotNet(t, issuer, all)) })
	}
	wg.Wait()
	return answers
}

// askDotNet starts an API on ASP.NET and sends it every token. It takes a token that it
// refuses for its role alone.
func askDotNet(t *testing.T, issuer string, all []forged) []bool {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Error(err)
		return nil
	}
	address := "http://" + listener.Addr().String()
	listener.Close()
	u, err := url.Parse(issuer)
	if err != nil {
		t.Error(err)
		return nil
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), *dotnet, "api", address)
	cmd.Env = append(os.Environ(), "HOST=https://"+u.Host, "SSL_CERT_FILE="+bundle(t), "DOTNET_BUNDLE_EXTRACT_BASE_DIR="+dir, "HOME="+dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return nil
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: time.Minute}
	status := func(raw string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/bearer", nil)
		if err != nil {
			return 0
		}
		req.Header.Set("Authorization", "Bearer "+raw)
		resp, err := client.Do(req)
		if err != nil { // it cannot be sent
			return 0
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	for range 300 {
		if status("x") != 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	verdicts := make([]bool, len(all))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(all); i = int(next.Add(1)) - 1 {
				code := status(all[i].raw)
				verdicts[i] = code == http.StatusOK || code == http.StatusForbidden
			}
		})
	}
	wg.Wait()
	return verdicts
}

// bundle is a file with the certificate of httptest's servers.
func bundle(t *testing.T) string {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Error(err)
	}
	return path
}

// askPeer starts a validator of another language (peers/run), which reads tokens as lines of
// base64 and answers each with 1 or 0.
func askPeer(ctx context.Context, name, settings string, all []forged) ([]bool, error) {
	cmd := exec.CommandContext(ctx, "bash", filepath.Join("peers", "run"), name, settings)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer in.Close()
		w := bufio.NewWriter(in)
		for _, one := range all {
			fmt.Fprintln(w, base64.StdEncoding.EncodeToString([]byte(one.raw)))
		}
		w.Flush()
	}()
	var verdicts []bool
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		verdicts = append(verdicts, lines.Text() == "1")
	}
	if err := cmd.Wait(); err != nil {
		return nil, err
	}
	if len(verdicts) != len(all) {
		return nil, fmt.Errorf("%d answers to %d tokens", len(verdicts), len(all))
	}
	return verdicts, lines.Err()
}
