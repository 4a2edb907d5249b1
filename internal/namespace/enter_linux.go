package namespace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// What a process that Start or another such process has started is to be.
const (
	becomeProgram   = "program"
	becomePublisher = "publisher"
)

// Enter is all that a process does whose arguments, after the program's name, begin with Command. It
// returns the exit code, unless the process has become another program.
func Enter(args []string, said io.Writer) int {
	var err error
	switch {
	case len(args) > 2 && args[1] == becomeProgram:
		err = enter(args[2:])
	case len(args) > 2 && args[1] == becomePublisher:
		err = publish(args[2:])
	default:
		err = errors.New("this is not for people: it is how `rolecall run --netns` starts a program")
	}
	if err != nil {
		fmt.Fprintln(said, "rolecall:", err)
		return 1
	}
	return 0
}

// enter makes the network, tells the process that asked for it, and becomes the program. All is done
// by one thread, whose rights the program inherits.
func enter(args []string) error {
	runtime.LockOSThread()
	unix.CloseOnExec(controlFile)
	conn, err := net.FileConn(os.NewFile(controlFile, "control"))
	if err != nil {
		return errors.New("this is not for people: it is how `rolecall run --netns` starts a program")
	}
	control, ok := conn.(*net.UnixConn)
	if !ok {
		return errors.New("the connection to the process that asked for a namespace is none")
	}
	message := make([]byte, maxMessage)
	n, err := control.Read(message)
	if err != nil {
		return fmt.Errorf("read what is to be done: %w", err)
	}
	var work order
	if err := json.Unmarshal(message[:n], &work); err != nil {
		return fmt.Errorf("read what is to be done: %w", err)
	}
	files, publisher, err := work.carryOut()
	if err != nil {
		return tell(control, reportOf(err, publisher), nil)
	}
	if err := tell(control, report{Publisher: publisher}, files); err != nil {
		return err
	}
	for _, file := range files {
		_ = file.Close() // the other process has them
	}
	if n, err := control.Read(message); err != nil || n == 0 {
		return nil // whoever asked is gone
	}
	err = syscall.Exec(work.Path, args, os.Environ()) //nolint:gosec // G204: the program that was asked for
	return tell(control, reportOf(&stepError{"start", errnoOf(err)}, 0), nil)
}

// A stepError says what could not be done in the new process, and why.
type stepError struct {
	step  string
	errno syscall.Errno
}

func (e *stepError) Error() string { return e.step + ": " + e.errno.Error() }
func (e *stepError) Unwrap() error { return e.errno }

func reportOf(err error, publisher int) report {
	if step, ok := errors.AsType[*stepError](err); ok {
		return report{Failed: step.step, Errno: step.errno, Publisher: publisher}
	}
	return report{Failed: err.Error(), Errno: errnoOf(err), Publisher: publisher}
}

// errnoOf is the system's reason in an error.
func errnoOf(err error) syscall.Errno {
	errno, _ := errors.AsType[syscall.Errno](err)
	return errno
}

// tell reports to the process that asked.
func tell(control *net.UnixConn, done report, files []*os.File) error {
	message, err := json.Marshal(done)
	if err != nil {
		return err
	}
	var numbers []int
	for _, file := range files {
		numbers = append(numbers, int(file.Fd()))
	}
	_, _, err = control.WriteMsgUnix(message, unix.UnixRights(numbers...), nil)
	return err
}

// carryOut makes the network and returns the open files of its listeners.
func (o *order) carryOut() (files []*os.File, publisher int, err error) {
	for i := range o.Publish {
		unix.CloseOnExec(firstPublished + i)
	}
	if len(o.Publish) > 0 {
		unix.CloseOnExec(aliveFile)
	}
	if err := o.mount(); err != nil {
		return nil, 0, err
	}
	if err := setUpLoopback(o.Addresses); err != nil {
		return nil, 0, &stepError{"set up the loopback interface", errnoOf(err)}
	}
	for _, where := range o.Listen {
		file, err := where.listen()
		if err != nil {
			return nil, 0, &stepError{"listen at " + where.Address, errnoOf(err)}
		}
		files = append(files, file)
	}
	if o.Drop {
		if err := dropRights(); err != nil {
			return nil, 0, &stepError{"give up the rights that made the namespace", errnoOf(err)}
		}
	}
	if len(o.Publish) > 0 {
		publisher, err = o.startPublisher()
	}
	return files, publisher, err
}

// mount covers what the order says. What the machine mounts later can be seen, and what is mounted
// here cannot be seen outside.
func (o *order) mount() error {
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return &stepError{"keep mounts from the machine", errnoOf(err)}
	}
	for _, c := range o.Covers {
		if err := unix.Mount(c.Source, c.Target, "", unix.MS_BIND, ""); err != nil {
			return &stepError{"cover " + c.Target, errnoOf(err)}
		}
	}
	return nil
}

// listen returns the open file of a listener.
func (p place) listen() (file *os.File, err error) {
	var listening interface {
		File() (*os.File, error)
		io.Closer
	}
	if p.Network == "udp" {
		socket, err := new(net.ListenConfig).ListenPacket(context.Background(), p.Network, p.Address)
		if err != nil {
			return nil, err
		}
		listening = socket.(*net.UDPConn)
	} else {
		listener, err := new(net.ListenConfig).Listen(context.Background(), p.Network, p.Address)
		if err != nil {
			return nil, err
		}
		listening = listener.(*net.TCPListener)
	}
	file, err = listening.File()
	return file, errors.Join(err, listening.Close())
}

// dropRights leaves this thread without any.
func dropRights() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}

// mayUnshare reports whether this process may make namespaces of networks and mounts.
func mayUnshare() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var rights [2]unix.CapUserData
	return unix.Capget(&header, &rights[0]) == nil && rights[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// startPublisher starts the process that passes the connections to published ports on to the program.
// It is a child of the process that asked for the namespace, for the program knows nothing of it.
func (o *order) startPublisher() (int, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, &stepError{"open " + os.DevNull, errnoOf(err)}
	}
	defer null.Close()
	args := []string{os.Args[0], Command, becomePublisher}
	files := []*os.File{null, null, null, os.NewFile(aliveFile, "alive")}
	for i, port := range o.Publish {
		args = append(args, strconv.Itoa(int(port)))
		files = append(files, os.NewFile(uintptr(firstPublished+i), "listener"))
	}
	process, err := os.StartProcess("/proc/self/exe", args, &os.ProcAttr{ //nolint:gosec // G702: ports of our own
		Env: []string{}, Files: files, Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_PARENT},
	})
	runtime.KeepAlive(files)
	if err != nil {
		return 0, &stepError{"start what passes on published ports", errnoOf(err)}
	}
	pid := process.Pid // which is gone from there with the next line
	return pid, process.Release()
}

// publish passes connections to the listeners of some ports on to those ports here, until the process
// that asked for it ends. The listeners are outside.
func publish(ports []string) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for i, port := range ports {
		listener, err := net.FileListener(os.NewFile(uintptr(aliveFile+i), "listener"))
		if err != nil {
			return fmt.Errorf("publish port %s: %w", port, err)
		}
		// Servers that are told localhost may listen at either.
		go passAll(ctx, listener, net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port))
	}
	_, err := io.Copy(io.Discard, os.NewFile(controlFile, "alive"))
	return err
}
