package memory_test

import (
	"testing"

	"github.com/rolecall-auth/rolecall/directory"
	"github.com/rolecall-auth/rolecall/directory/memory"
	"github.com/rolecall-auth/rolecall/directory/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) directory.Store { return memory.New() })
}
