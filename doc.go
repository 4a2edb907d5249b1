// Package rolecall is the root of Rolecall: application-to-application authentication
// that you can run yourself.
//
// The root holds no code. What others import stands beside it:
//
//   - [github.com/rolecall-auth/rolecall/guard] lets in who holds the role and says why it
//     refuses the others;
//   - [github.com/rolecall-auth/rolecall/credential] gets tokens through Microsoft's own
//     libraries, and keeps them;
//   - [github.com/rolecall-auth/rolecall/authoritytest] replaces a cloud tenant inside go test.
//
// The command is cmd/rolecall. ARCHITECTURE.md shows how the parts meet.
package rolecall
