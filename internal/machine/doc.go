// Package machine tells what this process may use, memory and how many files at once, and does
// work without getting in the way of other processes.
//
// It owns where systems say so. It refuses to own what is done with it.
//
// Start at [Memory].
package machine
