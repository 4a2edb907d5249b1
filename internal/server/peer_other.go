//go:build !linux

package server

import "net"

// peerUser cannot tell here: the folder's mode keeps other users out.
func peerUser(net.Conn) (int, error) { return anyone, nil }
