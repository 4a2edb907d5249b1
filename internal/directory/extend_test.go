package directory_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

func TestExtendSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrders(t, memory.New())
		var lent directory.Secret
		change(t, o.Directory, func(e *directory.Editor) (err error) {
			lent, _, err = e.Credentials().AddSecret(contoso, o.app.ID, "lent", time.Now().Add(time.Hour))
			return err
		})
		time.Sleep(30 * time.Minute) // in the bubble
		later := time.Now().Add(time.Hour)
		change(t, o.Directory, func(e *directory.Editor) error {
			return e.Credentials().ExtendSecret(contoso, o.app.ID, lent.ID, later)
		})
		client, err := o.Instance(t.Context(), contoso, o.app.AppID)
		if err != nil {
			t.Fatal(err)
		}
		if got := client.Application.Secrets[len(client.Application.Secrets)-1]; got.ID != lent.ID || got.Expires.Before(later.Add(-time.Second)) {
			t.Errorf("got %s until %v, want %s until %v", got.ID, got.Expires, lent.ID, later)
		}
		for id, expires := range map[string]time.Time{lent.ID: time.Now().Add(-time.Second), "another": later} {
			_, err := o.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error { return e.Credentials().ExtendSecret(contoso, o.app.ID, id, expires) })
			rule, broken := errors.AsType[*directory.RuleError](err)
			if id == lent.ID && (!broken || rule.Field != "expires") || id != lent.ID && !errors.Is(err, directory.ErrNotFound) {
				t.Errorf("%s until %v: got %v", id, expires, err)
			}
		}
	})
}
