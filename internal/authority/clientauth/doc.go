// Package clientauth finds out which client asks.
//
// It owns the proof of a client: a secret, an assertion that a certificate's key signed
// (client_assertion*.go), a token of an issuer that the application trusts
// (federated_credential*.go), or a workload of this machine. It also owns how often a proof
// may fail, and which principals can authenticate at all. It refuses to own which credentials
// an application has, which package directory knows, and what a proven client gets, which
// package issuance decides.
//
// Start reading at [Authenticator.Authenticate]: a [Credential] goes in, a [Proof] comes out.
package clientauth
