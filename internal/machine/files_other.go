//go:build !unix

package machine

// Files is how many files and connections the process may have open at once. Zero means that
// there is no limit, or that the system does not say.
func Files() int { return 0 }
