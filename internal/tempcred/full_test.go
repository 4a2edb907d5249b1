package tempcred_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
)

// An application that is full of secrets says which command makes room.
func TestNoRoomForASecret(t *testing.T) {
	t.Parallel()
	data, app := newFolder(t)
	issuer := tempcred.Issuer{Directory: data.Directory, Dir: data.Dir, Purpose: "env", Now: time.Now, Await: func(context.Context, int64) error { return nil }}
	var err error
	for n := 0; err == nil && n < 100; n++ {
		_, _, err = issuer.AddSecret(t.Context(), app.Application, life)
	}
	rule, ok := errors.AsType[*directory.RuleError](err)
	if !ok || !strings.Contains(rule.Advice, "rolecall env --as orders-client --remove") {
		t.Errorf("got %v, want the command that makes room", err)
	}
	if removed, err := issuer.RemoveAll(t.Context(), app.Application); err != nil || removed != 50 {
		t.Errorf("%d were removed, %v", removed, err)
	}
}
