package guardserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
)

// proxy is the form in which requests that are let in go on to the upstream.
func (s *Server) proxy(w http.ResponseWriter, r *http.Request, now *setup) {
	request := now.certified(r, guard.RequestOf(r))
	a := now.of(r.Host)
	if a != nil && now.file.Identity == guardfile.IdentityEasyAuth && isAuthPath(request) {
		s.me(w, r, a, request)
		return
	}
	if a != nil && a.document != "" && request.Path == a.document && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		a.guard.MetadataHandler().ServeHTTP(w, r)
		return
	}
	j := s.judge(r.Context(), now, r.Host, request, r.RemoteAddr)
	if j.span != nil {
		answered := &noted{ResponseWriter: w}
		w = answered
		defer func() { s.end(&j, answered.status) }() // when the last of the answer is sent, or nobody waits for it
	}
	if !j.Allowed() {
		if isGRPC(r) {
			answerGRPC(w, j.Decision)
			return
		}
		answer(w, r, j.Answer())
		return
	}
	out := r.WithContext(context.WithValue(r.Context(), passageKey{}, &passage{&j, now.trusts(r), now.file.KeepStreams}))
	if rule, ok := j.Rule(); ok && !rule.Anonymous {
		w = &varying{ResponseWriter: w}
	}
	j.api.upstream.ServeHTTP(w, out)
}

// A passage is what Rewrite has to know of a request that was let in.
type passage struct {
	*judged
	trusted bool // whether the peer may say who the client is
	endless bool // whether streams outlive the token
}

type passageKey struct{}

// rewrite makes the request for the upstream. What a client may not say is removed from the
// request as it goes out, and the guard's own headers come last, so that no trick of the
// client's, such as naming them in Connection, removes them again.
func (u *upstream) rewrite(p *httputil.ProxyRequest) {
	through, _ := p.In.Context().Value(passageKey{}).(*passage)
	out := p.Out
	out.URL.Scheme, out.URL.Host = u.scheme, u.host
	out.URL.RawQuery = p.In.URL.RawQuery // as it was sent: the guard has looked at it
	if out.Host = p.In.Host; !u.near {
		out.Host = ""
	}
	out.Trailer = nil // arrives after the decision
	out.Header = guard.Sanitize(out.Header)
	onlyWebsocket(out.Header)
	dropForwarded(out.Header)
	if through.trusted {
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Prefix"} {
			if lines, ok := p.In.Header[name]; ok {
				out.Header[name] = lines
			}
		}
	}
	p.SetXForwarded()
	if through.trusted {
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto"} {
			if lines, ok := p.In.Header[name]; ok {
				out.Header[name] = lines
			}
		}
	}
	if !through.api.forward {
		delete(out.Header, "Authorization")
		delete(out.Header, "Dpop") // the proof that belongs to it
	}
	if through.span != nil {
		out.Header[traceparent] = []string{through.span.Traceparent()}
	}
	setIdentity(out.Header, through.identify())
}

// onlyWebsocket removes an upgrade to anything else, above all to HTTP/2, whose requests would
// not be decided on.
func onlyWebsocket(header http.Header) {
	if upgrade, ok := header["Upgrade"]; ok && (len(upgrade) != 1 || !strings.EqualFold(upgrade[0], "websocket")) {
		delete(header, "Upgrade")
		delete(header, "Connection")
	}
	delete(header, "Http2-Settings")
}

// dropForwarded removes what says who the client is, in every spelling: the guard says it.
func dropForwarded(header http.Header) {
	for name := range header {
		if len(name) < len("forwarded") || name[0]|0x20 != 'x' && name[0]|0x20 != 'f' {
			continue // as nearly all are
		}
		plain := plainName(name)
		if plain == "forwarded" || plain == "x-real-ip" || strings.HasPrefix(plain, "x-forwarded-") {
			delete(header, name)
		}
	}
}

// plainName is a name as servers read it that turn headers into variables.
func plainName(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			return c
		case 'A' <= c && c <= 'Z':
			return c + 'a' - 'A'
		default:
			return '-'
		}
	}, name)
}

// varying tells caches that an answer depends on who asked, where the upstream tells nothing.
type varying struct {
	http.ResponseWriter
	done bool
}

// Unwrap is for http.ResponseController.
func (v *varying) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// WriteHeader adds what the upstream left out.
func (v *varying) WriteHeader(status int) {
	if !v.done && status >= http.StatusOK {
		v.done = true
		if header := v.Header(); len(header["Vary"]) == 0 && status < http.StatusMultipleChoices {
			header["Vary"] = []string{"Authorization"}
		}
	}
	v.ResponseWriter.WriteHeader(status)
}

// failed answers a request that the upstream did not.
func (s *Server) failed(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client has gone, and needs no answer
	}
	status, code, text := http.StatusBadGateway, "bad_gateway", "The API behind the guard cannot be reached."
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		status, code, text = http.StatusGatewayTimeout, "gateway_timeout", "The API behind the guard did not answer in time."
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		status, code, text = http.StatusRequestEntityTooLarge, "too_large", "The body of the request is too large."
	}
	s.metrics.upstreamErrors.Add(1)
	s.log.LogAttrs(r.Context(), slog.LevelWarn, "upstream failed", append(guard.RequestOf(r).LogValue().Group(), slog.Int("status", status), slog.Any("error", err))...)
	writeJSON(w, status, map[string]string{"error": code, "error_description": text})
}

// answerGRPC sends a refusal as a call of gRPC gets it: all of it in the header.
func answerGRPC(w http.ResponseWriter, d guard.Decision) {
	refusal := d.Answer()
	header := w.Header()
	for _, name := range []string{"Www-Authenticate", "Retry-After", "Cache-Control"} {
		if lines, ok := refusal.Header[name]; ok {
			header[name] = lines
		}
	}
	header.Set("Content-Type", "application/grpc")
	header.Set("Grpc-Status", grpcCode(d.Outcome))
	header.Set("Grpc-Message", grpcMessage(d.Reason.Description()+" ("+string(d.Reason)+")"))
	w.WriteHeader(http.StatusOK)
}
