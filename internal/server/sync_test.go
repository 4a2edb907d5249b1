package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// A web page in a browser of this machine can send a GET to the ops surface. That must not
// make the server do anything, nor keep it waiting.
func TestAskingForStatusChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Start(t.Context(), Config{NewKey: fixture.NewKeys(), Dir: dir, Prepare: populate})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	signer, err := s.data.Keys.Signer(t.Context(), s.endpoints.Tenants[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 3 {
		began := time.Now()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.endpoints.Ops+"/status?applied=999999&sequence=999999", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", "https://evil.test")
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if took := time.Since(began); response.StatusCode != http.StatusOK || took > followLimit/2 {
			t.Errorf("status %d after %v", response.StatusCode, took)
		}
	}
	if again, err := s.data.Keys.Signer(t.Context(), s.endpoints.Tenants[0].ID); err != nil || again.KeyID() != signer.KeyID() {
		t.Errorf("another key signs: %v", err)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		request, err := http.NewRequestWithContext(t.Context(), method, s.endpoints.Ops+"/sync?sequence=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("%s /sync on the ops surface: %d, want 404", method, response.StatusCode)
		}
	}
}

// The handler of /status has nothing to change things with: it works without the parts that
// /sync needs.
func TestStatusNeedsTheDirectoryAlone(t *testing.T) {
	t.Parallel()
	dir, err := directory.Open(t.Context(), directory.Config{Store: memory.New(), SecretKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{data: &Data{Directory: dir}, instance: "this"}
	w := &statusRecorder{header: http.Header{}}
	s.status(w, nil)
	if w.status != http.StatusOK {
		t.Errorf("status %d", w.status)
	}
}

func TestSyncIsAskedForBySequence(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]int64{"": 0, "?sequence=": 0, "?sequence=0": 0, "?sequence=17": 17, "?sequence=-1": -1, "?sequence=soon": -1} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/sync"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := sequenceOf(request); (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%s: got %d, %v", query, got, err)
		}
	}
}

// A command that waits for a change is told within bounds what kept it.
func TestWaitingForAChangeIsBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		wrap  func(directory.Store) directory.Store
		want  string
		other string
	}{
		{"a change that never comes", func(s directory.Store) directory.Store { return s }, "(it is at 0 of 99)", "store"},
		{"a store that does not answer", func(s directory.Store) directory.Store { return &brokenAfter{Store: s} }, "its store does not answer", "disk"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := tt.wrap(memory.New())
				dir, err := directory.Open(t.Context(), directory.Config{Store: store, SecretKey: make([]byte, 32)})
				if err != nil {
					t.Fatal(err)
				}
				if b, ok := store.(*brokenAfter); ok {
					b.broken = true
				}
				s := &Server{log: slog.New(slog.DiscardHandler), data: &Data{Directory: dir}}
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), followLimit)
				defer cancel()
				err = s.follow(ctx, 99)
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), tt.other) {
					t.Errorf("got %v, want one with %q and without %q", err, tt.want, tt.other)
				}
				if fix.Of(err) == "" || statusOf(err) != http.StatusGatewayTimeout {
					t.Errorf("status %d, fix %q", statusOf(err), fix.Of(err))
				}
				if took := time.Since(began); took > followLimit+time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// brokenAfter is a store that breaks when it is told to.
type brokenAfter struct {
	directory.Store
	broken bool
}

func (b *brokenAfter) Sequence(ctx context.Context) (int64, error) {
	if b.broken {
		return 0, errors.New("disk on fire")
	}
	return b.Store.Sequence(ctx)
}

// What failed goes over the socket with its next step and its status, and comes out the same.
func TestRefusalsCrossTheSocket(t *testing.T) {
	t.Parallel()
	s := startBindable(t)
	_, err := Bind(t.Context(), s.cfg.Dir, BindRequest{As: "nobody", Via: "imds"})
	if !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("got %v, want directory.ErrNotFound", err)
	}
	_, err = askAdmin[Synced](t.Context(), s.cfg.Dir, http.MethodPost, "/sync?sequence=soon", nil)
	if err == nil || !strings.Contains(err.Error(), "no sequence") {
		t.Errorf("got %v", err)
	}
	sequence, err := s.data.Sequence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	synced, err := askAdmin[Synced](t.Context(), s.cfg.Dir, http.MethodPost, "/sync?sequence="+strconv.FormatInt(sequence, 10), nil)
	if err != nil || synced.Applied < sequence {
		t.Errorf("got %+v, %v", synced, err)
	}
}
