package folder

import (
	"errors"
	"os"
)

// Replace puts the folder draft into the place of dir, which becomes aside. All three are
// on one disk. Where the system can exchange two names, dir is one of the two at every
// moment; elsewhere it is missing for one.
func Replace(dir, draft, aside string) error {
	if err := exchange(draft, dir); err == nil {
		return os.Rename(draft, aside) // what was dir
	}
	if err := os.Rename(dir, aside); err != nil {
		return err
	}
	if err := os.Rename(draft, dir); err != nil {
		return errors.Join(err, os.Rename(aside, dir))
	}
	return nil
}
