// Package memory is a directory store that lives and dies with the process: for tests,
// demonstrations and anything that needs no disk.
//
// It holds the same contract as the durable engines (package storetest), including
// readers that see one moment and are never held up by a transaction: all data is one
// immutable tree, and a commit swaps its root.
package memory
