// Package adminconsent answers the one request to Azure's portal that tools send: that an
// administrator agrees to all that an application asks for.
//
// It owns that request and who may send it. It refuses to own what consent is: an app role that
// is asked for becomes an assignment, a scope a delegated grant for everyone, both by the rules of
// package directory. The address is Microsoft's, so it is served under Microsoft's own names
// alone.
//
// Start at [Portal.Handler].
package adminconsent
