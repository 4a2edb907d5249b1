package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/loopback"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// maxAnswer bounds what `rolecall call` reads of an answer.
const maxAnswer = 32 << 20

// maxRefusal bounds what is looked at of a refusal.
const maxRefusal = 64 << 10

// A limited writer passes on the beginning of what it is given, and takes the rest as well.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.left -= n
	if _, err := l.w.Write(b[:n]); err != nil {
		return 0, err
	}
	return len(b), nil
}

// A caller calls APIs.
type caller struct{ *cli }

func callCommand(base *cli) *cobra.Command {
	c := caller{base}
	var r request
	var method, body string
	var headers []string
	cmd := &cobra.Command{
		Use:   "call --as NAME URL",
		Short: "Call an API with a token, like curl",
		Long: `Gets a token as an application, managed identity or user and calls an API with it, over
https, or over http on this machine. The API's own challenge says which token to ask
for; --scope says so for APIs whose challenge does not. If the API refuses the call (401
or 403), the exit code is 4, and it is explained: by the check that the token fails, or,
where the directory finds nothing wrong, by the setting of the API that must be.`,
		Example: `  rolecall call --as orders-client http://localhost:7071/api/GetOrders
  rolecall call --as orders-client -X POST -d '{"item":"Pencil"}' http://localhost:7071/api/orders`,
		Args: command.Exactly(1, "the URL to call"),
	}
	r.flags(cmd)
	c.ServerFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&r.scope, "scope", "", "scope to ask for (default: what the API's challenge says)")
	flags.StringVarP(&method, "request", "X", "", "method (default GET, or POST with -d)")
	flags.StringVarP(&body, "body", "d", "", "request body; @FILE reads it from a file, @- from standard input")
	flags.StringArrayVarP(&headers, "header", "H", nil, "another header: 'Name: value'")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		target, err := c.newCall(method, args[0], body, headers)
		if err != nil {
			return command.UsageError(cmd, err)
		}
		told := r.scope == "" && r.as != "" // the API itself says what to ask for
		if told {
			r.scope, err = c.scopeOf(cmd.Context(), target.url)
			if err != nil {
				return err
			}
		}
		way, err := r.check()
		if err != nil {
			return command.UsageError(cmd, err)
		}
		token, err := c.tokenFor(cmd.Context(), r, way)
		if err != nil && told && strings.Contains(err.Error(), resourceNotFound) {
			return misnamed(strings.TrimSuffix(r.scope, "/.default"), err)
		}
		if err != nil {
			return err
		}
		return c.carryOut(cmd.Context(), target, token.Token)
	}
	return cmd
}

// resourceNotFound begins the authority's refusal of an API that is not registered.
const resourceNotFound = "AADSTS500011:"

// misnamed is the refusal of a token for what an API calls itself.
func misnamed(api string, refused error) error {
	return command.Fail(command.ExitRefused, fmt.Errorf("the API calls itself %q in its challenge, and no API is registered under that name: %w", text.Shown(api), refused),
		"correct the API's Audience, or name the API with --scope")
}

// A target is the request to make.
type target struct {
	method  string
	url     *url.URL
	headers http.Header
	body    string
}

func (c caller) newCall(method, address, body string, headers []string) (target, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return target{}, fmt.Errorf("%q is not a URL such as http://localhost:7071/api/GetOrders", address)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback.Is(u.Hostname())) {
		return target{}, fmt.Errorf("a token must not be sent over %s to %s: use https, or http on this machine", u.Scheme, u.Host)
	}
	t := target{method: method, url: u, headers: http.Header{}}
	for _, header := range headers {
		name, value, ok := strings.Cut(header, ":")
		if !ok {
			return target{}, fmt.Errorf("header %q has no colon: write 'Name: value'", name)
		}
		t.headers.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if file, ok := strings.CutPrefix(body, "@"); ok {
		content, err := c.ReadFile(file)
		if err != nil {
			return target{}, fmt.Errorf("read the body: %w", err)
		}
		body = string(content)
	}
	t.body = body
	if t.method == "" {
		t.method = http.MethodGet
		if body != "" {
			t.method = http.MethodPost
		}
	}
	if body != "" && t.headers.Get("Content-Type") == "" {
		t.headers.Set("Content-Type", "application/json")
	}
	return t, nil
}

