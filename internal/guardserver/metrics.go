package guardserver

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/otlp"
)

// metrics are counted in the process and written in the text format of Prometheus. Every label
// is of the settings or of a list that package guard has, so nothing that a client sends makes
// another series.
type metrics struct {
	mu        sync.RWMutex
	decisions map[series]*atomic.Uint64 // guarded by mu

	upstreamErrors atomic.Uint64
	reloads        struct{ done, failed atomic.Uint64 }
}

// A series is one counter of decisions.
type series struct {
	host, route, outcome, reason string
	shadow                       bool
}

// maxSeries bounds what many different settings leave behind.
const maxSeries = 5000

func newMetrics() *metrics { return &metrics{decisions: map[series]*atomic.Uint64{}} }

// count counts a decision.
func (m *metrics) count(a *api, d guard.Decision, shadow bool) {
	key := series{route: d.Route, outcome: d.Outcome.String(), reason: string(d.Reason), shadow: shadow}
	if a != nil {
		key.host = a.settings.Host
	}
	m.mu.RLock()
	counter, ok := m.decisions[key]
	m.mu.RUnlock()
	if !ok {
		counter = m.add(key)
	}
	counter.Add(1)
}

func (m *metrics) add(key series) *atomic.Uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.decisions) >= maxSeries {
		key.host, key.route = "", "other"
	}
	counter, ok := m.decisions[key]
	if !ok {
		counter = new(atomic.Uint64)
		m.decisions[key] = counter
	}
	return counter
}

// write writes all metrics.
func (m *metrics) write(w io.Writer, now *setup, traces *otlp.Exporter, at time.Time) {
	head := func(name, kind, help string) { fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }
	head("rolecall_guard_decisions_total", "counter", "Decisions by API, rule and reason; of shadow rules what they would have decided.")
	m.mu.RLock()
	all := slices.SortedFunc(maps.Keys(m.decisions), func(a, b series) int {
		return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.route, b.route), cmp.Compare(a.outcome, b.outcome), cmp.Compare(a.reason, b.reason), cmp.Compare(strconv.FormatBool(a.shadow), strconv.FormatBool(b.shadow)))
	})
	for _, s := range all {
		fmt.Fprintf(w, "rolecall_guard_decisions_total{host=%s,route=%s,outcome=%s,reason=%s,shadow=\"%t\"} %d\n",
			label(s.host), label(s.route), label(s.outcome), label(s.reason), s.shadow, m.decisions[s].Load())
	}
	m.mu.RUnlock()
	head("rolecall_guard_upstream_errors_total", "counter", "Requests that were let in and that the upstream did not answer.")
	fmt.Fprintf(w, "rolecall_guard_upstream_errors_total %d\n", m.upstreamErrors.Load())
	head("rolecall_guard_reloads_total", "counter", "Changes of the settings, taken or not.")
	fmt.Fprintf(w, "rolecall_guard_reloads_total{result=\"taken\"} %d\nrolecall_guard_reloads_total{result=\"refused\"} %d\n", m.reloads.done.Load(), m.reloads.failed.Load())
	if traces != nil {
		head("rolecall_guard_spans_total", "counter", "Spans of decisions that the collector of traces has taken, or not.")
		sent, dropped := traces.Counts()
		fmt.Fprintf(w, "rolecall_guard_spans_total{result=\"sent\"} %d\nrolecall_guard_spans_total{result=\"dropped\"} %d\n", sent, dropped)
	}
	head("rolecall_guard_keys", "gauge", "Keys of an issuer that count.")
	head("rolecall_guard_keys_age_seconds", "gauge", "Since the keys of an issuer were last fetched.")
	for _, key := range now.issuers() {
		usable := 0
		if key.Usable {
			usable = key.Keys
		}
		fmt.Fprintf(w, "rolecall_guard_keys{issuer=%s} %d\n", label(key.Issuer), usable)
		if !key.Fetched.IsZero() {
			fmt.Fprintf(w, "rolecall_guard_keys_age_seconds{issuer=%s} %.0f\n", label(key.Issuer), at.Sub(key.Fetched).Seconds())
		}
	}
	head("rolecall_guard_revocations_age_seconds", "gauge", "Since the authority last told what was revoked, where that is followed.")
	for _, a := range now.all() {
		if state := a.guard.Revocations(); state.Followed && !state.Fetched.IsZero() {
			fmt.Fprintf(w, "rolecall_guard_revocations_age_seconds{host=%s} %.0f\n", label(a.settings.Host), at.Sub(state.Fetched).Seconds())
		}
	}
}

// label writes a value of a label.
func label(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(strings.ToValidUTF8(s, "?")) + `"`
}

// issuers says how the guards stand with the keys of each issuer. Where several guards trust one,
// the state of the worst counts.
func (now *setup) issuers() []guard.KeyState {
	worst := map[string]guard.KeyState{}
	for _, a := range now.all() {
		for _, state := range a.guard.Keys() {
			other, known := worst[state.Issuer]
			if !known || other.Usable && !state.Usable || other.Usable == state.Usable && state.Fetched.Before(other.Fetched) {
				worst[state.Issuer] = state
			}
		}
	}
	states := make([]guard.KeyState, 0, len(worst))
	for _, name := range slices.Sorted(maps.Keys(worst)) {
		states = append(states, worst[name])
	}
	return states
}
