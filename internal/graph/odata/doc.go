// Package odata reads what clients write into the URLs of Microsoft Graph: paths, query options
// and filters.
//
// It owns the syntax, what a filter means for a thing as it is on the wire, and which part of a
// filter can be answered by a key. It refuses to own what there is: which segments, members and
// options a resource has is what package graph says. Every spelling has one meaning or is an
// error that says where it went wrong; nothing is guessed. What is read is bounded in length,
// depth and number of parts, so that no URL costs more than its bytes.
//
// Start at [ParsePath], [ParseQuery] and [ParseFilter].
package odata
