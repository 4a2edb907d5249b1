// Package machine tells what this process may use: memory, and how many files at once.
//
// It owns where systems say so. It refuses to own what is done with it.
//
// Start at [Memory].
package machine
