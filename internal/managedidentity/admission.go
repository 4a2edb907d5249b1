package managedidentity

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/loopback"
	"github.com/rolecall-auth/rolecall/internal/peer"
)

// metadataHost is the address of the metadata service of Azure's virtual machines. Requests to
// it are answered here; it is never dialed.
const metadataHost = "169.254.169.254"

// admit refuses requests that cannot come directly from a process of the endpoint's owner: those
// that a proxy forwarded, a web page sent, or another user made.
func (e *Endpoint) admit(r *http.Request) *refusal {
	if p := e.checkTarget(r); p != nil {
		return p
	}
	for name, values := range r.Header {
		switch {
		case isForwarding(name):
			return malformed("Requests that were forwarded are not answered: the header " + name + " is present.")
		case isBrowser(name, values):
			return malformed("Requests from web pages are not answered: the header " + name + " is present.")
		}
	}
	if !e.knows(r) {
		return malformed("The Host header names another host than this one.")
	}
	if p := e.checkFrom(r); p != nil {
		return p
	}
	return e.checkOwner(r)
}

// checkFrom refuses callers outside the endpoint's networks.
func (e *Endpoint) checkFrom(r *http.Request) *refusal {
	if len(e.from) == 0 {
		return nil
	}
	caller, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil && slices.ContainsFunc(e.from, func(network netip.Prefix) bool { return network.Contains(caller.Addr().Unmap()) }) {
		return nil
	}
	return &refusal{status: http.StatusBadRequest, code: codeAccessDenied, message: "The identity is assigned to programs at other addresses than this one."}
}

// checkTarget refuses requests to a proxy, except those for the metadata service: clients in
// which its address cannot be changed are brought here that way.
func (e *Endpoint) checkTarget(r *http.Request) *refusal {
	switch {
	case r.Method == http.MethodConnect:
		return notAllowed(r.Method, http.MethodGet)
	case strings.HasPrefix(r.RequestURI, "/"):
		return nil
	case e.kind == directory.PlatformIMDS && isMetadataTarget(r):
		return nil
	}
	return malformed("This is not a proxy: nothing is forwarded.")
}

func isMetadataTarget(r *http.Request) bool {
	u := r.URL
	return u.Scheme == "http" && u.User == nil && (u.Host == metadataHost || u.Host == metadataHost+":80") && isMetadataPath(u.Path)
}

// isForwarding reports whether a header says that a request was forwarded.
func isForwarding(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-cluster-client-ip", "x-original-host", "x-original-url", "x-rewrite-url":
		return true
	}
	return strings.Contains(name, "forwarded")
}

// isBrowser reports whether only browsers send a header. There is an exception: Node's fetch,
// which MSAL for Node uses, sends the mode cors.
func isBrowser(name string, values []string) bool {
	name = strings.ToLower(name)
	switch name {
	case "origin", "referer":
		return true
	case "sec-fetch-mode":
		return !slices.Equal(values, []string{"cors"})
	}
	return strings.HasPrefix(name, "sec-") || strings.HasPrefix(name, "access-control-")
}

// knows reports whether the Host header names the endpoint. A name that resolves to its address
// is not enough, because a web page could have one.
func (e *Endpoint) knows(r *http.Request) bool {
	host := hostName(r.Host)
	if loopback.Is(host) {
		return true
	}
	if address, err := netip.ParseAddr(host); err == nil && address.Zone() == "" && address.Unmap() == localAddress(r) {
		return true
	}
	return host == metadataHost && e.kind == directory.PlatformIMDS || slices.Contains(e.names, host)
}

// hostName returns the name in a Host header, in lower case and without the port. It is empty
// if the header is not well formed (RFC 9110 section 7.2).
func hostName(header string) string {
	name, port, _ := strings.Cut(header, ":")
	if inner, bracketed := strings.CutPrefix(header, "["); bracketed {
		var rest string
		name, rest, _ = strings.Cut(inner, "]")
		var isPort bool
		if port, isPort = strings.CutPrefix(rest, ":"); !isPort && rest != "" {
			return ""
		}
		if address, err := netip.ParseAddr(name); err != nil || !address.Is6() {
			return ""
		}
	}
	if strings.Trim(port, "0123456789") != "" {
		return ""
	}
	return strings.ToLower(name)
}

// localAddress is the address of the server's end of the request's connection.
func localAddress(r *http.Request) netip.Addr {
	address, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return peer.Address(address).Addr()
}

// checkOwner refuses other users of this machine.
func (e *Endpoint) checkOwner(r *http.Request) *refusal {
	owner := e.owner
	if owner < 0 && len(e.from) > 0 && !e.kind.HasSecret() && fromHere(r) {
		// A network is admitted for the machines in it. This machine may be one of them,
		// but that does not mean its other users.
		owner = os.Getuid()
	}
	if owner < 0 {
		return nil
	}
	uid, err := callerOf(r.Context())
	switch {
	case errors.Is(err, peer.ErrUnknown):
		return nil
	case err != nil:
		e.service.log.WarnContext(r.Context(), "managed identity: whose the connection is could not be told", "error", err)
	case uid == owner:
		return nil
	}
	return &refusal{status: http.StatusBadRequest, code: codeAccessDenied, message: "The identity is assigned to processes of another user."}
}

// fromHere reports whether a request came from an address of this machine.
func fromHere(r *http.Request) bool {
	caller, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || caller.Addr().IsLoopback() {
		return true
	}
	own, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(own, func(a net.Addr) bool {
		network, ok := a.(*net.IPNet)
		return ok && network.IP.Equal(caller.Addr().AsSlice())
	})
}
