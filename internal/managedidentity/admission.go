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
)

// metadataHost is the address of the metadata service of Azure's virtual machines. It is
// answered for, never dialled.
const metadataHost = "169.254.169.254"

// admit refuses what cannot have come from a process of the host's owner, speaking to the
// host itself: what a proxy passed on, a web page sent, or another user asks for.
func (h *Endpoint) admit(r *http.Request) *refusal {
	if p := h.checkTarget(r); p != nil {
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
	if !h.knows(r) {
		return malformed("The Host header names another host than this one.")
	}
	if p := h.checkFrom(r); p != nil {
		return p
	}
	return h.checkOwner(r)
}

// checkFrom refuses callers from elsewhere than the host's networks.
func (h *Endpoint) checkFrom(r *http.Request) *refusal {
	if len(h.from) == 0 {
		return nil
	}
	caller, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil && slices.ContainsFunc(h.from, func(network netip.Prefix) bool { return network.Contains(caller.Addr().Unmap()) }) {
		return nil
	}
	return &refusal{status: http.StatusBadRequest, code: codeAccessDenied, message: "The identity is assigned to programs at other addresses than this one."}
}

// checkTarget refuses requests to a proxy, but for those that mean the metadata service:
// that is how clients are brought here whose address of it cannot be changed.
func (h *Endpoint) checkTarget(r *http.Request) *refusal {
	switch {
	case r.Method == http.MethodConnect:
		return notAllowed(r.Method, http.MethodGet)
	case strings.HasPrefix(r.RequestURI, "/"):
		return nil
	case h.kind == directory.PlatformIMDS && isMetadataTarget(r):
		return nil
	}
	return malformed("This is no proxy: nothing is forwarded.")
}

func isMetadataTarget(r *http.Request) bool {
	u := r.URL
	return u.Scheme == "http" && u.User == nil && (u.Host == metadataHost || u.Host == metadataHost+":80") && isMetadataPath(u.Path)
}

// isForwarding reports whether a header tells that a request came by way of somebody.
func isForwarding(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-cluster-client-ip", "x-original-host", "x-original-url", "x-rewrite-url":
		return true
	}
	return strings.Contains(name, "forwarded")
}

// isBrowser reports whether a header is one that only browsers send. One is not: Node's
// fetch, which MSAL for Node uses, says of itself that its mode is cors.
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

// knows reports whether the host is meant: a name that resolves to its address is not
// enough, or a web page could have it.
func (h *Endpoint) knows(r *http.Request) bool {
	host := hostName(r.Host)
	if loopback.Is(host) {
		return true
	}
	if address, err := netip.ParseAddr(host); err == nil && address.Zone() == "" && address.Unmap() == localAddress(r) {
		return true
	}
	return host == metadataHost && h.kind == directory.PlatformIMDS || slices.Contains(h.names, host)
}

// hostName is what a Host header names, in lower case and without the port; nothing if it is
// written in any way but the right one (RFC 9110 section 7.2).
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

// localAddress is our end of the request's connection.
func localAddress(r *http.Request) netip.Addr {
	address, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return addressOf(address).Addr()
}

// checkOwner refuses other users of this machine.
func (h *Endpoint) checkOwner(r *http.Request) *refusal {
	owner := h.owner
	if owner < 0 && len(h.from) > 0 && !h.kind.HasSecret() && fromHere(r) {
		// A network is let in for what is in it. This machine is a part of it too, but
		// its other users have nothing to show that they are meant.
		owner = os.Getuid()
	}
	if owner < 0 {
		return nil
	}
	uid, err := callerOf(r.Context())
	switch {
	case errors.Is(err, errPeerUnknown):
		return nil
	case err != nil:
		h.service.log.WarnContext(r.Context(), "managed identity: whose the connection is could not be told", "error", err)
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
