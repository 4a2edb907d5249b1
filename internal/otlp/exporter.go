package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// Bounds of what is kept and sent.
const (
	queueSize      = 2048 // spans that wait
	batchSize      = 512  // of one request
	batchDelay     = 5 * time.Second
	defaultTimeout = 10 * time.Second
	lastTimeout    = 5 * time.Second // of everything that is left at the end
	retryFirst     = time.Second
	retryLast      = 30 * time.Second
	retryFor       = time.Minute // in which a batch is sent again
	maxAnswer      = 64 << 10
)

// An Exporter sends spans. It holds nobody up: spans for which there is no room are dropped and
// counted.
type Exporter struct {
	cfg    Config
	head   []byte // of every request, up to the spans
	queue  chan Span
	counts struct{ sent, dropped atomic.Uint64 }
	silent bool // whether the collector failed last; of Run
}

// New returns an exporter, which sends once [Exporter.Run] runs.
func New(cfg Config) (*Exporter, error) {
	if cfg.Endpoint == "" {
		return nil, errors.New("no Endpoint of a collector, such as http://localhost:4318/v1/traces")
	}
	if cfg.Client == nil {
		cfg.Client = newClient(nil)
	}
	client := *cfg.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // headers may be secrets
	cfg.Client = &client
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.sampler == nil {
		cfg.sampler = &sampler{parents: true, most: allTraces}
	}
	head, err := json.Marshal(map[string]any{"attributes": wireAttributes(cfg.Resource)})
	if err != nil {
		return nil, err
	}
	scope, err := json.Marshal(map[string]any{"name": cfg.Scope})
	if err != nil {
		return nil, err
	}
	e := &Exporter{cfg: cfg, queue: make(chan Span, queueSize)}
	e.head = fmt.Appendf(nil, `{"resourceSpans":[{"resource":%s,"scopeSpans":[{"scope":%s,"spans":`, head, scope)
	return e, nil
}

// Begin returns a span that begins at a time, as part of the trace that a traceparent names, or
// of a new one.
func (e *Exporter) Begin(traceparent string, at time.Time) Span {
	parent, known := ParseParent(traceparent)
	s := Span{Start: at}
	if known {
		s.Trace, s.Parent = parent.Trace, parent.Span
	} else {
		newID(s.Trace[:])
	}
	newID(s.ID[:])
	s.Sampled = e.cfg.sampler.samples(parent, known, s.Trace)
	return s
}

// Add takes a span that has ended, to be sent if it is sampled.
func (e *Exporter) Add(s Span) {
	if !s.Sampled {
		return
	}
	select {
	case e.queue <- s:
	default:
		e.counts.dropped.Add(1)
	}
}

// Counts are how many spans the collector has taken, and how many it never got or refused.
func (e *Exporter) Counts() (sent, dropped uint64) {
	return e.counts.sent.Load(), e.counts.dropped.Load()
}

// Run sends spans until ctx ends, and then what is left, within a few seconds.
func (e *Exporter) Run(ctx context.Context) error {
	tick := time.NewTicker(batchDelay)
	defer tick.Stop()
	defer e.cfg.Client.CloseIdleConnections()
	var batch []Span
	for {
		select {
		case <-ctx.Done():
			e.finish(ctx, batch)
			return nil
		case s := <-e.queue:
			if batch = append(batch, s); len(batch) < batchSize {
				continue
			}
		case <-tick.C:
		}
		e.deliver(ctx, batch, false)
		batch = batch[:0]
	}
}

// finish sends what is left.
func (e *Exporter) finish(ended context.Context, batch []Span) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ended), lastTimeout)
	defer cancel()
	for {
		for len(e.queue) > 0 && len(batch) < batchSize {
			batch = append(batch, <-e.queue)
		}
		if len(batch) == 0 {
			return
		}
		e.deliver(ctx, batch, true)
		batch = batch[:0]
	}
}

// deliver sends a batch, again if that may help, and counts what became of it. When ctx ends it
// tries for the last time, if this is not the last time already.
func (e *Exporter) deliver(ctx context.Context, batch []Span, last bool) {
	if len(batch) == 0 {
		return
	}
	body, err := e.encode(batch)
	if err != nil {
		e.failed(len(batch), err)
		return
	}
	giveUp := time.Now().Add(retryFor)
	for pause := retryFirst; ; pause = min(2*pause, retryLast) {
		rejected, after, err := e.post(ctx, body)
		if err == nil {
			e.delivered(len(batch), min(rejected, len(batch)))
			return
		}
		if ctx.Err() != nil && !last {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastTimeout)
			defer cancel()
			last = true
			continue
		}
		var final *refused
		if after = max(after, pause); last || errors.As(err, &final) || time.Now().Add(after).After(giveUp) {
			e.failed(len(batch), err)
			return
		}
		e.warn(err)
		wait(ctx, after)
	}
}

// wait waits, if ctx does not end before.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// delivered counts spans that the collector has got, of which it refused some.
func (e *Exporter) delivered(n, rejected int) {
	e.counts.sent.Add(uint64(n - rejected))
	if rejected > 0 {
		e.failed(rejected, fmt.Errorf("the collector refuses %d of %d spans", rejected, n))
		return
	}
	e.silent = false
}

// failed counts spans that the collector does not have.
func (e *Exporter) failed(n int, err error) {
	e.counts.dropped.Add(uint64(n))
	e.warn(err)
}

// warn says that the collector fails, once until it works again.
func (e *Exporter) warn(err error) {
	if !e.silent {
		e.cfg.Log.Warn("traces are not taken", "error", text.Line(err.Error(), text.MaxShown))
	}
	e.silent = true
}

// A refused is an answer after which sending the same again is of no use.
type refused struct{ status string }

func (r *refused) Error() string { return "the collector answers " + r.status }

// post sends a request once. It returns how many of its spans were refused, and with an error
// how long the collector asks to be left alone.
func (e *Exporter) post(ctx context.Context, body []byte) (rejected int, after time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.cfg.Endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("User-Agent", "rolecall")
	for name, value := range e.cfg.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.cfg.Client.Do(req)
	if err != nil {
		return 0, 0, err
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close() // what counts was read
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return rejectedIn(answer), 0, nil // whatever became of the rest of the answer
	case retryable(resp.StatusCode):
		return 0, retryAfter(resp.Header.Get("Retry-After")), errors.Join(errors.New("the collector answers "+resp.Status), err)
	default:
		return 0, 0, &refused{resp.Status}
	}
}

// retryable are the answers after which the protocol lets a client ask again.
func retryable(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

func retryAfter(header string) time.Duration {
	seconds, err := strconv.ParseUint(strings.TrimSpace(header), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// rejectedIn is how many spans an answer says were refused. An answer that cannot be read says
// nothing.
func rejectedIn(answer []byte) int {
	var said struct {
		PartialSuccess struct {
			RejectedSpans json.RawMessage `json:"rejectedSpans"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.Trim(string(said.PartialSuccess.RejectedSpans), `"`)) // 64 bits are text in this encoding
	if err != nil || n < 0 {
		return 0
	}
	return n
}
