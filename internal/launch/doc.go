// Package launch is what a process finds that we run as somebody: the environment by which
// unmodified Azure libraries get tokens from here and trust this authority, and stand-ins
// for the az and azd commands; and how such a process is run, so that it seems to be in the
// place of ours: with our terminal, our signals and its own exit code.
//
// The package knows neither the directory nor the server: whoever uses it has arranged for
// the identity and says what the process needs for it. Start with [Environment] and
// [Command].
package launch
