package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// A misfit is a mistake that somebody made, and what they must be told about it: the cause,
// and what to do. It is set up through the program, and what the program prints is followed
// word for word.
type misfit struct {
	name string
	// yaml holds the members of a tenant in rolecall.yaml, which is the row's alone.
	yaml string
	// before is what happens after the file was applied and before anybody asks; may be nil.
	before func(*toldRow)
	// ask is what somebody does, and what they see then: by itself, and after the one command
	// that it names. It is asked again, with fixed set, when the advice was followed.
	ask func(*toldRow) told
	// want is the cause and the fix, not what must not be advised. {tenant} is the name of
	// the row's tenant, and any other {name} what the row has put into its values.
	want, not []string
	// lead names what leads to success: commands, when the printed commands are to be run; a
	// setting, when ask is to make the request as the text says, which want must hold. No
	// advice can be tested further where nothing is said here.
	lead lead
}

// A lead is how the advice of a misfit is followed.
type lead int

const (
	byCommand lead = iota + 1 // the printed commands are run
	bySetting                 // ask does what the text says, once fixed is set
	byNothing                 // it is right as it is: the text says what to look at elsewhere
)

// misfits lists all of them, by theme.
func misfits() []misfit {
	return slices.Concat(
		credentialMisfits(), certificateMisfits(), federatedMisfits(), roleMisfits(), nameMisfits(), identityMisfits(), tokenMisfits(), environmentMisfits(), settingsMisfits(), apiMisfits(),
	)
}

// What people are told is true, names the cause and the fix, and whoever does as they are told
// gets what they wanted. It is not parallel: the demos of scripts, which have rows with limits of
// time, would run beside it.
func TestWhatPeopleAreTold(t *testing.T) {
	w := newToldWorld(t)
	names := map[string]bool{}
	if n := len(misfits()); n < 100 {
		t.Errorf("only %d misfits", n)
	}
	for i, m := range misfits() {
		if names[m.name] {
			t.Errorf("two rows are called %q", m.name)
		}
		names[m.name] = true
		if fixture.Raced && i%10 != 0 {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			r := &toldRow{T: t, toldWorld: w, tenant: fmt.Sprintf("t%d", i+1), values: map[string]string{}}
			r.values["tenant"] = r.tenant
			r.play(m)
		})
	}
}

// A toldWorld is the server that all rows share.
type toldWorld struct {
	dir    string
	server *server.Server
	client *http.Client
}

