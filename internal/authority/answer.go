package authority

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

// serverName is what answers say of who made them.
const serverName = "rolecall"

// An answer is a good answer, ready to be written.
type answer struct {
	body        []byte
	contentType string        // empty means JSON
	cacheFor    time.Duration // how long it may be cached; zero: never
	status      int           // zero means 200
	location    string        // where the browser shall go instead
	formTarget  string        // where a page's form may lead besides this authority; see formTarget
	retryAfter  int           // seconds; zero says nothing
}

// How long answers may be cached. Keys are fetched anew within the hour, so that a revoked
// one is not believed for a day.
const (
	neverCached = 0
	keysCached  = time.Hour
	dayCached   = 24 * time.Hour
)

const (
	typeJSON = "application/json; charset=utf-8"
	typeHTML = "text/html; charset=utf-8"
	typeCSS  = "text/css; charset=utf-8"
)

// jsonAnswer encodes a document.
func jsonAnswer(document any, cacheFor time.Duration) (answer, error) {
	body, err := json.Marshal(document)
	if err != nil {
		return answer{}, fmt.Errorf("encode answer: %w", err)
	}
	return answer{body: body, cacheFor: cacheFor}, nil
}

// writeAnswer writes a good answer. It and writeProblem are all that writes HTTP.
func writeAnswer(w http.ResponseWriter, x *exchange, response answer) {
	header := w.Header()
	commonHeaders(header, x)
	if response.cacheFor > 0 {
		header.Set("Cache-Control", "max-age="+strconv.Itoa(int(response.cacheFor/time.Second))+", private")
	}
	if response.contentType != "" {
		header.Set("Content-Type", response.contentType)
	}
	header.Set("Content-Length", strconv.Itoa(len(response.body)))
	for _, cookie := range x.cookies {
		http.SetCookie(w, cookie)
	}
	if response.contentType == typeHTML {
		pageHeaders(header, response.formTarget)
	}
	if response.location != "" {
		header.Set("Location", response.location)
		header.Set("Referrer-Policy", "no-referrer")
		header.Del("Content-Type")
	}
	if response.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(response.retryAfter))
	}
	if response.status != 0 {
		w.WriteHeader(response.status)
	}
	w.Write(response.body)
}

// pageHeaders sets what every page carries: no script, no foreign content, no frame around
// it. The referrer policy lets our own forms name their origin, and tells others nothing.
func pageHeaders(header http.Header, formTarget string) {
	forms := "'self'"
	if formTarget != "" {
		forms += " " + formTarget
	}
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action "+forms+"; base-uri 'none'; frame-ancestors 'none'")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "same-origin")
}

// commonHeaders sets what every answer carries. Only documents may be cached.
func commonHeaders(header http.Header, x *exchange) {
	header.Set("Cache-Control", "no-store, no-cache")
	header.Set("Content-Type", typeJSON)
	header.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("x-ms-request-id", x.trace)
	header.Set("client-request-id", x.correlation)
	header.Set("x-ms-ests-server", serverName)
	if x.http.Method == http.MethodPost {
		header.Set("Pragma", "no-cache")
		header.Set("Expires", "-1")
	}
}

// problemBody is the body of every refusal. Libraries decode error_codes as integers.
type problemBody struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri,omitempty"`
	SubError      string `json:"suberror,omitempty"`
}

func (a *Authority) timestamp() string { return a.now().UTC().Format("2006-01-02 15:04:05Z") }

// describe is the text of a refusal with what leads to it in the log.
func (a *Authority) describe(x *exchange, p *aadsts.Problem) string {
	return fmt.Sprintf("%s Trace ID: %s Correlation ID: %s Timestamp: %s", p.Error(), x.trace, x.correlation, a.timestamp())
}

// errorURI is the page that explains a refusal.
func (a *Authority) errorURI(p *aadsts.Problem) string {
	return a.base + errorPath + "?code=" + strconv.Itoa(p.Code)
}

// writeProblem writes a refusal.
func (a *Authority) writeProblem(w http.ResponseWriter, x *exchange, p *aadsts.Problem) {
	timestamp := a.timestamp()
	body := problemBody{
		Error:       p.OAuth,
		Description: a.describe(x, p),
		Codes:       []int{},
		Timestamp:   timestamp, TraceID: x.trace, CorrelationID: x.correlation,
		SubError: p.SubError,
	}
	if p.Code != 0 {
		body.Codes = []int{p.Code}
		body.URI = a.errorURI(p)
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		encoded = []byte(`{"error":"server_error"}`)
	}
	header := w.Header()
	commonHeaders(header, x)
	header.Set("Pragma", "no-cache")
	header.Set("Expires", "-1")
	header.Set("Content-Length", strconv.Itoa(len(encoded)))
	header.Set("x-ms-clitelem", "1,"+strconv.Itoa(p.Code)+",0,,")
	if x.allow != "" {
		header.Set("Allow", x.allow)
	}
	if p.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	if p.Status == http.StatusUnauthorized && x.http.Header.Get("Authorization") != "" {
		header.Set("WWW-Authenticate", `Basic realm="`+a.host+`", charset="UTF-8"`)
	}
	w.WriteHeader(p.Status)
	w.Write(encoded)
}
