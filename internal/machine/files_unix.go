//go:build unix

package machine

import "syscall"

// Files is how many files and connections the process may have open at once. The Go runtime
// has raised the soft limit to the hard one by the time that it is asked. Zero means that
// there is no limit, or that the system does not say.
func Files() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	const most = 1 << 20          // what systems write for "no limit" does not fit into an int everywhere
	if uint64(limit.Cur) > most { //nolint:unconvert // it is signed on some systems
		return most
	}
	return int(limit.Cur)
}
