// Package folder looks after a data folder as a place on disk: whom it belongs to, which
// processes use it, whether it is as the last of them left it, and what killed ones left
// behind.
//
// It knows nothing of what the files hold; the database's own check of itself is asked for
// by whoever opens it, when [Use.Doubt] says that there is reason to. Start reading at
// [Take].
package folder
