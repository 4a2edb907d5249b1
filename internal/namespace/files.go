package namespace

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A cover is a file or folder that the program finds in place of another.
type cover struct{ Source, Target string }

// The machine's files that say how names resolve.
const (
	hostsFile    = "/etc/hosts"
	resolverFile = "/etc/resolv.conf"
	switchFile   = "/etc/nsswitch.conf"
)

// resolverSockets are how libraries ask services of the machine for names. A network namespace does
// not keep a program from the sockets of the file system.
func resolverSockets() []string {
	return []string{"/run/nscd/socket", "/run/systemd/resolve/io.systemd.Resolve", "/run/avahi-daemon/socket"}
}

// covers writes the files that the program finds in place of the machine's. Root is the folder below
// which the machine's are: / but for tests. What the machine does not have cannot be covered, and
// need not be: without a hosts file or a resolver's configuration, programs ask the name server at
// this address, which knows the same.
func (c *Config) covers(root string) ([]cover, error) {
	made := &covering{folder: c.Folder, root: root}
	made.replace(hostsFile, func(old []byte) []byte { return hostsWith(old, c.Names) })
	made.replace(resolverFile, func([]byte) []byte { return []byte("nameserver " + nameServer.Addr().String() + "\n") })
	made.replace(switchFile, filesFirst)
	for _, socket := range resolverSockets() {
		made.replaceAny(socket, func() []byte { return nil })
	}
	if c.Bundle != "" {
		made.layStore(c.Bundle)
	}
	return made.all, errors.Join(made.errs...)
}

// covering collects covers.
type covering struct {
	folder, root string
	all          []cover
	errs         []error
}

// resolve returns where a path leads; empty if there is nothing.
func (c *covering) resolve(path string) string {
	target, err := filepath.EvalSymlinks(filepath.Join(c.root, path))
	if err != nil || c.has(target) {
		return ""
	}
	return target
}

func (c *covering) has(target string) bool {
	return slices.ContainsFunc(c.all, func(made cover) bool { return made.Target == target })
}

// replace covers a file by what becomes of its content.
func (c *covering) replace(path string, become func(old []byte) []byte) {
	target := c.resolve(path)
	if target == "" {
		return
	}
	content, err := os.ReadFile(target)
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("read what a namespace replaces: %w", err))
		return
	}
	c.add(target, become(content))
}

// replaceAny covers what is no folder, whatever else it is.
func (c *covering) replaceAny(path string, content func() []byte) {
	target := c.resolve(path)
	if target == "" {
		return
	}
	if info, err := os.Stat(target); err == nil && !info.IsDir() {
		c.add(target, content())
	}
}

// add covers a path by a file with a content.
func (c *covering) add(target string, content []byte) {
	source := c.next()
	if err := os.WriteFile(source, content, 0o444); err != nil { //nolint:gosec // G306: everybody reads the file that it covers
		c.errs = append(c.errs, fmt.Errorf("write a file of a namespace: %w", err))
		return
	}
	c.all = append(c.all, cover{source, target})
}

// next is the name of another file.
func (c *covering) next() string { return filepath.Join(c.folder, fmt.Sprintf("cover-%d", len(c.all))) }

// hostsWith completes a hosts file. What it says of those names is left out.
func hostsWith(old []byte, names map[string]netip.Addr) []byte {
	var hosts bytes.Buffer
	for line := range strings.Lines(string(old)) {
		fields := strings.Fields(withoutComment(line))
		if len(fields) == 0 {
			continue
		}
		kept := slices.DeleteFunc(fields[1:], func(name string) bool { _, ours := names[bareName(name)]; return ours })
		if len(kept) > 0 {
			fmt.Fprintln(&hosts, fields[0], strings.Join(kept, " "))
		}
	}
	for _, name := range sortedNames(names) {
		fmt.Fprintln(&hosts, names[name], name)
	}
	return hosts.Bytes()
}

func withoutComment(line string) string {
	text, _, _ := strings.Cut(line, "#")
	return text
}

func bareName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

func sortedNames(names map[string]netip.Addr) []string {
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return sorted
}

// filesFirst is the configuration of the C library's name service with hosts from the hosts file and
// a name server alone: other sources are services of the machine, which look names up outside.
func filesFirst(old []byte) []byte {
	var lines []string
	for line := range strings.Lines(string(old)) {
		if database, _, ok := strings.Cut(withoutComment(line), ":"); !ok || strings.TrimSpace(database) != "hosts" {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return []byte(strings.Join(append(lines, "hosts: files dns"), "\n") + "\n")
}

// isMissing reports that a file is not there, or that this user cannot know.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}
