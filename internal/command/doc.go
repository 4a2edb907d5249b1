// Package command is what the commands of the program have in common: one invocation with its
// streams and its data folder, the flags that many of them have, and how they fail.
//
// It owns exit codes, the form of errors for people, ROLECALL_ variables and where the data
// folder is. It refuses to own what any command does.
//
// Start at [Line].
package command
