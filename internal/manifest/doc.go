// Package manifest reads rolecall.yaml, the file that says which tenants, applications,
// managed identities, hosts and users there are and who may what, and brings a directory to that
// state.
//
// [Parse] is strict: a member it does not know, a value of another type, a name used
// twice is a [Problem] with line and column, and a file with several problems reports all
// of them. [File.Apply] then works through [directory.Editor] alone, so the rules of the
// model hold here as everywhere; what they object to is given the place in the file.
//
// # What the file says, and what it leaves open
//
// Applying adds and changes what the file says and touches nothing else. With
// [Options].Prune the file is the whole truth about the tenants it names: applications,
// managed identities, hosts, users, credentials, roles and assignments that it does not mention
// go, and settings that it does not mention return to their defaults. Tenants that it
// does not name are never touched, and an id, once given, is kept.
//
// The lists of a host (its identities, names and networks) say who is let in, so they are
// taken as they stand: what a list no longer names is gone, with or without pruning.
//
// A permission with consent: true is requested and granted, scopes for every user;
// without, it is requested only, and a grant there may be stays until it is pruned. What
// a user consented to stays always. Users may consent to a scope unless it says consent:
// admin. An app role or scope that goes is disabled first, as
// the model wants.
//
// Applying a file a second time changes nothing. A secret with generate: true is made
// once, under its name, and shown once; a secret or password with a value is compared
// with the kept digest, and replaced only when it differs.
package manifest