func newToldWorld(t *testing.T) *toldWorld {
	t.Helper()
	dir := t.TempDir()
	running, err := server.Start(t.Context(), server.Config{Dir: dir, NewKey: newTestKeys(), Log: slog.New(slog.DiscardHandler), AllowIssuers: []string{"127.0.0.1", "localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Close() })
	pem, err := os.ReadFile(running.Endpoints().CABundle)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &toldWorld{dir, running, &http.Client{Transport: transport}}
}

// A toldRow is one misfit at work, in a tenant of its own.
type toldRow struct {
	*testing.T
	*toldWorld
	tenant string            // its name and, with .test, its domain
	values map[string]string // ids, secrets and the like, by what yaml, want and forms call them: {name}
	env    map[string]string // variables besides those that name the row's folder and tenant
	fixed  bool              // the advice was followed
	said   string            // what the commands printed that were followed
}

// A told is how a request went, and all that was shown.
type told struct {
	status int
	text   string
}

func (r *toldRow) play(m misfit) {
	r.Helper()
	r.apply(m.yaml)
	if m.before != nil {
		m.before(r)
	}
	if r.Failed() {
		return
	}
	got := m.ask(r)
	if got.status < 400 && got.status != 0 {
		r.Fatalf("the misfit is none: it went well\n%s", got.text)
	}
	shown := oneLine(got.text)
	for _, want := range m.want {
		if !strings.Contains(shown, oneLine(r.fill(want))) {
			r.Errorf("nothing shown says %q", r.fill(want))
		}
	}
	for _, not := range m.not {
		if strings.Contains(shown, oneLine(r.fill(not))) {
			r.Errorf("what is shown says %q", r.fill(not))
		}
	}
	if found := everySecretButTokens.FindString(got.text); found != "" {
		r.Errorf("what is shown holds a secret: %.6s…", found)
	}
	switch m.lead {
	case byCommand:
		r.follow(got.text)
	case byNothing:
		if r.Failed() {
			r.Logf("shown was:\n%s", got.text)
		}
		return
	}
	r.fixed = true
	if after := m.ask(r); after.status != http.StatusOK {
		r.Errorf("the advice was followed, and the answer is %d:\n%s", after.status, after.text)
	}
	if r.Failed() {
		r.Logf("shown was at first:\n%s", got.text)
	}
}

// everySecretButTokens is what no text may hold. A digest in it is 64 digits long, too, in
// capitals.
var everySecretButTokens = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}|rc_[A-Za-z0-9_-]{20,}|PRIVATE KEY`)

// oneLine folds lines and blanks, so that a phrase is found wherever a screen breaks it.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// fill puts the row's values into a text.
func (r *toldRow) fill(s string) string {
	for name, value := range r.values {
		s = strings.ReplaceAll(s, "{"+name+"}", value)
	}
	return s
}

// apply applies members of the row's tenant. Generated secrets become values by the name of
// their application: {secret of nightly}; so do ids, {id of nightly}.
func (r *toldRow) apply(members string) {
	r.Helper()
	r.values["authority"] = r.server.Endpoints().Authority
	if strings.Contains(members, "{port}") {
		r.values["port"] = r.port()
	}
	file := "tenants:\n  - name: " + r.tenant + "\n    domains: [" + r.tenant + ".test]\n"
	for line := range strings.Lines(r.fill(members)) {
		file += "    " + line
	}
	code, out, said := r.run(file+"\n", "apply", "-f", "-", "-o", "json")
	if code != command.ExitOK {
		r.Fatalf("apply: exit code %d\n%s\n%s", code, said, file)
	}
	var applied struct {
		Secrets []struct{ Application, Value string }
	}
	if err := json.Unmarshal([]byte(out), &applied); err != nil {
		r.Fatalf("apply printed no JSON: %v", err)
	}
	for _, s := range applied.Secrets {
		r.values["secret of "+s.Application] = s.Value
	}
	r.learn()
}

// port is a port that was free just now.
func (r *toldRow) port() string {
	r.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		r.Fatal(err)
	}
	return port
}

// learn makes values of the ids in the row's tenant.
func (r *toldRow) learn() {
	r.Helper()
	data, err := server.OpenData(r.Context(), server.DataConfig{Dir: r.dir, NewKey: newTestKeys(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.Fatal(err)
	}
	defer data.Close()
	view := data.Directory.View(r.Context())
	tenant, err := view.Tenants().Find(r.tenant)
	if err != nil {
		r.Fatal(err)
	}
	r.values["tenant id"] = string(tenant.ID)
	principals, err := view.ServicePrincipals().All(tenant.ID)
	if err != nil {
		r.Fatal(err)
	}
	for _, p := range principals {
		r.values["id of "+p.Name], r.values["object id of "+p.Name] = string(p.AppID), string(p.ID)
	}
	apps, err := view.Applications().All(tenant.ID)
	if err != nil {
		r.Fatal(err)
	}
	for _, app := range apps {
		r.values["registration of "+app.Name] = string(app.ID)
		for _, s := range app.Secrets {
			r.values["secret id of "+app.Name] = s.ID
		}
	}
}

// run runs the program in this process, as somebody does who works in the row's tenant.
func (r *toldRow) run(stdin string, args ...string) (code int, out, said string) {
	r.Helper()
	var o, e bytes.Buffer
	environment := func(name string) (string, bool) {
		switch name {
		case "ROLECALL_DATA":
			return r.dir, true
		case "ROLECALL_TENANT":
			return r.tenant, true
		}
		value, ok := r.env[name]
		return value, ok
	}
	code = testCLI(streamsOf(environment, strings.NewReader(stdin), &o, &e)).run(r.Context(), args)
	return code, o.String(), e.String()
}

// must runs the program, which has to succeed, and returns what it prints.
func (r *toldRow) must(args ...string) string {
	r.Helper()
	for i := range args {
		args[i] = r.fill(args[i])
	}
	code, out, said := r.run("", args...)
	if code != command.ExitOK {
		r.Fatalf("rolecall %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, said)
	}
	return out
}

// does is a misfit of the command line: a command, and what it prints.
func does(args ...string) func(*toldRow) told {
	return func(r *toldRow) told {
		words := make([]string, len(args))
		for i := range args {
			words[i] = r.fill(args[i])
		}
		code, out, said := r.run("", words...)
		status := http.StatusOK
		if code != command.ExitOK {
			status = http.StatusBadRequest
		}
		return told{status, out + said}
	}
}

// token asks the token endpoint, and of a refusal the program. The form is name=value, in
// which {names} are filled in; a value stays as it is otherwise.
func (r *toldRow) token(form ...string) told {
	r.Helper()
	return r.tokenAt("/"+r.tenant+".test/oauth2/v2.0/token", form...)
}

func (r *toldRow) tokenAt(path string, form ...string) told {
	r.Helper()
	values := url.Values{"grant_type": {"client_credentials"}}
	for _, pair := range form {
		name, value, _ := strings.Cut(pair, "=")
		values.Set(name, r.fill(value))
	}
	return r.tokenRaw(path, values.Encode())
}

func (r *toldRow) tokenRaw(path, body string) told {
	r.Helper()
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, r.server.Endpoints().Authority+r.fill(path), strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, answer := r.send(request)
	var said struct {
		Token       string `json:"access_token"`
		Description string `json:"error_description"`
		Correlation string `json:"correlation_id"`
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		r.Fatalf("the answer %d is no JSON: %v", status, err)
	}
	if status == http.StatusOK {
		r.values["token"] = said.Token
		return told{status, "a token"}
	}
	return told{status, said.Description + "\n" + r.explained("--correlation-id", said.Correlation)}
}

// explained is what `rolecall explain` prints for people, on a screen of 80 columns.
func (r *toldRow) explained(args ...string) string {
	r.Helper()
	stdin := ""
	if args[len(args)-1] == "-" {
		stdin = r.values["token"]
	}
	_, out, said := r.run(stdin, append([]string{"explain", "-o", "table"}, args...)...)
	return out + said
}

func (r *toldRow) send(request *http.Request) (int, []byte) {
	r.Helper()
	response, err := r.client.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	return response.StatusCode, answer
}

// api is an API behind a guard that trusts the row's tenant.
func (r *toldRow) api(audience string, rule guard.Rule) string {
	r.Helper()
	return r.apiWith(guard.Config{Audience: []string{r.fill(audience)}}, rule)
}

// apiWith is api with settings of its own; what they leave out is as it should be.
func (r *toldRow) apiWith(cfg guard.Config, rule guard.Rule) string {
	r.Helper()
	ctx, stop := context.WithCancel(r.Context())
	if cfg.Authority == "" {
		cfg.Authority = r.server.Endpoints().Authority + "/" + r.values["tenant id"]
	}
	if cfg.CABundle == "" {
		cfg.CABundle = r.server.Endpoints().CABundle
	}
	g, err := guard.New(ctx, cfg)
	if err != nil {
		r.Fatal(err)
	}
	rule.Path = "/"
	handler, err := g.Handler([]guard.Rule{rule}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	if err != nil {
		r.Fatal(err)
	}
	listening := httptest.NewServer(handler)
	r.Cleanup(func() { listening.Close(); stop() })
	return listening.URL + "/"
}

// visit calls an API with the row's token. Of a refusal it asks `rolecall explain`, with the
// arguments given and the token on standard input.
func (r *toldRow) visit(api string, args ...string) told {
	r.Helper()
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, api, http.NoBody)
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+r.values["token"])
	status, answer := r.send(request)
	if status == http.StatusOK {
		return told{status, string(answer)}
	}
	return told{status, string(answer) + "\n" + r.explained(append(args, "-")...)}
}

// follow runs the commands in a text as they are printed.
func (r *toldRow) follow(text string) {
	r.Helper()
	commands := printedCommands(text)
	if len(commands) == 0 {
		r.Fatalf("no command is printed:\n%s", text)
	}
	for _, c := range commands {
		words, err := shellWords(c.line)
		if err != nil {
			r.Fatalf("%s: %v", c.line, err)
		}
		code, out, said := r.run(c.stdin, words[1:]...)
		r.said += out
		if code != command.ExitOK {
			r.Errorf("the printed command %q: exit code %d\n%s", c.line, code, said)
		}
	}
	if secret := generatedSecret.FindString(r.said); secret != "" {
		r.values["new secret"] = secret
	}
	r.learn()
}

var generatedSecret = regexp.MustCompile(`rc_[A-Za-z0-9_-]{43}`)

// A printedCommand is a line that somebody pastes, and what its here-document holds.
type printedCommand struct{ line, stdin string }

// printedCommands finds commands in a text: a line of their own, indented by two; or, with a
// here-document, not indented at all, for its end must be at the beginning of its line.
func printedCommands(text string) (all []printedCommand) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line, indented := strings.CutPrefix(lines[i], "  ")
		if !strings.HasPrefix(line, "rolecall ") {
			continue
		}
		start, end, here := strings.Cut(line, " <<'")
		switch {
		case here && !indented:
			end = strings.TrimSuffix(end, "'")
			length := slices.Index(lines[i+1:], end)
			if length < 0 {
				all = append(all, printedCommand{line: line})
				continue
			}
			all = append(all, printedCommand{start, strings.Join(lines[i+1:i+1+length], "\n") + "\n"})
			i += length + 1
		case indented:
			all = append(all, printedCommand{line: line})
		}
	}
	return all
}

// shellWords splits a line as a shell does, and knows words and quotes alone.
func shellWords(line string) (words []string, err error) {
	var word strings.Builder
	begun := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t':
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		case '\'', '"':
			end := strings.IndexByte(line[i+1:], c)
			if end < 0 {
				return nil, fmt.Errorf("a quote has no end")
			}
			inside := line[i+1 : i+1+end]
			if c == '"' && strings.ContainsAny(inside, "$`\\") {
				return nil, fmt.Errorf("a shell would expand %q", inside)
			}
			word.WriteString(inside)
			i, begun = i+1+end, true
		case '\\':
			if i++; i == len(line) {
				return nil, fmt.Errorf("the line ends in a backslash")
			}
			word.WriteByte(line[i])
			begun = true
		case '|', '&', ';', '<', '>', '(', ')', '$', '`', '*', '?', '#', '~', '!', '{', '}', '[', ']':
			return nil, fmt.Errorf("a shell would not take %q as it is", c)
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] != "rolecall" {
		return nil, fmt.Errorf("it is no command of this program")
	}
	return words, nil
}
