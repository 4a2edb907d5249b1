package peer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

const tells = true

// The kernel's tables of connections in the network namespace of this thread: another thread,
// even the first, may be in another namespace. A socket for both protocols is in the second
// table.
const (
	tableIPv4 = "/proc/thread-self/net/tcp"
	tableIPv6 = "/proc/thread-self/net/tcp6"
)

// lookups is how often the tables are read, because they change meanwhile.
const lookups = 3

// Find returns the other end of a connection, the socket whose own address is the
// remote one. Both ports together identify it for as long as our end is open. The kernel is
// asked for that one socket; if it does not answer such questions, its tables do, which get long
// on a busy machine.
func Find(remote, local netip.AddrPort) (Socket, error) {
	if !remote.IsValid() || !local.IsValid() {
		return Socket{}, ErrNoSocket
	}
	socket, err := diagnose(remote, local)
	if errors.Is(err, ErrNoSocket) {
		// A kernel without this question for TCP gives the same answer as one that does not
		// know the connection. It must know our end.
		if _, own := diagnose(local, remote); errors.Is(own, ErrNoSocket) {
			err = errNoDiagnosis
		}
	}
	if errors.Is(err, errNoDiagnosis) {
		return peerInTables(remote, local)
	}
	return socket, err
}

func peerInTables(remote, local netip.AddrPort) (Socket, error) {
	for range lookups {
		for _, table := range []string{tableIPv4, tableIPv6} {
			socket, err := lookup(table, remote, local)
			if !errors.Is(err, ErrNoSocket) {
				return socket, err
			}
		}
	}
	return Socket{}, ErrNoSocket
}

// The columns of the tables, and the state of a connection in use. A connection that its owner
// has closed has no owner.
const (
	columnLocal  = 1
	columnRemote = 2
	columnState  = 3
	columnUID    = 7
	columnInode  = 9
	columns      = 10

	established = "01"
)

func lookup(table string, own, other netip.AddrPort) (Socket, error) {
	f, err := os.Open(table)
	if errors.Is(err, os.ErrNotExist) {
		return Socket{}, ErrNoSocket
	}
	if err != nil {
		return Socket{}, fmt.Errorf("find the owner of a connection: %w", err)
	}
	defer f.Close()
	wide := table == tableIPv6
	from, to := tableAddress(own, wide), tableAddress(other, wide)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if !strings.Contains(lines.Text(), from) {
			continue
		}
		row := strings.Fields(lines.Text())
		if len(row) >= columns && row[columnLocal] == from && row[columnRemote] == to && row[columnState] == established {
			return readRow(row)
		}
	}
	return Socket{}, ErrNoSocket
}

func readRow(row []string) (Socket, error) {
	uid, err := strconv.Atoi(row[columnUID])
	if err != nil {
		return Socket{}, fmt.Errorf("find the owner of a connection: %w", err)
	}
	inode, err := strconv.ParseUint(row[columnInode], 10, 64)
	if err != nil {
		return Socket{}, fmt.Errorf("find the owner of a connection: %w", err)
	}
	return Socket{UID: uid, Inode: inode}, nil
}

// tableAddress writes an address in the form of the tables: words in the machine's byte order.
func tableAddress(at netip.AddrPort, wide bool) string {
	address := at.Addr()
	raw := address.AsSlice()
	if wide {
		bytes := address.As16()
		raw = bytes[:]
	}
	var b strings.Builder
	for ; len(raw) > 0; raw = raw[4:] {
		fmt.Fprintf(&b, "%08X", binary.NativeEndian.Uint32(raw))
	}
	fmt.Fprintf(&b, ":%04X", at.Port())
	return b.String()
}
