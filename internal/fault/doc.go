// Package fault makes answers go wrong on purpose, so that what clients do about it can be
// tested: refusals that ask to wait, slow answers, dropped connections, expired tokens, a
// keys document without the signing key.
//
// A [Rule] says what goes wrong, where and how often; an [Injector] carries rules out
// around the handlers of an authority and of managed identities. Nothing goes wrong unless
// a rule says so. The package does not know what it goes around: an expired token, for one,
// is made by whoever asks [Age] how old it shall be.
package fault
