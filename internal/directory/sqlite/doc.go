// Package sqlite keeps a directory in one SQLite file: the embedded engine, in pure Go.
//
// A change that was acknowledged survives the process and the power: the database runs
// with a write-ahead log and synchronous=FULL. Several processes may have the same file
// open. Writers take turns; readers are never held up. Start at [Open].
//
// Queries are plain SQL, so that another engine can take them over; what only SQLite
// understands is in schema.go and open.go.
package sqlite
