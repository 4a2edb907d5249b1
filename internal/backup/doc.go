// Package backup is the format of the file that `rolecall backup` writes: everything that a
// data folder needs to be whole again, in one file that shows when a bit of it changed.
//
//	rolecall backup\n    16 bytes
//	version              4 bytes, big-endian: 1
//	length of the header 4 bytes, big-endian
//	header               JSON: [Header], which names the files and their lengths
//	files                their contents, one after another
//	checksum             SHA-256 of everything before it
//	code                 HMAC-SHA-256 of the checksum, by a key derived from the folder's key
//
// The checksum finds damage before anything is believed, and needs no key. The code shows
// in addition that the key belongs to the file, and, where the key is kept elsewhere, that
// nobody has changed the file.
//
// A file made with its key is as secret as the folder: whoever reads it can issue tokens in
// the folder's name. In one made without, the folder's private files are sealed by the key,
// and the database holds nothing that opens without it but the slow hashes of users'
// passwords.
//
// The package owns the format and trusts nothing in it; how a database is copied, and where
// a folder goes, is for its callers. Start reading at [Write] and [Read].
package backup
