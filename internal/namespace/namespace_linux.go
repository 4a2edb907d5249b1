package namespace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Namespace is a network of a program's own, with what is answered there.
type Namespace struct {
	cfg       Config
	covers    []cover
	published []net.Listener // on the machine's loopback interface
	alive     *os.File       // closed, it ends the process that passes on what is published
	publisher *os.Process    // nil: there is none

	closed  context.Context
	close   context.CancelFunc
	closers []io.Closer
	running sync.WaitGroup
}

// New prepares a network and takes the ports that are published.
func New(cfg Config) (*Namespace, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	n := &Namespace{cfg: cfg}
	n.closed, n.close = context.WithCancel(context.Background())
	var err error
	if n.covers, err = cfg.covers("/"); err != nil {
		return nil, err
	}
	for _, port := range cfg.Publish {
		listener, err := new(net.ListenConfig).Listen(n.closed, "tcp4", loopbackPort(port))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("publish port %d of the program: %w", port, err), n.Close())
		}
		n.published = append(n.published, listener)
		n.closers = append(n.closers, listener)
	}
	return n, nil
}

// An order is what the new process is to do before it becomes the program.
type order struct {
	Path      string   // of the program
	Covers    []cover  // to mount
	Addresses []string // to add to the loopback interface
	Listen    []place  // where to listen
	Publish   []uint16 // whose listeners are the open files from firstPublished on
	Drop      bool     // the rights that made all this
}

// A place is where to listen.
type place struct{ Network, Address string }

// A report is what the new process answers, along with the open files of its listeners.
type report struct {
	Failed    string        // what could not be done; empty: nothing
	Errno     syscall.Errno // why
	Publisher int           // process id; 0: there is none
}

// The open files of the new process besides the first three.
const (
	controlFile    = 3
	aliveFile      = 4
	firstPublished = 5
)

// Start starts a program in the network, in place of its own Start. It starts this program once more,
// which has to call Enter when its first argument is Command.
func (n *Namespace) Start(cmd *exec.Cmd) error {
	direct := mayUnshare()
	work := order{
		Path: cmd.Path, Covers: n.covers, Addresses: n.cfg.addresses(), Publish: n.cfg.Publish, Drop: !direct,
		Listen: []place{{"udp", nameServer.String()}, {"tcp", nameServer.String()}},
	}
	for _, inside := range n.cfg.insides() {
		work.Listen = append(work.Listen, place{"tcp", inside})
	}
	control, theirs, err := newControl()
	if err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	defer control.Close() //nolint:errcheck // all has been said
	err = n.spawn(cmd, theirs, direct)
	if err != nil {
		return explain(err, direct)
	}
	if err := n.instruct(control, work); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // the reason is known
		return err
	}
	return nil
}

// newControl makes a connection to a process that is going to be started.
func newControl() (ours *net.UnixConn, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	file := os.NewFile(uintptr(pair[0]), "control")
	defer file.Close()
	theirs = os.NewFile(uintptr(pair[1]), "control")
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn.(*net.UnixConn), theirs, nil
}

// spawn starts this program anew, in new namespaces. It becomes the program.
func (n *Namespace) spawn(cmd *exec.Cmd, control *os.File, direct bool) (err error) {
	files := []*os.File{control}
	defer func() {
		for _, file := range files {
			err = errors.Join(err, file.Close())
		}
	}()
	if len(n.published) > 0 {
		watched, alive, err := os.Pipe()
		if err != nil {
			return err
		}
		n.alive = alive
		files = append(files, watched)
		for _, listener := range n.published {
			file, err := listener.(*net.TCPListener).File()
			if err != nil {
				return err
			}
			files = append(files, file)
		}
	}
	cmd.Args = append([]string{os.Args[0], Command, becomeProgram}, cmd.Args...)
	cmd.Path = "/proc/self/exe" // whatever has become of the file
	cmd.ExtraFiles = files
	cmd.SysProcAttr = attributes(direct)
	return cmd.Start()
}

// attributes are those of a process in new namespaces. Without the right to make them it needs a user
// namespace, in which it keeps its user and gets that right.
func attributes(direct bool) *syscall.SysProcAttr {
	if direct {
		return &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	}
	same := func(id int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: id, HostID: id, Size: 1}}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		UidMappings: same(os.Geteuid()), GidMappings: same(os.Getegid()),
		AmbientCaps: []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_ADMIN},
	}
}

