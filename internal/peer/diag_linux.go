package peer

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"
)

var (
	errNoDiagnosis = errors.New("the kernel does not answer questions about sockets")
	errLetGo       = errors.New("the connection's other end was closed")
)

// The messages of sock_diag(7): a header of netlink(7), then a question or an answer, each
// with the addresses of a socket.
const (
	diagProtocol = 4  // NETLINK_SOCK_DIAG
	diagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	diagTimeout  = 1  // second; the kernel answers at once

	questionSize = syscall.SizeofNlMsghdr + 8 + socketIDSize
	socketIDSize = 48
	answerFamily = syscall.SizeofNlMsghdr
	answerState  = syscall.SizeofNlMsghdr + 1
	answerID     = syscall.SizeofNlMsghdr + 4
	answerUID    = answerID + socketIDSize + 12
	answerInode  = answerUID + 4
	answerSize   = answerInode + 4

	stateEstablished = 1
)

// diagnose asks the kernel for the owner of an open socket by its own address and its peer's,
// in the network namespace of this thread.
func diagnose(own, other netip.AddrPort) (Socket, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, diagProtocol)
	if err != nil {
		return Socket{}, errNoDiagnosis
	}
	defer func() { _ = syscall.Close(fd) }() // nothing was written that could get lost
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: diagTimeout}); err != nil {
		return Socket{}, errNoDiagnosis
	}
	question := diagQuestion(own, other)
	if err := syscall.Sendto(fd, question, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return Socket{}, errNoDiagnosis
	}
	answer := make([]byte, 1024)
	n, _, err := syscall.Recvfrom(fd, answer, 0)
	if err != nil {
		return Socket{}, errNoDiagnosis
	}
	return readDiagnosis(answer[:n], own, other)
}

// diagQuestion is the question about one socket, by its two addresses.
func diagQuestion(own, other netip.AddrPort) []byte {
	b := make([]byte, questionSize)
	binary.NativeEndian.PutUint32(b, questionSize)
	binary.NativeEndian.PutUint16(b[4:], diagByFamily)
	binary.NativeEndian.PutUint16(b[6:], syscall.NLM_F_REQUEST)
	body := b[syscall.SizeofNlMsghdr:]
	body[0], body[1] = syscall.AF_INET6, syscall.IPPROTO_TCP
	if own.Addr().Is4() {
		body[0] = syscall.AF_INET
	}
	binary.NativeEndian.PutUint32(body[4:], ^uint32(0)) // in any state
	id := body[8:]
	binary.BigEndian.PutUint16(id, own.Port())
	binary.BigEndian.PutUint16(id[2:], other.Port())
	copy(id[4:20], own.Addr().AsSlice())
	copy(id[20:36], other.Addr().AsSlice())
	binary.NativeEndian.PutUint64(id[40:], ^uint64(0)) // of any age
	return b
}

// readDiagnosis reads the kernel's answer, which may be about a listener if there is no such
// connection.
func readDiagnosis(answer []byte, own, other netip.AddrPort) (Socket, error) {
	if len(answer) < syscall.SizeofNlMsghdr+4 {
		return Socket{}, errNoDiagnosis
	}
	switch kind := binary.NativeEndian.Uint16(answer[4:]); {
	case kind == syscall.NLMSG_ERROR && syscall.Errno(-int32(binary.NativeEndian.Uint32(answer[syscall.SizeofNlMsghdr:]))) == syscall.ENOENT:
		return Socket{}, ErrNoSocket
	case kind != diagByFamily || len(answer) < answerSize:
		return Socket{}, errNoDiagnosis
	}
	id := answer[answerID:]
	switch {
	case diagAddress(answer[answerFamily], id, id[4:]) != own, diagAddress(answer[answerFamily], id[2:], id[20:]) != other:
		return Socket{}, ErrNoSocket
	case answer[answerState] != stateEstablished:
		return Socket{}, errLetGo
	}
	return Socket{UID: int(binary.NativeEndian.Uint32(answer[answerUID:])), Inode: uint64(binary.NativeEndian.Uint32(answer[answerInode:]))}, nil
}

// diagAddress reads one of a socket's addresses. An IPv6 socket that uses IPv4, such as Java's,
// has IPv6 addresses, although the question contained IPv4 addresses.
func diagAddress(family byte, port, address []byte) netip.AddrPort {
	at := netip.AddrFrom4([4]byte(address))
	if family == syscall.AF_INET6 {
		at = netip.AddrFrom16([16]byte(address)).Unmap()
	}
	return netip.AddrPortFrom(at, binary.BigEndian.Uint16(port))
}
