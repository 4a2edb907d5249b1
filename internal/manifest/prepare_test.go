package manifest_test

import (
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// A prepared file does what one does that was not, the first time and the next.
func TestPrepare(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i, text := range []string{orders, orders, strings.Replace(orders, "a secret that people chose", "another secret", 1)} {
		file, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Prepare(t.Context(), s.dir); err != nil {
			t.Fatal(err)
		}
		var result *manifest.Result
		if _, err := s.dir.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) (err error) {
			result, err = file.Apply(e, manifest.Options{})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		got := lines(result)
		switch i {
		case 0:
			if len(got) == 0 {
				t.Error("nothing was made")
			}
		case 1:
			s.want(got)
		case 2:
			s.want(got, "update application orders-client secret imported: ci", "update application orders-client secret removed: ci")
		}
	}
	client, err := s.dir.Named(t.Context(), contoso, "orders-client")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.dir.CheckSecret(t.Context(), client.Application, "another secret"); err != nil {
		t.Errorf("the new secret: %v", err)
	}
	user, err := s.dir.User(t.Context(), contoso, "dev@contoso.test")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.dir.CheckPassword(t.Context(), user, "correct horse battery"); err != nil {
		t.Errorf("the password: %v", err)
	}
}
