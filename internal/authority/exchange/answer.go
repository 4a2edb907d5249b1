package exchange

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// serverName is what answers say of who made them.
const serverName = "rolecall"

// An Answer is a good answer, ready to be written.
type Answer struct {
	Body        []byte
	ContentType string        // empty means JSON
	CacheFor    time.Duration // how long it may be cached; zero: never
	Tag         string        // entity tag of a document that is asked for again and again; empty means none
	Status      int           // zero means 200
	Location    string        // where the browser shall go instead
	FormTarget  string        // where a page's form may lead besides this authority: a source expression
	Script      string        // the one script of a page, as it stands there; empty: none runs
	RetryAfter  int           // seconds; zero says nothing
}

// How long answers may be cached. Keys are fetched anew within the hour, so that a revoked
// one is not believed for a day; on the day after a revocation, when the next one may follow,
// within minutes.
const (
	NeverCached   = 0
	RevokedCached = 5 * time.Minute
	KeysCached    = time.Hour
	DayCached     = 24 * time.Hour
)

// The media types of answers.
const (
	typeJSON = "application/json; charset=utf-8"
	TypeHTML = "text/html; charset=utf-8"
	TypeCSS  = "text/css; charset=utf-8"
)

// JSON is the answer that a document makes.
func JSON(document any, cacheFor time.Duration) (Answer, error) {
	body, err := json.Marshal(document)
	if err != nil {
		return Answer{}, fmt.Errorf("encode answer: %w", err)
	}
	return Answer{Body: body, CacheFor: cacheFor}, nil
}

// WriteAnswer writes a good answer. It and writeProblem are all that writes HTTP.
func WriteAnswer(w http.ResponseWriter, x *Exchange, answer Answer) {
	header := w.Header()
	commonHeaders(header, x)
	if answer.CacheFor > 0 {
		header.Set("Cache-Control", "max-age="+strconv.Itoa(int(answer.CacheFor/time.Second))+", private")
	}
	if answer.Tag != "" {
		header.Set("ETag", answer.Tag)
		if unchanged(x.Request.Header, answer.Tag) {
			header.Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if answer.ContentType != "" {
		header.Set("Content-Type", answer.ContentType)
	}
	header.Set("Content-Length", strconv.Itoa(len(answer.Body)))
	for _, cookie := range x.cookies {
		http.SetCookie(w, cookie)
	}
	if answer.ContentType == TypeHTML {
		pageHeaders(header, answer.FormTarget, answer.Script)
	}
	if answer.Location != "" {
		header.Set("Location", answer.Location)
		header.Set("Referrer-Policy", "no-referrer")
		header.Del("Content-Type")
	}
	if answer.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(answer.RetryAfter))
	}
	if answer.Status != 0 {
		w.WriteHeader(answer.Status)
	}
	w.Write(answer.Body)
}

// TagOf is the entity tag of a body: the same for the same bytes, on every node.
func TagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// unchanged reports whether a request asks for a document only if it is another one than
// that of the tag (RFC 9110 section 13.1.2).
func unchanged(header http.Header, tag string) bool {
	for _, line := range header.Values("If-None-Match") {
		for one := range strings.SplitSeq(line, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// pageHeaders sets what every page carries: no script but the one that is known, no foreign
// content, no frame around it. The referrer policy lets our own forms name their origin, and tells others nothing.
func pageHeaders(header http.Header, formTarget, script string) {
	forms := "'self'"
	if formTarget != "" {
		forms += " " + formTarget
	}
	scripts := ""
	if script != "" {
		sum := sha256.Sum256([]byte(script))
		scripts = "script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; "
	}
	header.Set("Content-Security-Policy", "default-src 'none'; "+scripts+"style-src 'self'; form-action "+forms+"; base-uri 'none'; frame-ancestors 'none'")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "same-origin")
}

// commonHeaders sets what every answer carries. Only documents may be cached.
func commonHeaders(header http.Header, x *Exchange) {
	header.Set("Cache-Control", "no-store, no-cache")
	header.Set("Content-Type", typeJSON)
	// HSTS counts for a name and not for a port (RFC 6797 section 8.2): at localhost it would
	// break every other server of the machine.
	if !x.Origin.IsLocal() {
		header.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("x-ms-request-id", x.Trace)
	header.Set("client-request-id", x.Correlation)
	header.Set("x-ms-ests-server", serverName)
	if x.Request.Method == http.MethodPost {
		header.Set("Pragma", "no-cache")
		header.Set("Expires", "-1")
	}
}
