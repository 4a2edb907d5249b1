//go:build !linux

package folder

import "errors"

// exchange lets two names change places in one step, which this system cannot.
func exchange(string, string) error { return errors.ErrUnsupported }
