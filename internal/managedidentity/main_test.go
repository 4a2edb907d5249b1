package managedidentity

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain checks that endpoints and services leave no goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
