package guardserver

import (
	"net/http"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/otlp"
)

const traceparent = "Traceparent" // as net/http writes it

// begin begins the span of a decision, where traces are sent. The span takes the place of its
// parent in the request, which belongs to a new trace if it belonged to none: a refusal is called
// by the trace that has the span.
func (s *Server) begin(request guard.Request) *otlp.Span {
	if s.cfg.Traces == nil {
		return nil
	}
	parent := ""
	if lines := request.Header[traceparent]; len(lines) == 1 {
		parent = lines[0]
	}
	span := s.cfg.Traces.Begin(parent, s.cfg.Now())
	if request.Header != nil {
		request.Header[traceparent] = []string{span.Traceparent()}
		if span.Parent == (otlp.SpanID{}) {
			delete(request.Header, "Tracestate") // of a trace that nobody has named
		}
	}
	return &span
}

// end ends the span of a decision, with the status that was answered if that is known. It says
// what the settings and lists of the guard's own have, and which client was proven to call.
func (s *Server) end(j *judged, status int) {
	span := j.span
	if span == nil {
		return
	}
	text := func(key, value string) {
		if value != "" {
			span.Attributes = append(span.Attributes, otlp.Attribute{Key: key, Text: value})
		}
	}
	method := knownMethod(j.request.Method)
	if span.Name = method; j.Route != "" {
		span.Name += " " + j.Route
	}
	text("http.request.method", method)
	text("http.route", j.Route)
	if j.api != nil {
		text("server.address", j.api.settings.Host)
	}
	text("rolecall.guard.outcome", j.Outcome.String())
	text("rolecall.guard.reason", string(j.Reason))
	if caller, ok := j.Caller(); ok {
		text("rolecall.guard.client", caller.ClientID)
	}
	if status != 0 {
		span.Attributes = append(span.Attributes, otlp.Attribute{Key: "http.response.status_code", Number: int64(status)})
	}
	span.Failed = status >= http.StatusInternalServerError || j.Outcome == guard.Unavailable
	span.End = s.cfg.Now()
	s.cfg.Traces.Add(*span)
}

// knownMethod keeps what clients invent out of the names of spans.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	default:
		return "_OTHER" // which is what OpenTelemetry calls them
	}
}

// A noted answer knows its status.
type noted struct {
	http.ResponseWriter
	status int
}

// Unwrap is for http.ResponseController.
func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// WriteHeader notes the status.
func (n *noted) WriteHeader(status int) {
	if n.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		n.status = status
	}
	n.ResponseWriter.WriteHeader(status)
}

// Write writes; the status of an answer that names none is 200.
func (n *noted) Write(b []byte) (int, error) {
	if n.status == 0 {
		n.status = http.StatusOK
	}
	return n.ResponseWriter.Write(b)
}