// instruct has the new process do its work, answers where it listens, and lets it become the program.
func (n *Namespace) instruct(control *net.UnixConn, work order) error {
	message, err := json.Marshal(work)
	if err != nil {
		return err
	}
	if _, err := control.Write(message); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	done, files, err := receive(control)
	if err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	defer func() {
		for _, file := range files {
			_ = file.Close() // the listeners have copies
		}
	}()
	if done.Publisher != 0 {
		if n.publisher, err = os.FindProcess(done.Publisher); err != nil {
			return fmt.Errorf("find the process that passes on what is published: %w", err)
		}
	}
	if done.Failed != "" {
		return explain(&stepError{done.Failed, done.Errno}, !work.Drop)
	}
	if len(files) != len(work.Listen) {
		return fmt.Errorf("make a network namespace: %d listeners came of %d", len(files), len(work.Listen))
	}
	if err := n.serve(files); err != nil {
		return err
	}
	if _, err := control.Write([]byte{0}); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	switch failed, _, err := receive(control); {
	case errors.Is(err, io.EOF): // it has become the program
		return nil
	case err != nil:
		return fmt.Errorf("make a network namespace: %w", err)
	default:
		return &fs.PathError{Op: failed.Failed, Path: work.Path, Err: failed.Errno}
	}
}

// serve answers at the listeners, in the order in which they were asked for.
func (n *Namespace) serve(files []*os.File) error {
	socket, err := net.FilePacketConn(files[0])
	if err != nil {
		return fmt.Errorf("answer in the network namespace: %w", err)
	}
	n.closers = append(n.closers, socket)
	listeners := make([]net.Listener, len(files)-1)
	for i, file := range files[1:] {
		if listeners[i], err = net.FileListener(file); err != nil {
			return fmt.Errorf("answer in the network namespace: %w", err)
		}
		n.closers = append(n.closers, listeners[i])
	}
	names, questions := &resolver{n.cfg.Names}, listeners[0]
	n.running.Go(func() { names.servePackets(socket) })
	n.running.Go(func() { names.serveStreams(n.closed, questions) })
	listeners = listeners[1:]
	for i, relay := range n.cfg.Relays {
		listener := listeners[i]
		n.running.Go(func() { passAll(n.closed, listener, relay.Outside) })
	}
	listeners = listeners[len(n.cfg.Relays):]
	for i, service := range n.cfg.Services {
		listener := listeners[i]
		n.running.Go(func() { _ = service.Serve(listener) }) // it ends when the listener is closed
	}
	return nil
}

// Close ends what is answered and what is published. The network is gone with the last process in it.
func (n *Namespace) Close() error {
	n.close()
	var errs []error
	for _, closer := range slices.Backward(n.closers) {
		errs = append(errs, closer.Close())
	}
	if n.alive != nil {
		errs = append(errs, n.alive.Close())
	}
	if n.publisher != nil {
		_, err := n.publisher.Wait()
		errs = append(errs, err)
	}
	n.running.Wait()
	return errors.Join(errs...)
}

// maxMessage is how long a message between the processes can be, in bytes, and maxFiles how many
// open files can come with it.
const (
	maxMessage = 128 << 10
	maxFiles   = 253
)

// receive reads a report and the open files that come with it.
func receive(control *net.UnixConn) (done report, files []*os.File, err error) {
	message, extra := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*maxFiles))
	n, extraN, _, _, err := control.ReadMsgUnix(message, extra)
	if err != nil {
		return report{}, nil, err
	}
	if n == 0 && extraN == 0 {
		return report{}, nil, io.EOF
	}
	headers, err := unix.ParseSocketControlMessage(extra[:extraN])
	if err != nil {
		return report{}, nil, err
	}
	for _, header := range headers {
		numbers, err := unix.ParseUnixRights(&header)
		if err != nil {
			return report{}, nil, err
		}
		for _, number := range numbers {
			unix.CloseOnExec(number)
			files = append(files, os.NewFile(uintptr(number), "listener"))
		}
	}
	return done, files, json.Unmarshal(message[:n], &done)
}
