package managedidentity

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain holds that hosts and services leave nothing running behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
