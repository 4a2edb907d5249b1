// Package explain says why a call is let in or refused, and what mends it.
//
// It puts two views together. The API's view is that of package guard: every check on the
// token, in the guard's own order. The directory's view is why the token is as it is:
// whether the API offers the role, whether applications may hold it, whether the client
// asked for it, and whether somebody granted it. Each check has its outcome, the first that
// failed gives the reason, and the reason gives one command that mends it.
//
// It also explains connection strings of the App Authentication library, and writes the
// credential that one means with Azure.Identity.
//
// The package checks nothing by itself and changes nothing. A report quotes claims; it
// never holds the token, nor a connection string's secrets.
package explain
