package grpcguard

import (
	"context"
	"net/textproto"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rolecall-auth/rolecall/guard"
)

// Domain is that of the ErrorInfo in the details of a refusal, whose Reason is
// the [guard.Reason].
const Domain = "rolecall.guard"

// Interceptors let in the calls that a policy allows. The methods Unary and Stream
// are what a server is made with. The zero value lets in nobody.
//
// A refusal is UNAUTHENTICATED, PERMISSION_DENIED, INVALID_ARGUMENT or UNAVAILABLE, with an
// ErrorInfo in its details and what an HTTP client would get (WWW-Authenticate, Retry-After)
// in its header. Handlers learn who calls by [guard.CallerFrom], and see neither a token
// nor metadata by which a client could claim an identity.
type Interceptors struct {
	Policy *guard.Policy // required

	// ForwardToken leaves the token in the metadata that handlers see, for
	// instance for a token on behalf of the caller.
	ForwardToken bool

	// KeepStreams lets streams go on when the token ends by which they were let in.
	// Otherwise they end with it: their context is done, and what they receive and
	// send next fails.
	KeepStreams bool
}

// Unary is a grpc.UnaryServerInterceptor.
func (i Interceptors) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, _, err := i.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

// Stream is a grpc.StreamServerInterceptor. It decides when the stream begins.
func (i Interceptors) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, until, err := i.admit(ss.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	if i.KeepStreams || until.IsZero() {
		return handler(srv, &stream{ss, ctx})
	}
	ctx, cancel := context.WithDeadlineCause(ctx, until, errEnded)
	defer cancel()
	err = handler(srv, &endingStream{stream{ss, ctx}})
	if hasEnded(ctx) {
		return errEnded
	}
	return err
}

// admit decides about a call, and returns the context of one that is let in, and until when
// that counts.
func (i Interceptors) admit(ctx context.Context, method string) (context.Context, time.Time, error) {
	sent, _ := metadata.FromIncomingContext(ctx)
	request := guard.Request{Method: "POST", Path: method, Header: headerOf(sent), Certificate: certificateOf(ctx)}
	if i.Policy == nil {
		return nil, time.Time{}, refusal(ctx, guard.Refuse(request, guard.NoPolicy))
	}
	d := i.Policy.Decide(ctx, request)
	if !d.Allowed() {
		return nil, time.Time{}, refusal(ctx, d)
	}
	return metadata.NewIncomingContext(d.Context(ctx), i.admitted(sent, request.Header)), d.Until(), nil
}

// headerOf returns metadata as a guard reads it.
func headerOf(sent metadata.MD) map[string][]string {
	header := make(map[string][]string, len(sent))
	for name, values := range sent {
		if !strings.HasPrefix(name, ":") {
			header[textproto.CanonicalMIMEHeaderKey(name)] = values
		}
	}
	return header
}

// admitted returns the metadata that handlers see.
func (i Interceptors) admitted(sent metadata.MD, header map[string][]string) metadata.MD {
	clean := guard.Sanitize(header)
	seen := make(metadata.MD, len(sent))
	for name, values := range sent {
		if strings.HasPrefix(name, ":") {
			seen[name] = values
		} else if values, kept := clean[textproto.CanonicalMIMEHeaderKey(name)]; kept {
			seen[name] = values
		}
	}
	if !i.ForwardToken {
		delete(seen, "authorization")
		delete(seen, "dpop") // the proof that belongs to it
	}
	return seen
}

// certificateOf returns the certificate that the client has shown on its connection.
func certificateOf(ctx context.Context) []byte {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := from.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return nil
	}
	return info.State.PeerCertificates[0].Raw
}

// refusal returns the status of a refusal, and sets what belongs into the header.
func refusal(ctx context.Context, d guard.Decision) error {
	header := metadata.MD{}
	for name, values := range d.Answer().Header {
		switch name {
		case "Www-Authenticate", "Retry-After", "Dpop-Nonce":
			header.Set(name, values...)
		}
	}
	_ = grpc.SetHeader(ctx, header) // fails outside of a call, where nobody is there to read it
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: string(d.Reason), Domain: Domain, Metadata: map[string]string{"trace_id": d.TraceID}}}
	if d.Outcome == guard.Unavailable {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(d.RetryAfter)})
	}
	return withDetails(codeOf(d.Outcome), d.Reason, details...)
}

func withDetails(code codes.Code, reason guard.Reason, details ...protoadapt.MessageV1) error {
	plain := status.New(code, reason.Description()+" ("+string(reason)+")")
	if full, err := plain.WithDetails(details...); err == nil {
		return full.Err()
	}
	return plain.Err()
}

func codeOf(o guard.Outcome) codes.Code {
	switch o {
	case guard.Allow:
		return codes.OK
	case guard.BadRequest:
		return codes.InvalidArgument
	case guard.Unauthenticated:
		return codes.Unauthenticated
	case guard.Unavailable:
		return codes.Unavailable
	default:
		return codes.PermissionDenied
	}
}
