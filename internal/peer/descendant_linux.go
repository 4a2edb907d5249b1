package peer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// CheckDescendant returns an error unless a socket is an open file of a process that descends from
// another. The processes are those of this moment: whoever made the connection still has it.
func CheckDescendant(ancestor int, socket Socket) error {
	wanted := fmt.Sprintf("socket:[%d]", socket.Inode)
	descendants, err := descendantsOf(ancestor)
	if err != nil {
		return err
	}
	for _, pid := range descendants {
		if holds(pid, wanted) {
			return nil
		}
	}
	return ErrNotDescendant
}

// Holds reports whether a socket is an open file of a process.
func Holds(pid int, socket Socket) bool { return holds(pid, fmt.Sprintf("socket:[%d]", socket.Inode)) }

// holds reports whether a process has a file open. One that has ended meanwhile has none, and the
// files of another user's process cannot be read.
func holds(pid int, wanted string) bool {
	folder := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	open, err := os.Open(folder)
	if err != nil {
		return false
	}
	defer open.Close()
	names, err := open.Readdirnames(-1)
	if err != nil && len(names) == 0 {
		return false
	}
	for _, name := range names {
		if target, err := os.Readlink(filepath.Join(folder, name)); err == nil && target == wanted {
			return true
		}
	}
	return false
}

// descendantsOf lists the processes below one, by the parents that the kernel tells.
func descendantsOf(ancestor int) ([]int, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	children := map[int][]int{}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if parent, err := parentOf(pid); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	var found []int
	for next := children[ancestor]; len(next) > 0; {
		var below []int
		for _, pid := range next {
			below = append(below, children[pid]...)
		}
		found, next = append(found, next...), below
	}
	return found, nil
}

var errNoParent = errors.New("the process tells no parent")

// parentOf reads the parent of a process from proc_pid_stat(5). The name, which comes before it in
// parentheses, may hold anything.
func parentOf(pid int) (int, error) {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	text := string(content)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return 0, errNoParent
	}
	return strconv.Atoi(fields[1])
}

// AdoptOrphans makes the processes whose parents end before them children of this one, so that they
// still descend from it.
func AdoptOrphans() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("adopt processes without a parent: %w", err)
	}
	return nil
}

// ReapOrphans takes leave of adopted processes that have ended, until the channel is closed; each
// value in it means that some child has. All but one are orphans.
func ReapOrphans(ended <-chan os.Signal, except int) {
	for range ended {
		children, err := descendantsOf(os.Getpid())
		if err != nil {
			continue
		}
		for _, pid := range children {
			if parent, err := parentOf(pid); err == nil && parent == os.Getpid() && pid != except {
				_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // one that runs on is left alone
			}
		}
	}
}
