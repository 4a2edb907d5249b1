package guardserver

import (
	"context"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
)

// tetherLook is how often a stream that stays open is looked at: its token may be revoked, and
// the clock may have been set.
const tetherLook = 2 * time.Second

// tethered ties answers that need not end, such as websockets, to the token by which they were
// let in. What has a length is left alone: it ends by itself.
func (s *Server) tethered(resp *http.Response) error {
	through, _ := resp.Request.Context().Value(passageKey{}).(*passage)
	if through == nil || through.endless || through.Until().IsZero() || !isStream(resp) {
		return nil
	}
	t := &tether{server: s, judged: through.judged, body: resp.Body, closed: make(chan struct{})}
	if conn, ok := resp.Body.(io.ReadWriteCloser); ok {
		resp.Body = &tetheredConn{tetheredBody{conn, t}, conn}
	} else {
		resp.Body = &tetheredBody{resp.Body, t}
	}
	go t.watch()
	return nil
}

// isStream reports whether an answer is of a kind that stays open: a websocket, server-sent
// events, or a call of gRPC.
func isStream(resp *http.Response) bool {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return true
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err == nil && resp.ContentLength < 0 && (kind == "text/event-stream" || kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+"))
}

// A tether is what holds a stream to its token.
type tether struct {
	server *Server
	*judged
	body   io.Closer
	once   sync.Once
	closed chan struct{}
}

// release lets go of a stream that has ended.
func (t *tether) release() { t.once.Do(func() { close(t.closed) }) }

// watch ends the stream with its token.
func (t *tether) watch() {
	for {
		left := t.Until().Sub(t.server.cfg.Now())
		if reason := t.ended(left); reason != "" {
			t.server.write(context.Background(), "stream ended", append(appendDecision(nil, t.api.settings.Host, t.request, t.Decision), slog.String("because", string(reason))))
			_ = t.body.Close() // which whoever copies it notices
			return
		}
		timer := time.NewTimer(min(left, tetherLook))
		select {
		case <-timer.C:
		case <-t.closed:
			timer.Stop()
			return
		}
	}
}

// ended is why the stream has to end, with so much time left for its token; empty if it may go
// on. Whether a token that is bound to a key was revoked is not seen here: it counts with the
// proof of a request alone.
func (t *tether) ended(left time.Duration) guard.Reason {
	if left <= 0 {
		return guard.TokenExpired
	}
	if !t.api.settings.Follow {
		return ""
	}
	rule, _ := t.Rule()
	if d := t.api.guard.Check(context.Background(), tokenIn(t.request.Header), rule); d.Reason == guard.TokenRevoked {
		return d.Reason
	}
	return ""
}

// A tetheredBody is a stream that tells when it is closed.
type tetheredBody struct {
	io.ReadCloser
	tether *tether
}

// Close closes the stream.
func (b *tetheredBody) Close() error {
	b.tether.release()
	return b.ReadCloser.Close()
}

// A tetheredConn is a connection that was upgraded.
type tetheredConn struct {
	tetheredBody
	io.Writer
}

// CloseWrite says that nothing more is sent, where the connection can say so.
func (c *tetheredConn) CloseWrite() error {
	if half, ok := c.Writer.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
