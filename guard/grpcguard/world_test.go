package grpcguard_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/guard/grpcguard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

const (
	tenant   = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"
	apiID    = "a9100002-5a5a-4c4c-8d8d-000000000002"
	clientID = "c11e0001-5a5a-4c4c-8d8d-000000000001"
	issuer   = "https://authority.test/" + tenant + "/v2.0"
)

var key = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// tokenOf returns a token of an application, with some claims changed.
func tokenOf(t testing.TB, changes map[string]any) string {
	t.Helper()
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": issuer, "aud": apiID, "ver": "2.0", "tid": tenant, "azp": clientID, "azpacr": "1", "idtyp": "app", "oid": tenant, "sub": tenant,
		"roles": []string{"Orders.Read"}, "uti": "u", "iat": now - 60, "nbf": now - 60, "exp": now + 3600,
	}
	for name, value := range changes {
		claims[name] = value
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := token.Sign("RS256", "k", nil, payload, key())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// policy returns the policy of a test service at an authority that answers, or not.
func policy(t testing.TB, up bool) *guard.Policy {
	t.Helper()
	g, err := guard.New(t.Context(), guard.Config{
		Issuers: []guard.Issuer{{Issuer: issuer, Keys: "https://authority.test/keys"}}, Audience: []string{apiID}, Skew: time.Millisecond,
		HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if !up {
				return nil, errors.New("no authority")
			}
			document, err := token.KeysDocument([]token.Key{{ID: "k", Use: "sig", Public: key().Public()}})
			return &http.Response{StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(strings.NewReader(string(document)))}, err
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := g.Policy([]guard.Rule{
		{Path: "/grpc.testing.TestService/UnaryCall", Roles: []string{"Orders.Read"}},
		{Path: "/grpc.testing.TestService/FullDuplexCall", Roles: []string{"Orders.Read", "Orders.Follow"}},
		{Path: "/grpc.testing.TestService/EmptyCall", Anonymous: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A service tells who called and with what metadata.
type service struct {
	testgrpc.UnimplementedTestServiceServer
	mu      sync.Mutex
	callers []string    // guarded by mu
	seen    metadata.MD // of the last call; likewise
	ended   chan error  // what a stream has ended with
}

func (s *service) note(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	caller, _ := guard.CallerFrom(ctx)
	s.callers = append(s.callers, caller.ClientID)
	s.seen, _ = metadata.FromIncomingContext(ctx)
}

func (s *service) UnaryCall(ctx context.Context, _ *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	s.note(ctx)
	return &testgrpc.SimpleResponse{}, nil
}

func (s *service) EmptyCall(ctx context.Context, _ *testgrpc.Empty) (*testgrpc.Empty, error) {
	s.note(ctx)
	return &testgrpc.Empty{}, nil
}

func (s *service) FullDuplexCall(ss testgrpc.TestService_FullDuplexCallServer) error {
	s.note(ss.Context())
	for {
		if _, err := ss.Recv(); err != nil {
			s.ended <- err
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := ss.Send(&testgrpc.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
}

// serve starts a server of the service behind interceptors, and returns a client of it.
func serve(t testing.TB, in grpcguard.Interceptors, server, client credentials.TransportCredentials) (*service, testgrpc.TestServiceClient) {
	t.Helper()
	s := &service{ended: make(chan error, 10)}
	served := grpc.NewServer(grpc.Creds(server), grpc.UnaryInterceptor(in.Unary), grpc.StreamInterceptor(in.Stream))
	testgrpc.RegisterTestServiceServer(served, s)
	listener := bufconn.Listen(64 << 10)
	go func() { _ = served.Serve(listener) }()
	t.Cleanup(served.Stop)
	conn, err := grpc.NewClient("passthrough:///localhost", grpc.WithTransportCredentials(client),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return s, testgrpc.NewTestServiceClient(conn)
}

func plain(t testing.TB, in grpcguard.Interceptors) (*service, testgrpc.TestServiceClient) {
	t.Helper()
	return serve(t, in, insecure.NewCredentials(), insecure.NewCredentials())
}
