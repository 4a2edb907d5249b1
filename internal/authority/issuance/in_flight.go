package issuance

import (
	"cmp"
	"context"
	"runtime"
	"sync"
)

// inFlight bounds how many signatures one client may have made at the same time, to as many
// as there are processors: a signature is the most expensive step of an answer, and one client
// with a hundred connections would make all others wait behind its own.
type inFlight struct {
	mu      sync.Mutex
	clients map[string]*clientSlots
}

// clientSlots are those of a client that has signatures in flight.
type clientSlots struct {
	slots chan struct{}
	users int // in flight, or waiting
}

// enter waits until the client may have another signature made. The caller leaves afterwards.
func (f *inFlight) enter(ctx context.Context, client string) (leave func(), err error) {
	c := f.join(client)
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots; f.part(client, c) }, nil
	case <-ctx.Done():
		f.part(client, c)
		return nil, ctx.Err()
	}
}

func (f *inFlight) join(client string) *clientSlots {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.clients[client]
	if c == nil {
		if f.clients == nil {
			f.clients = map[string]*clientSlots{}
		}
		c = &clientSlots{slots: make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))}
		f.clients[client] = c
	}
	c.users++
	return c
}

func (f *inFlight) part(client string, c *clientSlots) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.users--; c.users == 0 {
		delete(f.clients, client)
	}
}

// client names the client of a token. An id token has it for its audience.
func (c *Claims) client() string { return c.TenantID + " " + cmp.Or(c.AppID, c.AZP, c.Audience) }
