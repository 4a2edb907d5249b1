package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrUnreachable says that a server runs on a data folder and does not answer.
var ErrUnreachable = errors.New("the server does not answer")

func unreachable(dir string, pid int, cause error) error {
	return &refusedError{
		what:  fmt.Sprintf("the server of %s (process %d) does not answer", dir, pid),
		fix:   "it acts on the change as soon as it runs again; if it hangs, stop it and start it again",
		cause: errors.Join(ErrUnreachable, cause),
	}
}

// FindReachable is Find, and an ErrUnreachable where a server has the folder and does not
// answer: one that is stopped, or has no time. To Find there is none.
func FindReachable(ctx context.Context, dir string) (*Found, error) {
	found, err := Find(ctx, dir)
	if found != nil || err != nil {
		return found, err
	}
	content, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, nil //nolint:nilerr // no server has said that it serves
	}
	var s state
	if err := json.Unmarshal(content, &s); err != nil || s.PID <= 0 {
		return nil, nil //nolint:nilerr // as Find has it
	}
	held, err := isLocked(filepath.Join(dir, lockFile))
	if err != nil || !held || !isRunning(s.PID) { // the traces of a crash
		return nil, err
	}
	return nil, unreachable(dir, s.PID, nil)
}
