package guardbench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
)

// bareServers are what a form of the guard is measured against: the same work without any
// decision. Each is this test binary once more, started as NAME ADDRESS ARGUMENT.
var bareServers = map[string]func(l net.Listener, argument string) error{
	"bare-upstream":  bareUpstream,
	"bare-proxy":     bareProxy,
	"bare-handler":   bareHandler,
	"bare-ext-authz": bareExtAuthz,
}

// runBare runs one of the bare servers until it is killed.
func runBare(serve func(net.Listener, string) error, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("a bare server takes an address and an argument, not %q", args)
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	return serve(l, args[1])
}

// bareUpstream is the API that is guarded.
func bareUpstream(l net.Listener, _ string) error {
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { //nolint:gosec // of loopback
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"orders":[]}`)
	}))
}

// bareProxy is what the standard library gives, with as many idle connections as are used: with
// the default of two it would dial for most requests.
func bareProxy(l net.Listener, upstream string) error {
	to, err := url.Parse(upstream)
	if err != nil {
		return err
	}
	return http.Serve(l, &httputil.ReverseProxy{ //nolint:gosec // of loopback
		Transport: &http.Transport{MaxIdleConnsPerHost: connections},
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(to); p.SetXForwarded() },
	})
}

// bareHandler answers with the header that it is given as JSON.
func bareHandler(l net.Listener, argument string) error {
	var lines http.Header
	if err := json.Unmarshal([]byte(argument), &lines); err != nil {
		return err
	}
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { //nolint:gosec // of loopback
		header := w.Header()
		for name, values := range lines {
			for _, value := range values {
				header.Add(name, value)
			}
		}
		w.WriteHeader(http.StatusOK)
	}))
}

// bareExtAuthz lets in everybody.
func bareExtAuthz(l net.Listener, _ string) error {
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, everybody{})
	return server.Serve(l)
}

type everybody struct{}

func (everybody) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return &authv3.CheckResponse{Status: &status.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}}}, nil
}
