// Package guardbench measures package guard beside its peers in the same run:
// golang-jwt with keyfunc, go-oidc, jwx, and crypto/rsa's verification alone,
// below which nobody can go. It also measures what the middleware adds to a
// bare handler, and what each form of `rolecall guard` costs beside the same
// work without a decision, beside oauth2-proxy, and beside Envoy's own filter.
//
// The machine is usually shared, so what counts is CPU time, taken of the
// whole process and therefore with the garbage collector's share, and ratios
// of things measured by turns. Run it with
//
//	go test -run '^$' -bench . ./guard/
//
// What a budget is for, and what it is: guarded/bare of BenchmarkMiddleware at
// most 1.10; proxy/bare-proxy at most 1.12 and proxy/oauth2-proxy at most 0.15;
// forward-auth/bare-handler at most 1.3; ext-authz/bare-ext-authz at most 2;
// memory that does not grow. envoy+guard/envoy+jwt_authn has none: it is the
// price of asking another process.
//
// One is not met. A ReverseProxy that decides nothing is at 0.22 of
// oauth2-proxy itself, so 0.15 would take another proxy than the standard
// library's.
//
// Envoy is found in PATH, or where the suite envoy of compat/run leaves it.
package guardbench
