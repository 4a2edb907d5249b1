// Package launch runs a process as somebody. It owns what the process finds: the variables by
// which unmodified Azure libraries get tokens from here and trust this authority, and shims
// for the az and azd commands. And it owns how the process is run: with our terminal, the
// signals sent to us, and its own exit code.
//
// The package refuses to know the directory and the server: package runas has arranged for
// the identity and says what the process needs for it. Start reading at [Environment] and
// [Command].
package launch
