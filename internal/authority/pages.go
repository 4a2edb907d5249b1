package authority

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

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// The pages that people see: HTML without any script, and one style sheet.
//
//go:embed templates
var pageFiles embed.FS

const styleFile = "templates/rolecall.css"

// parsePages reads the templates: one of each name, all within the same frame.
func parsePages() (map[string]*template.Template, error) {
	pages := map[string]*template.Template{}
	for _, name := range []string{"signin", "consent", "device", "confirm", "signout", "message", "problem", "codes", "formpost"} {
		page, err := template.ParseFS(pageFiles, "templates/frame.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("authority: page %s: %w", name, err)
		}
		pages[name] = page
	}
	return pages, nil
}

// page fills in a template. What it is filled with cannot become markup.
func (a *Authority) page(name string, status int, data any) (answer, error) {
	var body bytes.Buffer
	if err := a.pages[name].ExecuteTemplate(&body, "frame", data); err != nil {
		return answer{}, fmt.Errorf("page %s: %w", name, err)
	}
	return answer{body: body.Bytes(), contentType: typeHTML, status: status}, nil
}

// style serves the style sheet, which stands in a file because no page may hold any.
func (a *Authority) style(_ context.Context, _ *exchange) (answer, error) {
	body, err := pageFiles.ReadFile(styleFile)
	return answer{body: body, contentType: typeCSS, cacheFor: dayCached}, err
}

// A message is a page that asks nothing.
type message struct {
	Title string
	Text  string
	Next  template.URL // where to go on; empty: nowhere
	Label string       // of the link there
}

func (a *Authority) messagePage(_ *exchange, m message) (answer, error) {
	return a.page("message", http.StatusOK, m)
}

// problemPage tells a person what a client would be told.
func (a *Authority) problemPage(x *exchange, p *aadsts.Problem) answer {
	response, err := a.page("problem", p.Status, struct {
		Title                               string
		Problem                             *aadsts.Problem
		Trace, Correlation, Timestamp, More string
	}{"That did not work", p, x.trace, x.correlation, a.timestamp(), errorPath + "?code=" + strconv.Itoa(p.Code)})
	if err != nil {
		return answer{body: []byte("The page cannot be shown.\n"), contentType: "text/plain; charset=utf-8", status: http.StatusInternalServerError}
	}
	response.retryAfter = p.RetryAfter
	return response
}

// errorPage explains a code to a person: where error_uri points.
func (a *Authority) errorPage(_ context.Context, x *exchange) (answer, error) {
	page := struct {
		Title string
		Rows  []aadsts.Row
	}{Title: "Unknown code"}
	code, _ := strconv.Atoi(x.http.URL.Query().Get("code"))
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
	return a.page("codes", status, page)
}

// formPost is the page by which parameters reach a client as a form. Somebody has to
// press its button, because a page without script cannot.
func (a *Authority) formPost(_ *exchange, uri string, parameters url.Values) (answer, error) {
	type field struct{ Name, Value string }
	var fields []field
	for name, values := range parameters {
		for _, value := range values {
			fields = append(fields, field{name, value})
		}
	}
	slices.SortFunc(fields, func(a, b field) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	response, err := a.page("formpost", http.StatusOK, struct {
		Title  string
		Action template.URL
		Host   string
		Fields []field
	}{"Back to the application", template.URL(uri), hostOf(uri), fields}) //nolint:gosec // isRedirect refuses what would run
	response.formTarget = formTarget(uri)
	return response, err
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

// whose is what pages say about an errand.
type whose struct {
	App     string
	AppID   directory.AppID
	Tenant  string
	Address string // where the answer goes
}

func (m *matter) whose() whose {
	w := whose{App: m.client.Principal.Name, AppID: m.client.Principal.AppID, Tenant: m.tenant.Name}
	if m.request != nil {
		w.Address = hostOf(m.request.redirectURI)
	}
	return w
}

// target is where the forms of an errand's pages may lead in the end.
func (m *matter) target() string {
	if m.request == nil {
		return ""
	}
	return formTarget(m.request.redirectURI)
}
