package managedidentity

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

const tellsOwners = true

// The kernel's tables of connections in the network namespace of this thread: another thread,
// even the first, may be in another namespace. A socket for both protocols is in the second
// table.
const (
	tableIPv4 = "/proc/thread-self/net/tcp"
	tableIPv6 = "/proc/thread-self/net/tcp6"
)

// lookups is how often the tables are read, because they change meanwhile.
const lookups = 3

var errNoSocket = errors.New("the connection's other end is not on this machine, or not in this network namespace")

// peer returns the owner of the other end of a connection, the socket whose own address is the
// remote one. Both ports together identify it for as long as our end is open. The kernel is
// asked for that one socket; if it does not answer such questions, its tables do, which get long
// on a busy machine.
func peer(remote, local netip.AddrPort) (int, error) {
	if !remote.IsValid() || !local.IsValid() {
		return 0, errNoSocket
	}
	uid, err := diagnose(remote, local)
	if errors.Is(err, errNoSocket) {
		// A kernel without this question for TCP gives the same answer as one that does not
		// know the connection. It must know our end.
		if _, own := diagnose(local, remote); errors.Is(own, errNoSocket) {
			err = errNoDiagnosis
		}
	}
	if errors.Is(err, errNoDiagnosis) {
		return peerInTables(remote, local)
	}
	return uid, err
}

func peerInTables(remote, local netip.AddrPort) (int, error) {
	for range lookups {
		for _, table := range []string{tableIPv4, tableIPv6} {
			uid, err := lookup(table, remote, local)
			if !errors.Is(err, errNoSocket) {
				return uid, err
			}
		}
	}
	return 0, errNoSocket
}

// The columns of the tables, and the state of a connection in use. A connection that its owner
// has closed has no owner.
const (
	columnLocal  = 1
	columnRemote = 2
	columnState  = 3
	columnUID    = 7
	columns      = 10

	established = "01"
)

func lookup(table string, own, other netip.AddrPort) (int, error) {
	f, err := os.Open(table)
	if errors.Is(err, os.ErrNotExist) {
		return 0, errNoSocket
	}
	if err != nil {
		return 0, fmt.Errorf("find the owner of a connection: %w", err)
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
			return strconv.Atoi(row[columnUID])
		}
	}
	return 0, errNoSocket
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
