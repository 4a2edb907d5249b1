package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fix"
)

// maxAdminBody is the longest request or answer on the admin socket.
const maxAdminBody = 64 << 10

// A refusedError says what the server did not do, and what to do next.
type refusedError struct {
	what  string
	fix   string
	cause error
}

func (e *refusedError) Error() string { return e.what }
func (e *refusedError) Unwrap() error { return e.cause }

// Fix says what to do next.
func (e *refusedError) Fix() string { return e.fix }

func refused(fix, format string, args ...any) error {
	return &refusedError{what: fmt.Sprintf(format, args...), fix: fix}
}

// problem is a refusal as it goes over the admin socket.
type problem struct {
	Error string `json:"error"`
	Fix   string `json:"fix,omitempty"`
}

var (
	errUnreadable = errors.New("the request cannot be read")
	errOtherUser  = errors.New("the server belongs to another user")
)

// statusOf maps what went wrong to a status. It is the only place that does.
func statusOf(err error) int {
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, errOtherUser):
		return http.StatusForbidden
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	default:
		return http.StatusBadRequest
	}
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, err error) {
	answer(w, statusOf(err), problem{fix.What(err), fix.Of(err)})
}

// serve makes a handler of the admin socket: read takes the request apart, act does what it
// asks for, and write answers, unless one of the first two failed.
func serve[In, Out any](read func(*http.Request) (In, error), act func(context.Context, In) (Out, error), write func(context.Context, http.ResponseWriter, Out)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in, err := read(r)
		if err != nil {
			refuse(w, fmt.Errorf("%w: %w", errUnreadable, err))
			return
		}
		out, err := act(r.Context(), in)
		if err != nil {
			refuse(w, err)
			return
		}
		write(r.Context(), w, out)
	}
}

// readBody reads a request of JSON.
func readBody[In any](r *http.Request) (in In, err error) {
	body := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxAdminBody))
	body.DisallowUnknownFields()
	return in, body.Decode(&in)
}

func writeJSON[Out any](_ context.Context, w http.ResponseWriter, out Out) {
	answer(w, http.StatusOK, out)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone; nothing can be done about it
}

// askAdmin asks the server that runs on a data folder and returns its answer.
func askAdmin[Out any](ctx context.Context, dir, method, path string, body io.Reader) (out Out, err error) {
	answer, err := openAdmin(ctx, dir, method, path, body)
	if err != nil {
		return out, err
	}
	defer answer.Close()
	if err := json.NewDecoder(io.LimitReader(answer, maxAdminBody)).Decode(&out); err != nil {
		return out, fmt.Errorf("read the server's answer: %w", err)
	}
	return out, nil
}

// openAdmin asks and returns the body of a good answer, to be read and closed.
func openAdmin(ctx context.Context, dir, method, path string, body io.Reader) (io.ReadCloser, error) {
	transport, err := adminTransport(dir)
	if err != nil {
		return nil, err
	}
	// Whatever the host in the URL, the transport goes to the socket: it is a matter of form.
	request, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, body)
	if err != nil {
		return nil, err
	}
	response, err := transport.RoundTrip(request)
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return nil, fmt.Errorf("%w: its admin socket does not answer: %w", ErrNoServer, err)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(readProblem(response), response.Body.Close())
	}
	return response.Body, nil
}

// readProblem gives the server's refusal. A 404 becomes directory.ErrNotFound.
func readProblem(response *http.Response) error {
	var p problem
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAdminBody)).Decode(&p); err != nil || p.Error == "" {
		return fmt.Errorf("ask the server: it answered %s", response.Status)
	}
	refusal := &refusedError{what: p.Error, fix: p.Fix}
	if response.StatusCode == http.StatusNotFound {
		refusal.cause = directory.ErrNotFound
	}
	return refusal
}
