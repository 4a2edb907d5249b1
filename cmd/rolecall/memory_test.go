package main

import "testing"

// Connections take memory that the collector cannot free, so its limit grows with them, up
// to what the machine has.
func TestTheMemoryLimitFollowsConnections(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		connections int
		available   int64
		want        int64
	}{
		{0, 0, 160 << 20},
		{0, 8 << 30, 160 << 20},
		{8192, 8 << 30, 672 << 20},
		{8192, 512 << 20, 384 << 20},
		{0, 128 << 20, 96 << 20},
	} {
		if got := memoryLimit(tt.connections, tt.available); got != tt.want {
			t.Errorf("%d connections, %d bytes: %d, want %d", tt.connections, tt.available, got, tt.want)
		}
	}
}
