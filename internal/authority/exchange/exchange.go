package exchange

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// An Exchange is one HTTP request on its way to its one answer.
type Exchange struct {
	Request     *http.Request // nil: a token that this machine vouches for, without a request
	Origin      origin.Origin // under which the answer is given
	Tenant      string        // as the path names it
	Trace       string        // names this answer
	Correlation string        // the caller's name for the request, else ours
	Start       time.Time
	Now         func() time.Time
	Source      string           // network address of the caller
	Attempted   bool             // a credential was tried, and counted as a failure
	SignIn      directory.SignIn // the row about it, as far as it is known; none without a tenant

	writer   http.ResponseWriter // ends the connection of a body that is too large; the answer is written elsewhere
	endpoint string              // as it was mounted
	allow    string              // the methods of the endpoint, for a caller that chose another
	page     bool                // a person looks at the answer
	cookies  []*http.Cookie      // to be set
}

// Form reads the form in the body of a POST. The query is never part of it. Next to a
// problem it returns the parameters that were read until then.
func (x *Exchange) Form() (Form, error) { return readForm(x.writer, x.Request) }

// NoteCorrelation takes the caller's name for a request from its form (MSAL for Node).
func (x *Exchange) NoteCorrelation(f Form) {
	if id := f["client-request-id"]; x.Correlation == "" && guid.Is(id) {
		x.Correlation = id
	}
}

// NoteClient notes which client asks, and for what, where the tenant is not known in which it
// could be found.
func (x *Exchange) NoteClient(f Form) {
	if id := f["client_id"]; guid.Is(id) { // anything else may be a secret in the wrong field
		x.SignIn.AppID = directory.AppID(strings.ToLower(id))
	}
	x.SignIn.Library = x.Library(f)
}

// NoteRefusal lets the sign-in row say what the answer says, whose status is none of a
// refusal.
func (x *Exchange) NoteRefusal(p *aadsts.Problem) {
	noteRefusal(&x.SignIn, p)
}

// noteRefusal puts the words of a refusal into a sign-in row.
func noteRefusal(row *directory.SignIn, p *aadsts.Problem) {
	row.Code, row.Reason, row.Fix = p.Code, text.Line(p.What, text.MaxQuoted), text.Line(p.Advice, maxAdvice)
	if p.Code == 0 {
		row.Refusal = p.OAuth
	}
}

// maxAdvice is how much of a refusal's advice goes into a sign-in row, in bytes: the longest
// there is, with values of the usual length in it.
const maxAdvice = 512

// Library returns the name and version by which a client library introduces itself: in
// headers, or in the form (MSAL for Node).
func (x *Exchange) Library(f Form) string {
	header := x.Request.Header
	name, version := header.Get("x-client-SKU"), header.Get("x-client-Ver")
	if name == "" {
		name, version = f["x-client-SKU"], f["x-client-VER"]
	}
	if name == "" {
		name, version = header.Get("User-Agent"), ""
	}
	return Noted(strings.TrimSpace(name + " " + version))
}

// SetCookie sets a cookie that only this host gets, only over TLS, that no script reads
// and that no foreign form sends along. It goes when the browser closes; a negative age
// lets it go now.
func (x *Exchange) SetCookie(name, value string, age int) {
	for i, cookie := range x.cookies {
		if cookie.Name == name {
			x.cookies = append(x.cookies[:i], x.cookies[i+1:]...)
			break
		}
	}
	x.cookies = append(x.cookies, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// Timestamp is the time of the answer, as refusals state it.
func (x *Exchange) Timestamp() string { return x.Now().UTC().Format("2006-01-02 15:04:05Z") }

// Describe is the text of a refusal with what leads to it in the log.
func (x *Exchange) Describe(p *aadsts.Problem) string {
	return fmt.Sprintf("%s Trace ID: %s Correlation ID: %s Timestamp: %s", p.Error(), x.Trace, x.Correlation, x.Timestamp())
}

// ErrorPath is the page that explains a code.
const ErrorPath = "/error"

// ErrorURI is the address of the page that explains a refusal.
func (x *Exchange) ErrorURI(p *aadsts.Problem) string {
	return x.Origin.BaseURL + ErrorPath + "?code=" + strconv.Itoa(p.Code)
}

// Noted makes a short value from outside fit for a log line or a sign-in row.
func Noted(s string) string { return text.Line(s, aadsts.MaxNoted) }

// correlationOf returns the caller's name for its request: from the header, else from the
// query (MSAL for Node). The form, where it may stand as well, is read later. Anything
// but a GUID is ignored.
func correlationOf(r *http.Request) string {
	if id := r.Header.Get("client-request-id"); guid.Is(id) {
		return id
	}
	if r.URL.RawQuery == "" {
		return ""
	}
	if id := r.URL.Query().Get("client-request-id"); guid.Is(id) {
		return id
	}
	return ""
}
