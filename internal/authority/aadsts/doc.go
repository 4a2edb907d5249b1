// Package aadsts is the table of errors: every refusal of the authority, with its AADSTS
// number, its OAuth error, its HTTP status, what is wrong, and how to fix it.
//
// It owns the words and numbers. Each row has one constructor, which fills in what was
// presented, and [Table] lists all rows; docs/errors.md is generated from it. It refuses to
// own who refuses what, which the packages that call the constructors decide, and how a
// refusal is written, which package exchange does.
//
// Start reading at [Problem]. Functions of the authority return a Problem as an error;
// [Of] converts it back at the edge.
package aadsts
