package grpcguard_test

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/guard/grpcguard"
)

// newServer makes a server whose method List takes the role Orders.Read, and whose health check
// everybody may ask.
func newServer(ctx context.Context) (*grpc.Server, error) {
	orders, err := guard.New(ctx, guard.Config{
		Authority: "https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11",
		Audience:  []string{"api://orders", "a9100002-5a5a-4c4c-8d8d-000000000002"},
	})
	if err != nil {
		return nil, err
	}
	policy, err := orders.Policy([]guard.Rule{
		{Path: "/orders.Orders/List", Roles: []string{"Orders.Read"}},
		{Path: "/grpc.health.v1.Health/Check", Anonymous: true},
	})
	if err != nil {
		return nil, err
	}
	in := grpcguard.Interceptors{Policy: policy}
	return grpc.NewServer(grpc.UnaryInterceptor(in.Unary), grpc.StreamInterceptor(in.Stream)), nil
}

// A server lets in the calls that its policy allows. A handler learns who calls by guard.CallerFrom.
func Example() {
	server, err := newServer(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Stop()
	fmt.Println(len(server.GetServiceInfo()), "services so far")
	// Output: 0 services so far
}

// What a call without a token is told.
func ExampleInterceptors() {
	in := grpcguard.Interceptors{} // no policy, so nobody is let in
	_, err := in.Unary(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: "/orders.Orders/List"}, func(ctx context.Context, _ any) (any, error) {
		caller, _ := guard.CallerFrom(ctx)
		return "orders for " + caller.ClientID, nil
	})
	fmt.Println(err)
	// Output: rpc error: code = PermissionDenied desc = No rule allows this path and method. (no_policy)
}
