package storeurl_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory/storeurl"
)

func TestStoreIsMadeWhereTheURLSays(t *testing.T) {
	t.Parallel()
	at, err := storeurl.Parse("sqlite:" + filepath.Join(t.TempDir(), "d.db"))
	if err != nil {
		t.Fatal(err)
	}
	if there, err := at.Exists(); there || err != nil {
		t.Errorf("before it was opened: %v, %v", there, err)
	}
	store, err := at.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	if there, err := at.Exists(); !there || err != nil {
		t.Errorf("after it was opened: %v, %v", there, err)
	}
	if again, err := storeurl.Parse(at.String()); again != at || err != nil {
		t.Errorf("%s read back is %v, %v", at, again, err)
	}
}

func TestURLsThatNameNoStoreAreRefused(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "rolecall.db", "sqlite:", "sqlite://host/file", "postgres://ada:hunter2@db/rolecall", "ada:hunter2@db"} {
		_, err := storeurl.Parse(url)
		var invalid *storeurl.InvalidError
		if !errors.As(err, &invalid) || !strings.Contains(invalid.Fix(), "sqlite:/") {
			t.Errorf("%q: got %v, want one with a good URL", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error shows the password", url)
		}
	}
}
