package guardserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Everything that was written arrives, in order, also what was written just before the end.
func TestBatchesArriveWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := newBatchConn(near)
		var arrived []byte
		var wait sync.WaitGroup
		wait.Go(func() {
			all, err := io.ReadAll(far)
			if err != nil {
				t.Error(err)
			}
			arrived = all
		})
		var want, piece []byte
		for i := range 5000 {
			piece = append(piece[:0], bytes.Repeat([]byte{byte(i), byte(i >> 8)}, i%97)...) // of the caller's again at once
			want = append(want, piece...)
			if n, err := c.Write(piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		wait.Wait()
		if !bytes.Equal(arrived, want) {
			t.Errorf("%d bytes have arrived, and not the %d that were written", len(arrived), len(want))
		}
		if _, err := c.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// What a peer does not take holds up whoever writes more, and not for long whoever closes.
func TestAPeerThatReadsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c := newBatchConn(near)
		written, ended := 0, make(chan error)
		go func() {
			for piece := make([]byte, 1<<10); ; written += len(piece) {
				if _, err := c.Write(piece); err != nil {
					ended <- err
					return
				}
			}
		}()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("after %d bytes: %v", written, err)
		default:
		}
		if most := 2 * (batchLimit + 1<<10); written < batchLimit || written > most { // one batch is on its way
			t.Errorf("%d bytes wait, want %d to %d", written, batchLimit, most)
		}
		start := time.Now()
		go func() { _ = c.Close() }()
		err := <-ended
		if took := time.Since(start); err == nil || took > closeLimit {
			t.Errorf("the writer ends after %v: %v", took, err)
		}
		<-c.sent
		if took := time.Since(start); took != closeLimit {
			t.Errorf("the end takes %v, want %v", took, closeLimit)
		}
		synctest.Wait()
		if _, err := near.Write(nil); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the connection is open: %v", err)
		}
	})
}

// That a peer has gone is told to the next who writes.
func TestAPeerThatHasGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := newBatchConn(near)
		if err := far.Close(); err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte("an answer")) // is not known to be lost yet
		synctest.Wait()
		if _, err := c.Write([]byte("another")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got %v", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Reading ahead keeps what has come, and deadlines.
func TestABatchIsReadInPieces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c := newBatchConn(near)
		go func() { _, _ = far.Write([]byte("headerbody")) }()
		piece := make([]byte, 6)
		for _, want := range []string{"header", "body"} {
			if n, err := c.Read(piece); err != nil || string(piece[:n]) != want {
				t.Errorf("%q, %v; want %q", piece[:n], err, want)
			}
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(piece); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = far.Write([]byte("more")) }()
		if n, err := c.Read(piece); err != nil || string(piece[:n]) != "more" {
			t.Errorf("after a deadline: %q, %v", piece[:n], err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
