package server

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"github.com/rolecall-auth/rolecall/internal/loopback"
)

// proxies are the networks of proxies that are believed when they tell whom a request comes
// from. What others say about that is not read: anybody can send such a header.
type proxies struct {
	networks []netip.Prefix
	log      *slog.Logger
	warn     *sync.Once // that two headers disagree
}

func newProxies(texts []string, log *slog.Logger) (proxies, error) {
	networks, err := parseNetworks(texts, "proxies cannot be trusted at")
	return proxies{networks: networks, log: log, warn: new(sync.Once)}, err
}

func (p proxies) trusts(address netip.Addr) bool {
	for _, network := range p.networks {
		if network.Contains(address.Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

// identify lets a handler see the client's address in RemoteAddr in place of the proxy's.
func (p proxies) identify(next http.Handler) http.Handler {
	if len(p.networks) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client, ok := p.client(r); ok {
			r2 := *r
			r2.RemoteAddr = netip.AddrPortFrom(client, 0).String()
			r = &r2
		}
		next.ServeHTTP(w, r)
	})
}

// client is the address of the last hop that is not a proxy of ours, where a proxy of ours
// tells of one. Each proxy adds the address of whoever it was reached from at the end, so
// whatever stands before that hop was written by strangers.
func (p proxies) client(r *http.Request) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !p.trusts(peer.Addr()) {
		return netip.Addr{}, false
	}
	common, standard := r.Header.Values("X-Forwarded-For"), r.Header.Values("Forwarded")
	switch {
	case len(common) == 0 && len(standard) == 0:
		return netip.Addr{}, false
	case len(standard) == 0:
		return p.lastStranger(peer.Addr(), split(common)), true
	case len(common) == 0:
		return p.lastStranger(peer.Addr(), forwardedFor(standard)), true
	}
	// A proxy writes one of them and passes the other one on, which may be a stranger's.
	one, other := p.lastStranger(peer.Addr(), split(common)), p.lastStranger(peer.Addr(), forwardedFor(standard))
	if one == other {
		return one, true
	}
	p.warn.Do(func() {
		p.log.WarnContext(r.Context(), "a proxy sends X-Forwarded-For and Forwarded, and they disagree: such requests count as the proxy's own; let it remove the one that it does not write",
			"proxy", peer.Addr().String())
	})
	return netip.Addr{}, false
}

// lastStranger walks from the proxy that was talked to towards the client. An entry that is
// no address ends the walk: it is not known where the hop before it was reached from.
func (p proxies) lastStranger(peer netip.Addr, hops []string) netip.Addr {
	last := peer
	for i := len(hops) - 1; i >= 0 && p.trusts(last); i-- {
		hop, ok := parseHop(hops[i])
		if !ok {
			break
		}
		last = hop
	}
	return last
}

// parseHop reads an address with or without a port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1,
// [2001:db8::1], [2001:db8::1]:80.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		text, ok = strings.CutSuffix(inner, "]")
		if !ok {
			return netip.Addr{}, false
		}
	}
	address, err := netip.ParseAddr(text)
	return address.Unmap().WithZone(""), err == nil
}

// split lists the elements of a header that may be there several times.
func split(lines []string) []string { return strings.Split(strings.Join(lines, ","), ",") }

// forwardedFor lists the for parameters of Forwarded (RFC 7239). An element without one, or
// one that is not understood, is an empty text, which is no address.
func forwardedFor(lines []string) []string {
	var hops []string
	for _, element := range splitOutsideQuotes(strings.Join(lines, ","), ',') {
		hop := ""
		for _, pair := range splitOutsideQuotes(element, ';') {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if strings.EqualFold(name, "for") {
				hop = strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`)
			}
		}
		hops = append(hops, hop)
	}
	return hops
}

// splitOutsideQuotes splits a text at a byte that does not stand between quotes.
func splitOutsideQuotes(text string, at byte) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == at && !quoted:
			parts, start = append(parts, text[start:i]), i+1
		}
	}
	return append(parts, text[start:])
}

// front is what stands before the authority: whom a request comes from is found out, and
// where TLS ends before the listener, requests are taken from the proxy alone.
func (s *Server) front(next http.Handler) http.Handler {
	next = s.proxies.identify(next)
	if !s.plain() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !loopback.Is(peer.Addr().Unmap().String()) && !s.proxies.trusts(peer.Addr()) {
			answer(w, http.StatusForbidden, map[string]string{
				"error":             "invalid_request",
				"error_description": "This listener is for the proxy of " + s.cfg.PublicURL + " alone, because it has no TLS. Use that address.",
			})
			return
		}
		next.ServeHTTP(w, r)
	})
}
