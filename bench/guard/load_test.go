package guardbench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// connections is how many requests are under way at a time.
const connections = 8

// clientHeader is what clients send beside the request line, the host and the token.
var clientHeader = [][2]string{
	{"User-Agent", "bench"}, {"Accept", "application/json"}, {"Accept-Encoding", "gzip"}, {"X-Request-Id", "0af7651916cd43dd8448eb211c80319c"},
}

// message writes a request. The header comes as names and values by turns.
func message(path string, header ...string) []byte {
	var b strings.Builder
	b.WriteString("GET " + path + " HTTP/1.1\r\nHost: api.test\r\n")
	for _, line := range clientHeader {
		b.WriteString(line[0] + ": " + line[1] + "\r\n")
	}
	for i := 0; i < len(header); i += 2 {
		b.WriteString(header[i] + ": " + header[i+1] + "\r\n")
	}
	return []byte(b.String() + "\r\n")
}

// inParallel does something count times in all, on every connection of a load.
func inParallel(b *testing.B, count int, one func(count int) error) {
	b.Helper()
	var wait sync.WaitGroup
	problems := make(chan error, connections)
	for range connections {
		wait.Go(func() { problems <- one(count / connections) })
	}
	wait.Wait()
	for range connections {
		if err := <-problems; err != nil {
			b.Fatal(err)
		}
	}
}

// overHTTP returns a load that sends one request again and again over connections that stay open.
func overHTTP(address string, request []byte) func(b *testing.B, count int) {
	return func(b *testing.B, count int) {
		b.Helper()
		inParallel(b, count, func(count int) error { return repeat(address, request, count) })
	}
}

// repeat sends a request so many times over one connection.
func repeat(address string, request []byte, count int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	answers := bufio.NewReader(conn)
	for range count {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", address, resp.Status)
		}
	}
	return nil
}

// overGRPC returns a load that asks as Envoy does, over one connection.
func overGRPC(b *testing.B, address, raw string) func(b *testing.B, count int) {
	b.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	client, asked := authv3.NewAuthorizationClient(conn), checkRequest(raw)
	return func(b *testing.B, count int) {
		b.Helper()
		inParallel(b, count, func(count int) error {
			for range count {
				answer, err := client.Check(context.Background(), asked)
				if err != nil {
					return err
				}
				if code := answer.GetStatus().GetCode(); code != 0 {
					return fmt.Errorf("%s answered %d", address, code)
				}
			}
			return nil
		})
	}
}

// checkRequest is what Envoy sends of the same request, where it is told encode_raw_headers.
func checkRequest(raw string) *authv3.CheckRequest {
	at := func(port uint32) *authv3.AttributeContext_Peer {
		return &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
		}}}}
	}
	lines := &corev3.HeaderMap{}
	add := func(name, value string) {
		lines.Headers = append(lines.Headers, &corev3.HeaderValue{Key: name, RawValue: []byte(value)})
	}
	add(":authority", "api.test")
	add(":path", "/api/orders")
	add(":method", "GET")
	add(":scheme", "http")
	for _, line := range clientHeader {
		add(strings.ToLower(line[0]), line[1])
	}
	add("authorization", "Bearer "+raw)
	add("x-forwarded-proto", "http")
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: at(40000), Destination: at(8080),
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: "17250302210129012000", Method: "GET", Path: "/api/orders", Host: "api.test", Scheme: "http", Protocol: "HTTP/1.1", HeaderMap: lines,
		}},
	}}
}
