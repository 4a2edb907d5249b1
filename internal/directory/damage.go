package directory

import "errors"

// ErrDamaged says that a store can no longer be read as it was written: a failing disk, a
// copy made while it was written to, or another program's hand. What it answers meanwhile
// may be wrong, so the way on is a backup, not another attempt.
var ErrDamaged = errors.New("the store is damaged")
