package namespace

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Command is the argument that makes this program call [Enter], which [Namespace.Start] relies on.
const Command = "enter-namespace"

// MetadataAddress is where programs on Azure's virtual machines ask for tokens. Here it exists in
// namespaces only.
const MetadataAddress = "169.254.169.254"

// A Config says what a program finds in a network of its own.
type Config struct {
	// Folder is for what the program finds in place of the machine's files. Required; nobody else
	// can write to it.
	Folder string
	// Names are what host names resolve to, besides those of the machine's hosts file. No other name
	// resolves.
	Names map[string]netip.Addr
	// Relays and Services say what is answered in the network. Their addresses exist there.
	Relays   []Relay
	Services []Service
	// Publish are ports of the program that can be reached on the machine's loopback interface.
	Publish []uint16
	// Bundle is a PEM file that is laid over the system's store of trusted certificates. Empty: the
	// store is as it is.
	Bundle string
}

// A Relay passes the connections to an address and port in the network on to one outside.
type Relay struct{ Inside, Outside string }

// A Service answers at an address and port in the network, until its listener is closed.
type Service struct {
	Inside string
	Serve  func(net.Listener) error
}

// check refuses what cannot be made.
func (c *Config) check() error {
	if c.Folder == "" {
		return errors.New("namespace: Folder is missing")
	}
	for _, inside := range c.insides() {
		at, err := netip.ParseAddrPort(inside)
		if err != nil {
			return fmt.Errorf("namespace: %q is not an address and port: %w", inside, err)
		}
		if !at.Addr().Is4() && at.Addr() != netip.IPv6Loopback() {
			return fmt.Errorf("namespace: %s is not an address of IPv4", at.Addr())
		}
	}
	for name, address := range c.Names {
		if !address.Is4() || !isHostName(name) {
			return fmt.Errorf("namespace: %q is not a host name, or %q not an address of IPv4", name, address)
		}
	}
	return nil
}

// insides are the addresses and ports at which something answers in the network.
func (c *Config) insides() (all []string) {
	for _, relay := range c.Relays {
		all = append(all, relay.Inside)
	}
	for _, service := range c.Services {
		all = append(all, service.Inside)
	}
	return all
}

// addresses are those that the loopback interface does not have by itself.
func (c *Config) addresses() (added []string) {
	known := map[netip.Addr]bool{}
	for _, inside := range c.insides() {
		at, err := netip.ParseAddrPort(inside)
		if address := at.Addr(); err == nil && !address.IsLoopback() && !known[address] {
			known[address] = true
			added = append(added, address.String())
		}
	}
	return added
}

// A RightsError says why this system lets nobody, or not this user, make a namespace.
type RightsError struct {
	cause  error
	reason string // empty: the cause says all
	fix    string
}

func (e *RightsError) Error() string {
	if e.reason == "" {
		return fmt.Sprintf("make a network namespace: %v", e.cause)
	}
	return fmt.Sprintf("make a network namespace: %s (%v)", e.reason, e.cause)
}

func (e *RightsError) Unwrap() error { return e.cause }

// Fix is what whoever runs the system can do about it.
func (e *RightsError) Fix() string { return e.fix }

// isHostName reports whether a hosts file can have a name, and a question to a name server.
func isHostName(name string) bool {
	return name != "" && len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && r != '.' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	})
}

// loopbackPort is a port of the loopback interface.
func loopbackPort(port uint16) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))) }
