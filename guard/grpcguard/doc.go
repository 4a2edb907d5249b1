// Package grpcguard puts a guard before the calls of a gRPC server.
//
// It owns how a call becomes a request that a [guard.Policy] decides on, and how a refusal
// becomes a status. It refuses to own the decision. Start reading at grpcguard.go.
//
// A method is a path in the rules of the policy: "/orders.Orders/List", or "/orders.Orders/*" for all of
// a service. Every call is a POST.
package grpcguard
