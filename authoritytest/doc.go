// Package authoritytest runs a real token authority inside a Go test, so that code that
// calls or guards an API is tested with real HTTP and real signatures, and without a
// cloud tenant.
//
//	login := authoritytest.Start(t)
//	api := httptest.NewServer(login.API("orders").RequireFunc("Orders.Read", listOrders))
//	response, err := login.Client("report", "orders", "Orders.Read").Get(api.URL)
//
// APIs, clients and roles come into being when they are first named, or all at once from a
// rolecall.yaml by [Authority.Apply]. Each [Start] is an authority of its own with a
// directory of its own; nothing is shared between tests but a few RSA keys, which take too
// long to make for each.
//
// Two things are hard to get from a cloud tenant: another time of day, which
// [Authority.Clock] gives, and tokens that are wrong in exactly one point, which
// [Authority.Bad] makes. What the program under test asked for, and why it was refused, is
// in [Authority.SignIns]. To test the wiring of a guard, hand [API.Config] to the program.
//
// The package refuses to be a second way to administer a directory: it has words for what
// tests change, and a file for the rest.
package authoritytest
