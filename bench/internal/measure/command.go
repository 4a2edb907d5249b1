package measure

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
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

// FirstLine runs a command until it has written a line, and cuts it off there.
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
	switch {
	case err != nil:
		err = fmt.Errorf("%s wrote no line: %w", strings.Join(args, " "), err)
	case cut:
		_ = stdout.Close() // it ends at its next line, if it has any
	default:
		_, err = io.Copy(io.Discard, out)
	}
	ended := cmd.Wait()
	cost.Whole = time.Since(began)
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		cost.Memory = usage.Maxrss << 10 // Linux counts in KiB
	}
	cost.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if err == nil && ended != nil && !cut {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), ended, said.String())
	}
	return cost, err
}
