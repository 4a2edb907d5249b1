package functions

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxInvocation bounds the description of an invocation.
const maxInvocation = 10 << 20

// A Handler serves an application and the invocations of its functions.
type Handler struct {
	app       http.Handler
	functions map[string]function // by "/" and name
}

// function handles one invocation.
type function func(r *http.Request, in invocation) outcome

// New returns a handler that gives every request to the application as it is. Functions
// are added with HTTP and Timer, before it serves.
func New(app http.Handler) *Handler {
	return &Handler{app: app, functions: make(map[string]function)}
}

// HTTP adds a function with an HTTP trigger. In and out are the names of its bindings in
// function.json, mostly "req" and "res". The application answers its requests.
func (h *Handler) HTTP(name, in, out string) {
	h.functions["/"+name] = func(r *http.Request, inv invocation) outcome {
		return serveHTTP(h.app, r, inv.Data[in], out)
	}
}

// Timer adds a function with a timer trigger. In is the name of its binding.
func (h *Handler) Timer(name, in string, tick func(context.Context, Timer) error) {
	h.functions["/"+name] = func(r *http.Request, inv invocation) outcome {
		return runTimer(r.Context(), tick, inv.Data[in])
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	run, ok := h.functions[r.URL.Path]
	if !ok || r.Method != http.MethodPost {
		h.app.ServeHTTP(w, r)
		return
	}
	in, err := readInvocation(w, r)
	if err != nil {
		failed(http.StatusBadRequest, err).write(w)
		return
	}
	run(r, in).write(w)
}

// Timer is what the host sends when the timer fires.
type Timer struct {
	IsPastDue bool
	// ScheduleStatus is nil when the host does not monitor the schedule.
	ScheduleStatus *ScheduleStatus
}

// ScheduleStatus has times as the host writes them, with or without a zone. Last is
// 0001-01-01T00:00:00 before the first run.
type ScheduleStatus struct{ Last, LastUpdated, Next string }

// An invocation is what the host posts (Data has a value for each input binding).
type invocation struct {
	Data map[string]json.RawMessage
}

func readInvocation(w http.ResponseWriter, r *http.Request) (invocation, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxInvocation))
	if err != nil {
		return invocation{}, fmt.Errorf("read invocation: %w", err)
	}
	var in invocation
	if err := json.Unmarshal(body, &in); err != nil {
		return invocation{}, fmt.Errorf("invocation is not the JSON that the Functions host posts: %w", err)
	}
	return in, nil
}

// An outcome is what the host expects: always an object, or it waits for ever.
type outcome struct {
	Outputs     map[string]any
	Logs        []string
	ReturnValue any

	status int // for the host: anything but 2xx means that the invocation failed
}

func succeeded(outputs map[string]any) outcome {
	return outcome{status: http.StatusOK, Outputs: outputs, Logs: []string{}}
}

func failed(status int, err error) outcome {
	return outcome{status: status, Outputs: map[string]any{}, Logs: []string{err.Error()}}
}

func (o outcome) write(w http.ResponseWriter) {
	body, err := json.Marshal(o)
	if err != nil {
		o.status, body = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(o.status)
	_, _ = w.Write(body) // a host that has gone needs no outcome
}

// runTimer reads the timer's value, an object or a string with one.
func runTimer(ctx context.Context, tick func(context.Context, Timer) error, value json.RawMessage) outcome {
	var timer Timer
	if text := ""; json.Unmarshal(value, &text) == nil {
		value = json.RawMessage(text)
	}
	if len(strings.TrimSpace(string(value))) > 0 {
		if err := json.Unmarshal(value, &timer); err != nil {
			return failed(http.StatusBadRequest, fmt.Errorf("timer value: %w", err))
		}
	}
	if err := tick(ctx, timer); err != nil {
		return failed(http.StatusInternalServerError, err)
	}
	return succeeded(map[string]any{})
}
