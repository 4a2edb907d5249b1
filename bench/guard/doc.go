// Package guardbench measures package guard beside its peers in the same run:
// golang-jwt with keyfunc, go-oidc, jwx, and crypto/rsa's verification alone,
// below which nobody can go. It also measures what the middleware adds to a
// bare handler.
//
// The machine is usually shared, so what counts is CPU time, taken of the
// whole process and therefore with the garbage collector's share, and ratios
// of things measured by turns. Run it with
//
//	go test -bench . ./guard/
package guardbench
