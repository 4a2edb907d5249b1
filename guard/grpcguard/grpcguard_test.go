package grpcguard_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/guard/grpcguard"
)

// reasonOf returns the reason in the details of a refusal, and when to ask again.
func reasonOf(t testing.TB, err error) (reason guard.Reason, retry time.Duration) {
	t.Helper()
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if reason = guard.Reason(detail.Reason); detail.Domain != grpcguard.Domain || len(detail.Metadata["trace_id"]) != 32 {
				t.Errorf("details %v", detail)
			}
		case *errdetails.RetryInfo:
			retry = detail.RetryDelay.AsDuration()
		}
	}
	return reason, retry
}

func TestCalls(t *testing.T) {
	t.Parallel()
	s, client := plain(t, grpcguard.Interceptors{Policy: policy(t, true)})
	down, cut := plain(t, grpcguard.Interceptors{Policy: policy(t, false)})
	bare, closed := plain(t, grpcguard.Interceptors{})
	good := tokenOf(t, nil)
	for _, tt := range []struct {
		name   string
		client testgrpc.TestServiceClient
		auth   []string
		code   codes.Code
		reason guard.Reason
	}{
		{"a good token", client, []string{"Bearer " + good}, codes.OK, ""},
		{"no token", client, nil, codes.Unauthenticated, guard.TokenMissing},
		{"two tokens", client, []string{"Bearer " + good, "Bearer " + good}, codes.InvalidArgument, guard.MultipleCredentials},
		{"half a token", client, []string{"Bearer a b"}, codes.InvalidArgument, guard.CredentialsMalformed},
		{"an expired token", client, []string{"Bearer " + tokenOf(t, map[string]any{"exp": time.Now().Unix() - 5})}, codes.Unauthenticated, guard.TokenExpired},
		{"another API's token", client, []string{"Bearer " + tokenOf(t, map[string]any{"aud": "api://other"})}, codes.Unauthenticated, guard.AudienceMismatch},
		{"another role", client, []string{"Bearer " + tokenOf(t, map[string]any{"roles": []string{"Orders.Follow"}})}, codes.PermissionDenied, guard.RoleMissing},
		{"a user", client, []string{"Bearer " + tokenOf(t, map[string]any{"idtyp": "user", "scp": "Orders.Read"})}, codes.PermissionDenied, guard.WrongCallerKind},
		{"no keys", cut, []string{"Bearer " + good}, codes.Unavailable, guard.KeysUnavailable},
		{"no policy", closed, []string{"Bearer " + good}, codes.PermissionDenied, guard.NoPolicy},
	} {
		for kind, call := range map[string]func(ctx context.Context, header *metadata.MD) error{
			"unary": func(ctx context.Context, header *metadata.MD) error {
				_, err := tt.client.UnaryCall(ctx, &testgrpc.SimpleRequest{}, grpc.Header(header))
				return err
			},
			"stream": func(ctx context.Context, header *metadata.MD) error {
				if tt.reason == guard.RoleMissing {
					ctx = metadata.NewOutgoingContext(ctx, metadata.Pairs("authorization", "Bearer "+tokenOf(t, map[string]any{"roles": []string{"Other"}})))
				}
				stream, err := tt.client.FullDuplexCall(ctx)
				if err != nil {
					return err
				}
				if err := stream.CloseSend(); err != nil {
					return err
				}
				_, err = stream.Recv()
				*header, _ = stream.Header()
				if errors.Is(err, io.EOF) {
					return nil
				}
				return err
			},
		} {
			ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{"authorization": tt.auth})
			var header metadata.MD
			err := call(ctx, &header)
			if status.Code(err) != tt.code {
				t.Errorf("%s, %s: %v, want %s", tt.name, kind, err, tt.code)
			}
			if tt.code == codes.OK {
				continue
			}
			reason, retry := reasonOf(t, err)
			if reason != tt.reason || !strings.HasSuffix(status.Convert(err).Message(), "("+string(tt.reason)+")") || strings.Contains(err.Error(), "eyJ") {
				t.Errorf("%s, %s: %v with the reason %q, want %q", tt.name, kind, err, reason, tt.reason)
			}
			if (retry > 0) != (tt.code == codes.Unavailable) || (len(header["retry-after"]) > 0) != (tt.code == codes.Unavailable) {
				t.Errorf("%s, %s: again in %v, header %v", tt.name, kind, retry, header)
			}
			challenged := tt.code == codes.Unauthenticated || tt.reason == guard.RoleMissing || tt.reason == guard.MultipleCredentials || tt.reason == guard.CredentialsMalformed || tt.reason == guard.WrongCallerKind
			if challenge := strings.Join(header["www-authenticate"], " "); strings.HasPrefix(challenge, "Bearer ") != challenged {
				t.Errorf("%s, %s: challenge %q", tt.name, kind, challenge)
			}
		}
	}
	if len(s.callers) != 2 || s.callers[0] != clientID || s.callers[1] != clientID || len(down.callers)+len(bare.callers) != 0 {
		t.Errorf("the handlers saw %q, %q, %q", s.callers, down.callers, bare.callers)
	}
}

