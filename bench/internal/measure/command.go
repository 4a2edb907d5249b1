package measure

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A Cost is what one run of a command took.
type Cost struct {
	First  time.Duration // from before its start to the first line of its output
	Whole  time.Duration // to its end, or to where it was cut off
	CPU    time.Duration // of the process, as far as it ran
	Memory int64         // at its most, in bytes
}

// Run runs a command to its end, and reads all that it writes.
func Run(ctx context.Context, program string, args ...string) (Cost, error) {
	return command(ctx, false, program, args...)
}

// FirstLine runs a command until it has written a line, and interrupts it there, so that it closes
// what it has open: after one that dies otherwise, the next checks the whole database.
func FirstLine(ctx context.Context, program string, args ...string) (Cost, error) {
	return command(ctx, true, program, args...)
}

func command(ctx context.Context, cut bool, program string, args ...string) (cost Cost, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	said := &lastWords{}
	cmd.Stderr = said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return cost, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return cost, fmt.Errorf("start %s: %w", program, err)
	}
	out := bufio.NewReader(stdout)
	_, err = out.ReadString('\n')
	cost.First = time.Since(began)
	if err != nil {
		err = fmt.Errorf("%s wrote no line: %w", strings.Join(args, " "), err)
	}
	if cut {
		_ = cmd.Process.Signal(os.Interrupt) // it may be gone
	}
	for piece := make([]byte, 64<<10); err == nil; {
		if _, err = io.ReadFull(out, piece); err == nil { // far apart enough to cost nothing
			cost.Memory = max(cost.Memory, residentMost(cmd.Process.Pid))
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	ended := cmd.Wait()
	cost.Whole = time.Since(began)
	cost.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if err == nil && ended != nil && !cut {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), ended, said.String())
	}
	return cost, err
}

// residentMost is the most memory that a process has had, zero where that cannot be read. (What the
// system tells of one that ended counts in its parent's, from before it became another program.)
func residentMost(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if size, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(size), " kB"), 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}
