// Package origin says who issues tokens and under which URLs.
//
// An [Origin] is a value that travels with each request, because one server may answer
// under several names, each of which is an issuer of its own. It owns the issuers of a
// tenant, the URL below which its endpoints lie, and what a client may call the authority in
// the audience of an assertion. It refuses to own which origin a request is for, which the
// authority chooses, and which endpoints there are, which package exchange knows.
//
// Start reading at [New].
package origin
