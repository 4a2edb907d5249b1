package directory_test

import (
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Everybody keeps what is less than an even share; the others share what that leaves.
func TestSignInLevel(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		counts      []int
		total, want int
	}{
		{[]int{10}, 100, 100},
		{[]int{1000}, 100, 100},
		{[]int{1000, 10}, 100, 90},
		{[]int{1000, 10, 1000}, 100, 45},
		{[]int{50, 50}, 100, 100},
		{[]int{1, 2, 3, 1000}, 10, 4},
		{[]int{5, 5, 5}, 10, 3},
		{nil, 10, 10},
	} {
		if got := directory.SignInLevel(tt.counts, tt.total); got != tt.want {
			t.Errorf("%v within %d: got %d, want %d", tt.counts, tt.total, got, tt.want)
		}
	}
}
