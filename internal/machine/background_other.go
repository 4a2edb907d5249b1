//go:build !linux

package machine

// InBackground does something at the priority of work that nobody waits for. On systems that do
// not know the priority of a thread it is done as it is.
func InBackground(f func() error) error { return f() }
