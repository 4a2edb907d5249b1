package measure

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Build compiles the rolecall binary into a folder, as a release is, and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/rolecall-auth/rolecall").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	binary := filepath.Join(dir, "rolecall")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/rolecall")
	build.Dir = strings.TrimSpace(string(root))
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build rolecall: %w\n%s", err, out)
	}
	return binary, nil
}

// A Process is a running server.
type Process struct {
	Began time.Time // just before it was started
	Line  string    // the first line it wrote
	cmd   *exec.Cmd
	drain chan error
}

// Start starts a program and waits for the first line of its output, with which a server
// says that it is ready. The caller must Stop it.
func Start(ctx context.Context, program string, args ...string) (*Process, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, Began: time.Now(), drain: make(chan error, 1)}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	reader := bufio.NewReader(stdout)
	p.Line, err = reader.ReadString('\n')
	go func() {
		_, err := io.Copy(io.Discard, reader)
		p.drain <- err
	}()
	if err != nil {
		return nil, fmt.Errorf("%s said nothing: %w\n%s", program, errors.Join(err, p.Stop()), complaints.String())
	}
	p.Line = strings.TrimSpace(p.Line)
	return p, nil
}

// Listen starts a program and waits until it listens at an address. What it writes is read and
// thrown away, as a service manager reads it. The caller must Stop it.
func Listen(ctx context.Context, address, program string, args ...string) (*Process, error) {
	return Launch(ctx, Program{Path: program, Args: args, Address: address, Within: startLimit})
}

// A Program is what to start, and when it is ready.
type Program struct {
	Path    string
	Args    []string
	Env     []string      // nil: this process's
	Address string        // at which it listens when it is ready
	Within  time.Duration // how long that may take
}

// Launch is Listen for a program that takes more to say.
func Launch(ctx context.Context, program Program) (*Process, error) {
	cmd := exec.CommandContext(ctx, program.Path, program.Args...)
	cmd.Env = program.Env
	said := &lastWords{}
	cmd.Stdout, cmd.Stderr = said, said
	p := &Process{cmd: cmd, Began: time.Now(), drain: make(chan error, 1)}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program.Path, err)
	}
	p.drain <- nil
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(program.Within); time.Now().Before(end); <-look.C {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", program.Address); err == nil {
			return p, conn.Close()
		}
	}
	return nil, errors.Join(fmt.Errorf("%s does not listen at %s", program.Path, program.Address), p.Stop(), errors.New(said.String()))
}

// startLimit is how long a program may take until it listens.
const startLimit = 20 * time.Second

// lastWords keeps the end of what is written to it.
type lastWords struct {
	mu   sync.Mutex
	kept []byte // guarded by mu
}

// Write takes what a program says.
func (l *lastWords) Write(b []byte) (int, error) {
	const most = 4 << 10
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, b...)
	if over := len(l.kept) - most; over > 0 {
		l.kept = append(l.kept[:0], l.kept[over:]...)
	}
	return len(b), nil
}

func (l *lastWords) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.kept)
}

// Stop ends the process and waits for it.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.drain
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) { // stopped as asked
		return err
	}
	return nil
}

// clockTick is the unit of CPU times in /proc: a hundredth of a second on every Linux.
const clockTick = 10 * time.Millisecond

// CPU returns the CPU time the process has used so far, in steps of 10 ms.
func (p *Process) CPU() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of a process, which needs Linux: %w", err)
	}
	// The name in parentheses may hold spaces; user and system time are the 12th and 13th
	// fields behind it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat is too short")
	}
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// Memory returns how much of the process is resident, in bytes.
func (p *Process) Memory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of a process, which needs Linux: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if size, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(size), " kB"), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("/proc/PID/status has no VmRSS")
}
