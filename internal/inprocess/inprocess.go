// Package inprocess sends HTTP requests to a handler of this process instead of the network.
//
// It owns the transport. It refuses to own what is asked and who answers.
package inprocess

import (
	"bytes"
	"io"
	"net/http"
)

// A Transport answers requests by a handler in this process.
type Transport struct{ Handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (p Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	r.RequestURI, r.RemoteAddr, r.Host = r.URL.RequestURI(), "127.0.0.1:0", r.URL.Host
	w := &buffered{header: http.Header{}, status: http.StatusOK}
	p.Handler.ServeHTTP(w, r)
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// buffered keeps an answer in memory.
type buffered struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (b *buffered) Header() http.Header         { return b.header }
func (b *buffered) WriteHeader(status int)      { b.status = status }
func (b *buffered) Write(p []byte) (int, error) { return b.body.Write(p) }
