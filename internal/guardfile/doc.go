// Package guardfile reads guard.yaml, the settings of the guard of an API.
//
// It owns how the settings are written: the names of the members, what they mean in terms of
// package guard, and errors that name line and column. It refuses to own what the settings lead
// to, which is package guard's affair, and the members that only a listening guard needs, which
// it knows by name and does not read.
//
// Start at [Parse].
package guardfile
