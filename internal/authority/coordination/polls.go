package coordination

import (
	"context"
	"sync"
	"time"
)

const maxPolls = 10_000

// polls are those of this process.
type polls struct {
	mu   sync.Mutex // guards last
	last map[string]time.Time
}

// TooFast implements [Polls].
func (p *polls) TooFast(_ context.Context, device string, now time.Time, interval time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil || len(p.last) >= maxPolls {
		p.last = map[string]time.Time{}
	}
	before, known := p.last[device]
	p.last[device] = now
	return known && now.Sub(before) < interval
}
