// Package managedidentity is where processes get tokens of managed identities: the local
// endpoints that Azure's hosts offer, in each of their shapes, so that Microsoft's client
// libraries need no credential and no change.
//
// A [Endpoint] is what identities are assigned to, one process as a rule: it has a listener of
// its own on the loopback interface, a secret of its own where its shape has one, and an
// owner, the user whose processes may ask. A [Service] opens hosts and keeps the tokens
// they give out, one for each identity and resource, as long as a new one would say the
// same.
//
// The shape of azd also gives out tokens of applications, and of a user for whom a public
// client acts: what the developer tools of a machine have.
//
// It owns the wire formats of the shapes and the door: what was forwarded, sent by a web
// page or asked by another user gets no token. It refuses to own who may have which roles
// and what tokens say; a [Minter], which is an authority, answers that.
//
// Start reading at Host.serve, which every request goes through, and at appService, the
// shape that all clients can be brought to by their environment.
package managedidentity
