package coordination

import (
	"context"
	"sync"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A Workload says who a program is that runs as a client.
type Workload struct {
	Tenant   directory.TenantID
	Client   WorkloadClient
	Subject  string // of its assertions
	Instance string // a GUID
}

// A WorkloadClient is whom a workload acts as. A principal that was created again with the
// same ids is a different one.
type WorkloadClient struct {
	App       directory.AppID
	Principal directory.ObjectID
	Created   int64 // Unix nanoseconds
}

// WorkloadClientOf returns the client that a principal is.
func WorkloadClientOf(p *directory.ServicePrincipal) WorkloadClient {
	return WorkloadClient{p.AppID, p.ID, p.Created.UnixNano()}
}

// workloads are those of this process.
type workloads struct {
	mu      sync.RWMutex
	running map[Workload]struct{} // guarded by mu
}

// Start implements [Workloads].
func (w *workloads) Start(_ context.Context, k Workload) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == nil {
		w.running = map[Workload]struct{}{}
	}
	w.running[k] = struct{}{}
}

// Stop implements [Workloads].
func (w *workloads) Stop(_ context.Context, k Workload) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.running, k)
}

// Runs implements [Workloads].
func (w *workloads) Runs(_ context.Context, k Workload) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	_, running := w.running[k]
	return running
}

// RunsAs implements [Workloads].
func (w *workloads) RunsAs(_ context.Context, tenant directory.TenantID, client WorkloadClient) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for k := range w.running {
		if k.Tenant == tenant && k.Client == client {
			return true
		}
	}
	return false
}
