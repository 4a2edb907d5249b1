// Package signin lets users sign in at a browser, and agree to what a client asks for.
//
// It owns the URLs
//
//	GET, POST /{tenant}/oauth2/authorize, /oauth2/v2.0/authorize  a client sends the browser here
//	POST /signin                                                  name and password
//	POST /consent                                                 allow or cancel
//	POST /confirm                                                 "did you start this?"
//	GET, POST /devicelogin                                        the code that a device shows
//	GET /{tenant}/oauth2/logout, /oauth2/v2.0/logout              ends the session
//	POST /signout                                                 the user's word on that
//	GET /error?code=N                                             explains a refusal
//	GET /rolecall.css                                             the style sheet
//
// with the pages behind them, browser sessions, and consent. It refuses to own passwords
// (package userauth), what a client may do on behalf of a user (issuance), and the redemption
// of what it hands out (grants), with which it shares nothing but the records.
//
// A flow begins at /oauth2/v2.0/authorize, with an authorization request, or at /devicelogin,
// with a device's code. Either becomes an [interaction], which is sealed into every form and
// which each POST takes one step on (Handler.advance): the browser gets the sign-in page
// unless it has a session; the confirmation page where somebody else may have started the
// flow; the consent page for scopes that nobody consented to; and then a redirect to the
// client with a code, or word that the device goes on. Everything but the marks of the steps
// that were taken is looked up again each time, so that a page never acts on what it
// showed when that has changed.
//
// Start reading at Handler.advance.
package signin
