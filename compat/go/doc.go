// Package compat drives Microsoft's client libraries for Go, unmodified,
// against a Rolecall authority on loopback.
//
// It holds tests alone. The script run one folder up starts the authority and
// the Orders servers, tells their addresses through the environment, and makes
// a table of what the tests record. Without that environment they skip.
package compat
