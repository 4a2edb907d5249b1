// Package noun is the commands that manage the directory by its nouns: app, sp, identity, user,
// host and tenant.
//
// It owns what they take, what they print, and whom they warn of. It refuses to own the rules:
// Graph's handlers have them, or package operate where Graph has no such noun.
//
// Start at managing.
package noun
