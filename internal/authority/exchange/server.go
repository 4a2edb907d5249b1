package exchange

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// A Server answers requests with the endpoints of a [Mux]. All fields are required.
type Server struct {
	Mux      *Mux
	Recorder *Recorder
	// Origin chooses the origin that a request is for.
	Origin func(*http.Request) origin.Origin
	// Source names the network address that a request came from.
	Source func(*http.Request) string
	// ProblemPage shows a refusal to a person.
	ProblemPage func(*Exchange, *aadsts.Problem) Answer
	Now         func() time.Time
}

// ServeHTTP is the one way in and out: find the endpoint, answer, note, write.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &Exchange{
		Request: r, writer: w, Origin: s.Origin(r), Trace: guid.New(), Correlation: correlationOf(r),
		Source: s.Source(r), Start: s.Now(), Now: s.Now,
	}
	answer, err := s.answer(r.Context(), x)
	if x.Correlation == "" {
		x.Correlation = guid.New()
	}
	s.Recorder.Finish(r.Context(), x, cmp.Or(answer.Status, http.StatusOK), err)
	switch {
	case err != nil && x.page:
		answer = s.ProblemPage(x, aadsts.Of(err))
	case err != nil:
		writeProblem(w, x, aadsts.Of(err))
		return
	}
	WriteAnswer(w, x, answer)
}

// answer calls the endpoint of the request. A panic below becomes an answer too.
func (s *Server) answer(ctx context.Context, x *Exchange) (answer Answer, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = aadsts.Internal(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}
	}()
	target, err := s.Mux.find(x.Request.URL.Path)
	if err != nil {
		return Answer{}, err
	}
	x.Tenant, x.endpoint = target.tenant, target.name
	if method := x.Request.Method; !target.takes(method) {
		x.allow = allowed(target.Method)
		return Answer{}, aadsts.Method(method, target.Method)
	}
	x.page = target.Page
	return target.Serve(ctx, x)
}

// RemoteAddress is the address of the connection without its port. Of an IPv6 address
// the network counts, because whoever has one address there has all of them.
func RemoteAddress(r *http.Request) string {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return Noted(r.RemoteAddr)
	}
	address := remote.Addr().Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	network, err := address.Prefix(64)
	if err != nil {
		return address.String()
	}
	return network.String()
}
