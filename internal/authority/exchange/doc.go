// Package exchange takes a request in and its one answer out.
//
// It owns the look-up of endpoints ([Mux]), the reading of forms, the limits on what a
// request may weigh, the ids that name an answer, and all that is written and noted about
// one: documents, pages and refusals, the sign-in row, the log line, and the hook for
// metrics. It refuses to own what an endpoint answers; each part of the authority mounts its
// own.
//
// Start reading at [Server.ServeHTTP], the one way in and out, and at [Exchange], which
// every endpoint gets.
package exchange
