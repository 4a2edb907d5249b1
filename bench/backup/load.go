package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/bench/internal/measure"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/server"
)

const (
	tokensPerSecond = 200
	writesPerSecond = 50
	tokenWorkers    = 64
)

// The phases that answers are told apart by.
const (
	unmeasured int32 = iota
	alone
	beside
	phases
)

// A load asks for tokens and writes changes at fixed rates, however long an answer takes.
type load struct {
	client *measure.Client
	form   url.Values
	data   *server.Data
	tenant directory.TenantID
	rest   time.Duration

	now     atomic.Int32 // the phase
	asked   atomic.Int64
	failed  atomic.Int64
	failure atomic.Pointer[error]
	written atomic.Int64 // changes acknowledged, without a gap

	mu   sync.Mutex
	took [phases][]time.Duration
}

func newLoad(client *measure.Client, form url.Values, data *server.Data, tenant directory.TenantID) *load {
	return &load{client: client, form: form, data: data, tenant: tenant}
}

func (l *load) phase(p int32) { l.now.Store(p) }

// start begins the load and returns how it is ended.
func (l *load) start(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	var all sync.WaitGroup
	due := make(chan time.Time, 10*tokensPerSecond)
	for range tokenWorkers {
		all.Go(func() {
			for at := range due {
				phase := l.now.Load()
				l.note(l.client.Token(ctx, l.form))
				l.keep(phase, time.Since(at))
			}
		})
	}
	all.Go(func() {
		defer close(due)
		every(done, time.Second/tokensPerSecond, func() { due <- time.Now() })
	})
	all.Go(func() {
		every(done, time.Second/writesPerSecond, func() {
			n := l.written.Load() + 1
			_, err := l.data.Directory.Change(ctx, directory.Operator("bench"), func(e *directory.Editor) error {
				_, err := e.Applications().Create(directory.Application{Tenant: l.tenant, Name: written(n)})
				return err
			})
			if l.note(err); err == nil {
				l.written.Store(n)
			}
		})
	})
	return func() { close(done); all.Wait() }
}

// written is the name of the application that the n-th change makes.
func written(n int64) string { return fmt.Sprintf("written-%d", n) }

// every calls f at a fixed rate until done is closed.
func every(done <-chan struct{}, gap time.Duration, f func()) {
	tick := time.NewTicker(gap)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			f()
		}
	}
}

func (l *load) note(err error) {
	l.asked.Add(1)
	if err != nil {
		l.failed.Add(1)
		l.failure.Store(&err)
	}
}

func (l *load) keep(phase int32, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took[phase] = append(l.took[phase], took)
}

// latency returns the answers of a phase, the fastest first.
func (l *load) latency(phase int32) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(slices.Values(l.took[phase]))
}
