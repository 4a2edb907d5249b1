package machine

import (
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Memory is how many bytes of memory the process may use: what its control group has, or the
// machine. Zero means that the system does not say.
func Memory() int64 { return memory("/") }

// memory reads the files of Linux below a root.
func memory(root string) int64 {
	limit := total(filepath.Join(root, "proc/meminfo"))
	groups, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup")) // none elsewhere than on Linux
	for line := range strings.Lines(string(groups)) {
		number, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		folder, file := "sys/fs/cgroup", "memory.max"
		if number != "0" { // version 1 has a tree for each controller
			if controllers != "memory" {
				continue
			}
			folder, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		// A group has no more than those that it is in. In a container the path is that of
		// the machine, or the container's own group stands at the root.
		for group = path.Clean("/" + group); ; group = path.Dir(group) {
			if bytes := number64(filepath.Join(root, folder, group, file)); bytes > 0 && (limit == 0 || bytes < limit) {
				limit = bytes
			}
			if group == "/" {
				break
			}
		}
	}
	return limit
}

// total reads the machine's memory.
func total(file string) int64 {
	content, _ := os.ReadFile(file) // a file of the system
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemTotal:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// number64 reads a limit; "max" and what is not there are none.
func number64(file string) int64 {
	content, _ := os.ReadFile(file) // a file of the system
	bytes, _ := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	return bytes
}