// scopeOf returns the scope for the API at a URL, as the API itself tells it.
func (c caller) scopeOf(ctx context.Context, u *url.URL) (string, error) {
	api, err := c.apiAt(ctx, u)
	if err != nil {
		return "", err
	}
	if api == "" {
		return "", command.Failed("say it with --scope, as in --scope api://orders/.default",
			"%s does not say which token it requires: its challenge names no API", u.Redacted())
	}
	return api + "/.default", nil
}

// apiAt asks without a token and reads in the challenge which API is there; empty when it
// does not tell. It asks with GET, which changes nothing, whatever the request will be.
func (c caller) apiAt(ctx context.Context, u *url.URL) (string, error) {
	response, err := c.send(ctx, target{method: http.MethodGet, url: u, headers: http.Header{}}, "")
	if err != nil {
		return "", err
	}
	return apiOf(response), response.Body.Close()
}

// apiOf returns what the API calls itself in its challenge: an application id or an
// identifier URI; empty when it does not tell.
func apiOf(response *http.Response) string {
	for _, challenge := range response.Header.Values("WWW-Authenticate") {
		if resource := challengeParameter(challenge, "resource_id"); resource != "" {
			return resource
		}
		if api, ok := strings.CutSuffix(challengeParameter(challenge, "scope"), "/.default"); ok {
			return api
		}
	}
	return ""
}

// challengeParameter finds a parameter in a challenge, quoted or not.
func challengeParameter(challenge, name string) string {
	for _, part := range strings.FieldsFunc(challenge, func(r rune) bool { return r == ',' || r == ' ' }) {
		if value, ok := strings.CutPrefix(part, name+"="); ok {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

// send makes the request, with the token unless that is empty. Redirects are not followed:
// the token is for this address alone.
func (c caller) send(ctx context.Context, t target, token string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, t.method, t.url.String(), strings.NewReader(t.body))
	if err != nil {
		return nil, err
	}
	request.Header = t.headers.Clone()
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client, err := c.callClient(ctx)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, command.Fail(command.ExitFailed, err, "nothing listens at "+t.url.Host+": start the API, or correct the address")
	}
	return response, err
}

// redirected is for an answer that leads elsewhere. The token is for the address that was
// given and goes nowhere else.
func redirected(t target, response *http.Response) error {
	where := "another address"
	if to, err := response.Location(); err == nil {
		to.RawQuery, to.Fragment = "", ""
		where = text.Line(to.Redacted(), text.MaxQuoted)
	}
	return command.Failed("call that address, if the API is there; if that is a sign-in page, set the API up to answer 401 instead",
		"%s answered %s and sends the caller to %s, which this command does not follow", t.url.Redacted(), response.Status, where)
}

// callClient trusts the certificate authority of the data folder, or of the server elsewhere, if
// there is one, and the system's.
func (c caller) callClient(ctx context.Context) (*http.Client, error) {
	if c.Server != "" {
		s, err := c.openElsewhere(ctx)
		if err != nil {
			return nil, err
		}
		s.signedIn.Close()
		return trustingClient(s.Endpoints().CABundle)
	}
	bundle := filepath.Join(c.Dir, server.BundleFile)
	if _, err := os.Stat(bundle); errors.Is(err, os.ErrNotExist) {
		return newClient(nil), nil
	}
	return trustingClient(bundle)
}

// carryOut calls the API, prints its answer, and explains a refusal.
func (c caller) carryOut(ctx context.Context, t target, token string) (err error) {
	response, err := c.send(ctx, t, token)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	var beginning bytes.Buffer // of a refusal
	if _, err := io.Copy(c.Out, io.TeeReader(io.LimitReader(response.Body, maxAnswer), &limited{&beginning, maxRefusal})); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	var answer explain.Answer
	if response.StatusCode >= http.StatusBadRequest {
		answer = explain.ReadAnswer(response.StatusCode, response.Header, beginning.Bytes(), c.Now())
	}
	switch {
	case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden || answer.Guarded:
		c.Say("%s answered %s", t.url.Redacted(), response.Status)
		return explainer(c).explainRefusal(ctx, t, answer, token)
	case response.StatusCode >= http.StatusMultipleChoices && response.StatusCode < http.StatusBadRequest && response.Header.Get("Location") != "":
		return redirected(t, response)
	case response.StatusCode >= http.StatusBadRequest:
		return command.Failed("", "%s answered %s", t.url.Redacted(), response.Status)
	default:
		if c.Screen.Terminal {
			fmt.Fprintln(c.Out)
		}
		return nil
	}
}
