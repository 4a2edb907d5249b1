// Package explain says why a call is accepted or refused, and how to fix a refusal.
//
// It owns the explanation, which combines two views. The API's view is that of package guard:
// every check on the token, in the guard's own order. The directory's view is why the token is
// as it is: whether the API offers the role, whether applications may hold it, whether the
// client requested it, and whether somebody granted it. Each check has its outcome; the first
// that failed gives the reason, and the reason gives one command that fixes it. The package also
// explains connection strings of the App Authentication library, and writes the equivalent
// credential for Azure.Identity.
//
// It refuses to own checks and changes: the guard decides, the directory knows, and the user
// runs the command. A report quotes claims; it never contains the token or a secret of a
// connection string.
//
// Start at [Explainer], which answers whoever asks, beside the directory or from afar. [Token]
// explains a token, [SignIn] an answer of the authority, [Connection] a connection string.
package explain
