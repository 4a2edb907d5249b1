// Package remote knows servers on other machines by name, and is signed in to them.
//
// It owns what is kept of each: where it is, who is signed in, the certificates to trust, and the
// secrets, which are in the system's keyring where there is one. It renews tokens by Microsoft's
// own library and gives callers a client of Microsoft Graph that carries them. It refuses to own
// what is done there, and what commands say.
//
// Start at [Store].
package remote
