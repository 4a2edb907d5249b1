// Package guardcheck judges guard.yaml before it counts: what is wrong with its rules, and
// whether they decide as a team expects.
//
// It owns what rules say about each other (one that is never reached, one that is open above one
// that is not), how they compare with a directory, and tables of requests with the decisions
// expected. It refuses to own how the file is written, which is package guardfile's, and the
// decisions, which package guard makes here as it does on a request.
//
// Start at [Rules] and [Run].
package guardcheck
