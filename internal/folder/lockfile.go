package folder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Lock waits until this process alone has the lock of a file, which it makes if need be, mode
// 0600. The system gives the lock back when the process ends, however it ends.
func Lock(ctx context.Context, path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock file: %w", err)
	}
	const pause = 20 * time.Millisecond
	for {
		locked, err := lockAlone(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		if locked {
			return f.Close, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for the lock of %s: %w", path, ctx.Err()), f.Close())
		case <-time.After(pause):
		}
	}
}
