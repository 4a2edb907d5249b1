package directory

import "errors"

// ErrDamaged says that a store can no longer be read as it was written: a failing disk, a
// copy made while it was written to, or another program's hand. What it answers meanwhile
// may be wrong, so the way on is a backup, not another attempt.
var ErrDamaged = errors.New("the store is damaged")

// ErrReplaced says that a store's file is gone from its place, or is another one now.
var ErrReplaced = errors.New("the store is no longer in its place")

// ErrReadOnly says that a store is open for reading alone, because its place cannot be
// written.
var ErrReadOnly = errors.New("the store cannot be written")
