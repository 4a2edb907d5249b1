// Package authority issues access tokens to applications over the endpoints and in the
// shapes that Microsoft's client libraries know.
//
// It owns the wiring of its parts, each of which is a package below it, and nothing else:
//
//	discovery     metadata, keys, instance discovery
//	grants        token endpoint, one file for each grant type; device authorization; userinfo
//	signin        authorization requests, browser sessions, consent, the pages
//	issuance      who gets what; the claims and signatures of tokens
//	clientauth    which client asks: secrets, client assertions, federated credentials
//	userauth      which user signs in: passwords
//	records       codes, refresh tokens and sessions, as signin makes and grants redeems them
//	revocation    which tokens count no more, for APIs that ask
//	exchange      a request in, its one answer out
//	resolve       what a request names: tenant, client, API, user
//	coordination  what requests have to know of each other
//	origin        who issues, and under which URLs
//	scope         what the parameters scope and resource say
//	aadsts        the table of errors
//
// It refuses to own who exists and who may do what, which package directory answers, and
// where signing keys come from, which package keyring answers.
//
// A part mounts its own URLs; [New] holds the one list of the parts. Start reading at the
// token endpoint in package grants, which reads like the protocol, or at [New].
package authority
