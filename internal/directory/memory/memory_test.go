package memory_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/directory/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) directory.Store { return memory.New() })
}

func Example() {
	d, err := directory.Open(context.Background(), directory.Config{Store: memory.New(), SecretKey: make([]byte, 32)})
	if err != nil {
		fmt.Println(err)
		return
	}
	tenants, err := d.Tenants(context.Background())
	fmt.Println(len(tenants), err)
	// Output: 0 <nil>
}
