package signin

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// The pages that people see: HTML without any script but submitScript, and one style sheet.
//
//go:embed templates
var pageFiles embed.FS

const styleFile = "templates/rolecall.css"

// pages are the templates by name.
type pages map[string]*template.Template

// parsePages reads the templates: one of each name, all within the same frame.
func parsePages() (pages, error) {
	parsed := pages{}
	for _, name := range []string{"signin", "consent", "device", "confirm", "signout", "message", "problem", "codes", "formpost"} {
		page, err := template.ParseFS(pageFiles, "templates/frame.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("authority: page %s: %w", name, err)
		}
		parsed[name] = page
	}
	return parsed, nil
}

// render fills in a template. What it is filled with cannot become markup.
func (p pages) render(name string, status int, data any) (exchange.Answer, error) {
	var body bytes.Buffer
	if err := p[name].ExecuteTemplate(&body, "frame", data); err != nil {
		return exchange.Answer{}, fmt.Errorf("page %s: %w", name, err)
	}
	return exchange.Answer{Body: body.Bytes(), ContentType: exchange.TypeHTML, Status: status}, nil
}

// style serves the style sheet, which stands in a file because no page may hold any.
func style(context.Context, *exchange.Exchange) (exchange.Answer, error) {
	body, err := pageFiles.ReadFile(styleFile)
	return exchange.Answer{Body: body, ContentType: exchange.TypeCSS, CacheFor: exchange.DayCached}, err
}

// A message is a page that asks nothing.
type message struct {
	Title string
	Text  string
	Next  template.URL // where to go on; empty: nowhere
	Label string       // of the link there
}

func (p pages) message(m message) (exchange.Answer, error) {
	return p.render("message", http.StatusOK, m)
}

// front is the page of the bare address, which people open to see whether something runs there.
// Programs are told that there is no endpoint.
func (p pages) front(_ context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	if !strings.Contains(x.Request.Header.Get("Accept"), "text/html") {
		return exchange.Answer{}, aadsts.NoEndpoint(x.Request.URL.Path)
	}
	return p.message(message{
		Title: "The authority is running",
		Text: "Programs get tokens here. There is nothing to sign in to at this address: an application leads you to its sign-in, " +
			"and rolecall on the command line shows who may call what.",
	})
}

// problem tells a person what a client would be told.
func (p pages) problem(x *exchange.Exchange, problem *aadsts.Problem) exchange.Answer {
	answer, err := p.render("problem", problem.Status, struct {
		Title                               string
		Problem                             *aadsts.Problem
		Trace, Correlation, Timestamp, More string
	}{"That did not work", problem, x.Trace, x.Correlation, x.Timestamp(), exchange.ErrorPath + "?code=" + strconv.Itoa(problem.Code)})
	if err != nil {
		return exchange.Answer{Body: []byte("The page cannot be shown.\n"), ContentType: "text/plain; charset=utf-8", Status: http.StatusInternalServerError}
	}
	answer.RetryAfter = problem.RetryAfter
	return answer
}

// explain explains a code to a person: where error_uri points.
func (p pages) explain(_ context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	page := struct {
		Title string
		Rows  []aadsts.Row
	}{Title: "Unknown code"}
	code, _ := strconv.Atoi(x.Request.URL.Query().Get("code"))
	for _, row := range aadsts.Table() {
		if code != 0 && row.Code == code {
			page.Title = "AADSTS" + strconv.Itoa(code)
			page.Rows = append(page.Rows, row)
		}
	}
	status := http.StatusOK
	if page.Rows == nil {
		status = http.StatusNotFound
	}
	return p.render("codes", status, page)
}

// submitScript presses the button of the page that carries an answer, where scripts run.
const submitScript = "document.forms[0].submit()"

// formPost is the page by which parameters reach a client as a form. It sends itself; where no
// script runs, somebody presses its button.
func (p pages) formPost(uri string, parameters url.Values) (exchange.Answer, error) {
	type field struct{ Name, Value string }
	var fields []field
	for name, values := range parameters {
		for _, value := range values {
			fields = append(fields, field{name, value})
		}
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
	answer, err := p.render("formpost", http.StatusOK, struct {
		Title  string
		Action template.URL
		Host   string
		Fields []field
		Script template.JS
	}{"Back to the application", template.URL(uri), hostOf(uri), fields, submitScript}) //nolint:gosec // isRedirect refuses what would run
	answer.FormTarget, answer.Script = formTarget(uri), submitScript
	return answer, err
}

// hostOf is the part of a redirect URI that says whose it is. Of a program's own scheme
// that is the scheme.
func hostOf(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return ""
	case u.Host == "":
		return u.Scheme + ":"
	case u.Scheme != "http" && u.Scheme != "https":
		return u.Scheme + "://" + u.Host
	}
	return u.Host
}

// whose is what pages say about the request of an interaction.
type whose struct {
	App     string
	AppID   directory.AppID
	Tenant  string
	Address string // where the answer goes
}

func (r *resolvedRequest) whose() whose {
	w := whose{App: r.client.Principal.Label(), AppID: r.client.Principal.AppID, Tenant: r.tenant.Name}
	if r.request != nil {
		w.Address = hostOf(r.request.redirectURI)
	}
	return w
}

// target is where the forms of a request's pages may lead in the end.
func (r *resolvedRequest) target() string {
	if r.request == nil {
		return ""
	}
	return formTarget(r.request.redirectURI)
}
