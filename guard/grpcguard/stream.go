package grpcguard

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/rolecall-auth/rolecall/guard"
)

// errEnded is the status of a stream whose token has ended.
var errEnded = withDetails(codes.Unauthenticated, guard.TokenExpired, &errdetails.ErrorInfo{Reason: string(guard.TokenExpired), Domain: Domain})

// hasEnded reports whether a stream ends with its token.
func hasEnded(ctx context.Context) bool {
	return ctx.Err() != nil && errors.Is(context.Cause(ctx), errEnded)
}

// A stream has the context of a call that was let in.
type stream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // which is how a stream has one
}

// Context returns the context.
func (s *stream) Context() context.Context { return s.ctx }

// An endingStream is one that ends with its token.
type endingStream struct{ stream }

// RecvMsg receives a message, unless the token ends before one is there. What receives it then
// goes on until the handler has returned.
func (s *endingStream) RecvMsg(m any) error {
	if hasEnded(s.ctx) {
		return errEnded
	}
	received := make(chan error, 1)
	go func() { received <- s.ServerStream.RecvMsg(m) }()
	select {
	case err := <-received:
		return err
	case <-s.ctx.Done():
		if hasEnded(s.ctx) {
			return errEnded
		}
		return <-received // which says what has ended the call
	}
}

// SendMsg sends a message, unless the token has ended.
func (s *endingStream) SendMsg(m any) error {
	if hasEnded(s.ctx) {
		return errEnded
	}
	return s.ServerStream.SendMsg(m)
}
