package exchange

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

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

// writeProblem writes a refusal.
func writeProblem(w http.ResponseWriter, x *Exchange, p *aadsts.Problem) {
	timestamp := x.Timestamp()
	body := problemBody{
		Error:       p.OAuth,
		Description: x.Describe(p),
		Codes:       []int{},
		Timestamp:   timestamp, TraceID: x.Trace, CorrelationID: x.Correlation,
		SubError: p.SubError,
	}
	if p.Code != 0 {
		body.Codes = []int{p.Code}
		body.URI = x.ErrorURI(p)
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
	if p.Status == http.StatusUnauthorized && x.Request.Header.Get("Authorization") != "" {
		header.Set("WWW-Authenticate", `Basic realm="`+x.Origin.Host+`", charset="UTF-8"`)
	}
	w.WriteHeader(p.Status)
	w.Write(encoded)
}
