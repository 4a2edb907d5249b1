package guardserver

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/otlp"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A judged is a request and what was decided about it.
type judged struct {
	guard.Decision
	api     *api // nil if no API has the host
	request guard.Request
	span    *otlp.Span // nil where no traces are sent; ended by end
}

// judge decides about a request to a host, counts the decision and logs one line of it. It is
// the only way to a decision, whatever the form.
func (s *Server) judge(ctx context.Context, now *setup, host string, request guard.Request, peer string) judged {
	a := now.of(host)
	if a == nil {
		return s.refuse(ctx, host, request, peer, "no API of the settings has this host")
	}
	span := s.begin(request)
	d := a.policy.Decide(ctx, request)
	s.tell(ctx, a, host, request, peer, d, "")
	if shadow, ok := a.policy.Shadow(ctx, request, d); ok {
		s.tellShadow(ctx, a, host, request, d, shadow)
	}
	return judged{d, a, request, span}
}

// refuse refuses a request that is for none of the APIs, or that nobody may ask about.
func (s *Server) refuse(ctx context.Context, host string, request guard.Request, peer, detail string) judged {
	span := s.begin(request)
	d := guard.Refuse(request, guard.NoPolicy)
	s.tell(ctx, nil, host, request, peer, d, detail)
	return judged{Decision: d, request: request, span: span}
}

// Limits, in bytes, of what a line of the log has.
const (
	maxHost   = 200
	maxDetail = 600
)

// tell counts a decision and logs it.
func (s *Server) tell(ctx context.Context, a *api, host string, request guard.Request, peer string, d guard.Decision, detail string) {
	s.metrics.count(a, d, false)
	if !s.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	var room [16]slog.Attr
	attributes := append(appendDecision(room[:0], host, request, d), slog.String("peer", peer))
	if caller, ok := d.Caller(); ok {
		attributes = append(attributes, slog.String("principal", caller.ObjectID), slog.String("caller", string(caller.Kind)), slog.String("token_id", text.Line(caller.TokenID, text.MaxShown)))
	}
	if !d.Allowed() {
		if detail == "" {
			detail = d.Detail()
		}
		attributes = append(attributes, slog.String("detail", text.Line(detail, maxDetail)), slog.String("fix", text.Line(d.Fix(), maxDetail)), slog.Any("evidence", d.Evidence()))
	}
	s.write(ctx, "decision", attributes)
}

func appendDecision(attributes []slog.Attr, host string, request guard.Request, d guard.Decision) []slog.Attr {
	attributes = append(attributes, slog.String("host", text.Line(host, maxHost)))
	attributes = append(attributes, request.LogValue().Group()...)
	return append(attributes, d.LogValue().Group()...)
}

// write writes a line of the log. A Logger would look up where it is called from, which is always
// here.
func (s *Server) write(ctx context.Context, message string, attributes []slog.Attr) {
	if !s.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	line := slog.NewRecord(time.Now(), slog.LevelInfo, message, 0)
	line.AddAttrs(attributes...)
	_ = s.log.Handler().Handle(ctx, line) // there is no other log to say it in
}

// tellShadow counts what a shadow rule would have decided, and logs it where that is another
// thing.
func (s *Server) tellShadow(ctx context.Context, a *api, host string, request guard.Request, enforced, shadow guard.Decision) {
	s.metrics.count(a, shadow, true)
	if shadow.Outcome == enforced.Outcome && shadow.Reason == enforced.Reason {
		return
	}
	shadow.TraceID = enforced.TraceID
	attributes := append(appendDecision(nil, host, request, shadow), slog.String("enforced", enforced.Outcome.String()), slog.String("detail", text.Line(shadow.Detail(), maxDetail)), slog.String("fix", text.Line(shadow.Fix(), maxDetail)))
	s.write(ctx, "shadow decision", attributes)
}

// answer sends the answer to a refusal.
func answer(w http.ResponseWriter, r *http.Request, a guard.Answer) {
	header := w.Header()
	for name, lines := range a.Header {
		header[name] = lines
	}
	w.WriteHeader(a.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.Body) // a client that has gone needs no answer
	}
}

// isGRPC reports whether a request is a call of gRPC, which is answered otherwise.
func isGRPC(r *http.Request) bool {
	kind := r.Header.Get("Content-Type")
	return r.ProtoMajor == 2 && (kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+") || strings.HasPrefix(kind, "application/grpc;"))
}