func TestMethodsWithoutARule(t *testing.T) {
	t.Parallel()
	s, client := plain(t, grpcguard.Interceptors{Policy: policy(t, true)})
	if _, err := client.EmptyCall(t.Context(), &testgrpc.Empty{}); err != nil {
		t.Errorf("anonymous: %v", err)
	}
	if len(s.callers) != 1 || s.callers[0] != "" {
		t.Errorf("the handler saw %q", s.callers)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+tokenOf(t, nil))
	_, err := client.CacheableUnaryCall(ctx, &testgrpc.SimpleRequest{})
	if reason, _ := reasonOf(t, err); status.Code(err) != codes.PermissionDenied || reason != guard.NoPolicy {
		t.Errorf("no rule: %v", err)
	}
}

// Handlers see neither the token nor what a client says about itself, in any spelling.
func TestWhatHandlersSee(t *testing.T) {
	t.Parallel()
	raw := tokenOf(t, nil)
	for forward, want := range map[bool]int{false: 0, true: 1} {
		s, client := plain(t, grpcguard.Interceptors{Policy: policy(t, true), ForwardToken: forward})
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+raw, "dpop", "proof", "x-ms-client-principal-id", "evil",
			"x_ms_client_principal", "evil", "x-request-id", "kept", "data-bin", "\x00\x01")
		if _, err := client.UnaryCall(ctx, &testgrpc.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
		for name, n := range map[string]int{"authorization": want, "dpop": want, "x-ms-client-principal-id": 0, "x_ms_client_principal": 0, "x-request-id": 1, "data-bin": 1, ":authority": 1} {
			if got := s.seen.Get(name); len(got) != n {
				t.Errorf("forward %t: %s is %q", forward, name, got)
			}
		}
	}
}

// A stream ends with its token, also where nobody says anything; or goes on, where it may.
func TestStreamsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	for keep, want := range map[bool]codes.Code{false: codes.Unauthenticated, true: codes.OK} {
		s, client := plain(t, grpcguard.Interceptors{Policy: policy(t, true), KeepStreams: keep})
		expires := time.Now().Add(2 * time.Second).Truncate(time.Second)
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+tokenOf(t, map[string]any{"exp": expires.Unix()}))
		stream, err := client.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		say := func() error {
			if err := stream.Send(&testgrpc.StreamingOutputCallRequest{}); err != nil {
				return err
			}
			_, err := stream.Recv()
			return err
		}
		if err := say(); err != nil {
			t.Fatalf("before the end: %v", err)
		}
		if keep {
			time.Sleep(time.Until(expires.Add(200 * time.Millisecond)))
			if err := say(); err != nil {
				t.Errorf("a stream that may stay: %v", err)
			}
			continue
		}
		if _, err := stream.Recv(); status.Code(err) != want { // nothing was sent meanwhile
			t.Errorf("after the end: %v", err)
		} else if reason, _ := status.Convert(err).Details()[0].(*errdetails.ErrorInfo); reason.GetReason() != string(guard.TokenExpired) {
			t.Errorf("ended with %v", err)
		}
		if time.Now().Before(expires) {
			t.Error("the stream ended before its token")
		}
		if err := <-s.ended; status.Code(err) != codes.Unauthenticated {
			t.Errorf("the handler was told %v", err)
		}
	}
}

// A stream that its client ends says so to the handler.
func TestStreamsThatAreCanceled(t *testing.T) {
	t.Parallel()
	s, client := plain(t, grpcguard.Interceptors{Policy: policy(t, true)})
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+tokenOf(t, nil)))
	stream, err := client.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&testgrpc.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-s.ended; status.Code(err) != codes.Canceled {
		t.Errorf("the handler was told %v", err)
	}
}

// selfSigned returns a certificate and its thumbprint as a token has it.
func selfSigned(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, base64.RawURLEncoding.EncodeToString(sum[:])
}

// A token that is bound to a certificate counts over a connection with that certificate.
func TestTokensBoundToACertificate(t *testing.T) {
	t.Parallel()
	own, thumbprint := selfSigned(t)
	other, _ := selfSigned(t)
	server := credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13})
	raw := tokenOf(t, map[string]any{"cnf": map[string]string{"x5t#S256": thumbprint}})
	for name, tt := range map[string]struct {
		certificates []tls.Certificate
		code         codes.Code
	}{
		"that certificate":    {[]tls.Certificate{own}, codes.OK},
		"another certificate": {[]tls.Certificate{other}, codes.Unauthenticated},
		"no certificate":      {nil, codes.Unauthenticated},
	} {
		mine := credentials.NewTLS(&tls.Config{Certificates: tt.certificates, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
		_, client := serve(t, grpcguard.Interceptors{Policy: policy(t, true)}, server, mine)
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+raw)
		if _, err := client.UnaryCall(ctx, &testgrpc.SimpleRequest{}); status.Code(err) != tt.code {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
	}
}
