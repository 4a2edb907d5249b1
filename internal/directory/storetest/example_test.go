package storetest_test

import (
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/directory/storetest"
)

// An engine's test hands in how to open an empty store.
func ExampleRun() {
	test := func(t *testing.T) { // TestStore, in the engine's package
		storetest.Run(t, func(*testing.T) directory.Store { return memory.New() })
	}
	_ = test
}
