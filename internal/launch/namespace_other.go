//go:build !linux

package launch

import (
	"errors"
	"os/exec"
)

// A Namespace is a network of a program's own. Only Linux has them.
type Namespace struct{}

// NewNamespace always fails on this system.
func NewNamespace() (*Namespace, error) {
	return nil, errors.New("network namespaces exist on Linux only")
}

// Relay is not called.
func (*Namespace) Relay(string, string) error { return nil }

// AddAddress is not called.
func (*Namespace) AddAddress(string) error { return nil }

// Close is not called.
func (*Namespace) Close() error { return nil }

func (*Namespace) start(cmd *exec.Cmd) error { return cmd.Start() }

// MetadataAddress is where programs on Azure's virtual machines ask for tokens.
const MetadataAddress = "169.254.169.254"
