package functions

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// httpTrigger is the value of an HTTP trigger's binding.
type httpTrigger struct {
	URL     string `json:"Url"`
	Method  string
	Headers map[string][]string
	Body    json.RawMessage // absent when the request had none
}

// httpOutput is the value of an HTTP output binding.
type httpOutput struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
}

// serveHTTP gives the application the request that a trigger describes.
func serveHTTP(app http.Handler, outer *http.Request, value json.RawMessage, out string) outcome {
	r, err := request(outer, value)
	if err != nil {
		return failed(http.StatusBadRequest, err)
	}
	w := &response{header: make(http.Header)}
	app.ServeHTTP(w, r)
	return succeeded(map[string]any{out: w.output()})
}

// request makes the request again. Its path, headers and body are those the client
// sent; nothing is taken from the host's own request but where it came from.
func request(outer *http.Request, value json.RawMessage) (*http.Request, error) {
	if len(value) == 0 {
		return nil, errors.New("invocation has no value for the HTTP trigger; compare the binding's name in function.json")
	}
	var trigger httpTrigger
	if err := json.Unmarshal(value, &trigger); err != nil {
		return nil, fmt.Errorf("value of the HTTP trigger: %w", err)
	}
	u, err := url.Parse(trigger.URL)
	if err != nil || u.Host == "" {
		return nil, errors.New("value of the HTTP trigger has no absolute Url")
	}
	header := make(http.Header, len(trigger.Headers))
	for name, values := range trigger.Headers {
		for _, v := range values {
			header.Add(name, v)
		}
	}
	body, err := triggerBody(trigger.Body, header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(outer.Context(), trigger.Method, "/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("value of the HTTP trigger: %w", err)
	}
	// As net/http's server reads a request line: path and query alone, the host apart.
	r.RequestURI, r.Host = u.RequestURI(), u.Host
	if r.URL, err = url.ParseRequestURI(r.RequestURI); err != nil {
		return nil, fmt.Errorf("value of the HTTP trigger: %w", err)
	}
	header.Del("Content-Length") // of the body as the host received it
	header.Del("Transfer-Encoding")
	header.Del("Host") // where net/http keeps it, in r.Host
	r.Header = header
	r.RemoteAddr = outer.RemoteAddr
	return r, nil
}

// triggerBody undoes what the host does to bodies: text becomes a JSON string, bytes
// become base64 in one, JSON may come as it is.
func triggerBody(value json.RawMessage, contentType string) ([]byte, error) {
	if len(value) == 0 || string(value) == "null" {
		return nil, nil
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return value, nil //nolint:nilerr // not a string, so JSON as it is
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "application/octet-stream" && !strings.HasPrefix(kind, "multipart/") {
		return []byte(text), nil //nolint:nilerr // a type that cannot be read is no type of bytes
	}
	body, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("body of type %s is not base64: %w", kind, err)
	}
	return body, nil
}

// response keeps what the application answers.
type response struct {
	header http.Header
	status int
	body   bytes.Buffer
	sent   http.Header // as it was when the status was written
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return
	}
	w.status, w.sent = status, w.header.Clone()
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

func (w *response) output() httpOutput {
	w.WriteHeader(http.StatusOK)
	headers := make(map[string]string, len(w.sent))
	for name, values := range w.sent {
		headers[name] = strings.Join(values, ", ")
	}
	return httpOutput{StatusCode: w.status, Headers: headers, Body: w.body.String()}
}
