package runas

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/loopback"
	"github.com/rolecall-auth/rolecall/internal/namespace"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// Network says what a program finds in a network of its own.
type Network struct {
	Forward []uint16 // ports of this machine's loopback interface that it can reach
	Publish []uint16 // its ports that can be reached on this machine's loopback interface
}

// addMetadata puts the metadata service at its address, if the program has a network of its own.
func (e *Environment) addMetadata(state server.BindingState) error {
	if e.cfg.Network == nil {
		return e.noteMetadata(state)
	}
	// Clients have to use the address: what leads them elsewhere is outside the network.
	e.variables = slices.DeleteFunc(e.variables, func(v launch.Variable) bool {
		_, is := state.Environment[v.Name]
		return is && v.Name != launch.OnlyCredential
	})
	endpoint, err := url.Parse(state.Endpoint)
	if err != nil {
		return fmt.Errorf("read the address of the binding: %w", err)
	}
	e.relay(net.JoinHostPort(namespace.MetadataAddress, "80"), endpoint.Host)
	return nil
}

// relay leads an address in the program's network to one outside.
func (e *Environment) relay(inside, outside string) {
	if !slices.ContainsFunc(e.network.Relays, func(r namespace.Relay) bool { return r.Inside == inside }) {
		e.network.Relays = append(e.network.Relays, namespace.Relay{Inside: inside, Outside: outside})
	}
}

// addNetwork makes the program's network. It comes last: what is reached there are the endpoints
// that the program has been told.
func (e *Environment) addNetwork(ctx context.Context) (err error) {
	if e.cfg.Network == nil {
		return nil
	}
	if e.public != nil {
		e.answerPublicNames()
	}
	e.relayEndpoint(ctx, e.cfg.Source.Endpoints().Authority)
	for _, v := range e.variables {
		if strings.HasPrefix(v.Value, "http://") || strings.HasPrefix(v.Value, "https://") {
			e.relayEndpoint(ctx, v.Value)
		}
	}
	for _, port := range e.cfg.Network.Forward {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
		e.relay(address, address)
	}
	e.network.Publish, e.network.Bundle = e.cfg.Network.Publish, e.bundle
	if e.network.Folder, err = e.folder(); err != nil {
		return err
	}
	if e.namespace, err = namespace.New(e.network); err == nil {
		e.atEnd(e.namespace.Close)
	}
	return err
}

// publicAddress is what Microsoft's names resolve to in a network of a program's own. The usual
// address of the loopback interface is for the authority, which may be at the same port.
func publicAddress() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 2}) }

// answerPublicNames has Microsoft's names lead to the gateway.
func (e *Environment) answerPublicNames() {
	for _, host := range e.public.Hosts {
		e.network.Names[host] = publicAddress()
	}
	const https = 443
	e.network.Services = append(e.network.Services, namespace.Service{
		Inside: netip.AddrPortFrom(publicAddress(), https).String(), Serve: e.public.gateway.ServeListener,
	})
}

// relayEndpoint has the program reach an endpoint of this machine, under the name that it has.
func (e *Environment) relayEndpoint(ctx context.Context, endpoint string) {
	u, err := url.Parse(endpoint)
	if err != nil || e.public != nil && e.public.gateway.Answers(u.Hostname()) {
		return
	}
	for _, address := range endpointAddresses(ctx, u) {
		e.relay(address, address)
		at, err := netip.ParseAddrPort(address)
		if name := strings.ToLower(u.Hostname()); err == nil && at.Addr().Is4() && !loopback.Is(name) && net.ParseIP(name) == nil {
			e.network.Names[name] = at.Addr()
		}
	}
}

// endpointAddresses are where programs find an endpoint: the addresses of its name, as this machine
// knows it, and its port. A name that only the program knows means the loopback interface, where the
// authority listens unless it was told otherwise.
func endpointAddresses(ctx context.Context, u *url.URL) []string {
	_, port, err := net.SplitHostPort(server.Dial(u))
	if err != nil || port == "" {
		return nil
	}
	var found []string
	switch address, err := netip.ParseAddr(u.Hostname()); {
	case err == nil:
		found = []string{address.Unmap().String()}
	case !loopback.Is(u.Hostname()): // a resolver may not know localhost
		ctx, cancel := context.WithTimeout(ctx, lookUpTime)
		defer cancel()
		named, _ := net.DefaultResolver.LookupNetIP(ctx, "ip4", u.Hostname())
		for _, address := range named {
			found = append(found, address.Unmap().String())
		}
	}
	if len(found) == 0 {
		found = []string{"127.0.0.1"}
	}
	for i, address := range found {
		found[i] = net.JoinHostPort(address, port)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// lookUpTime is how long the name of the authority is looked up.
const lookUpTime = 2 * time.Second

// A networkError says that the program's network could not be made.
type networkError struct {
	cause   *namespace.RightsError
	without string // how to do without
}

func (e *networkError) Error() string { return e.cause.Error() }
func (e *networkError) Unwrap() error { return e.cause }

// Fix says how to do without, or with more rights.
func (e *networkError) Fix() string {
	return e.cause.Fix() + ", or " + e.without
}

// networkReason completes an error about the program's network.
func (e *Environment) networkReason(err error) error {
	no, ok := errors.AsType[*namespace.RightsError](err)
	switch {
	case !ok:
		return err
	case e.public != nil:
		return &networkError{no, "leave out --netns: the proxy that leads to Microsoft's names then needs no rights"}
	}
	return &networkError{no, "leave out --netns: --via app-service needs no rights"}
}
