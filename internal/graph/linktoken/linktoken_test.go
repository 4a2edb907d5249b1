package linktoken_test

import (
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/graph/linktoken"
)

func newSealer(t *testing.T, key string) *linktoken.Sealer {
	t.Helper()
	d, err := directory.Open(t.Context(), directory.Config{Store: memory.New(), SecretKey: []byte(key), SlowHash: directory.CheapHash()})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := linktoken.New(d)
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

const (
	oneKey     = "0123456789abcdef0123456789abcdef"
	anotherKey = "fedcba9876543210fedcba9876543210"
)

// A token opens for what it was made for, by every server of the directory, and for nothing else.
func TestTokensOpenForTheirPurpose(t *testing.T) {
	t.Parallel()
	sealed, err := newSealer(t, oneKey).Seal(map[string]int{"place": 7}, "skip", "contoso")
	if err != nil {
		t.Fatal(err)
	}
	changed := "A" + sealed[1:]
	if changed == sealed {
		changed = "B" + sealed[1:]
	}
	for _, tt := range []struct {
		name, key, token string
		purpose          []string
		opens            bool
	}{
		{"the same", oneKey, sealed, []string{"skip", "contoso"}, true},
		{"another tenant", oneKey, sealed, []string{"skip", "fabrikam"}, false},
		{"parts that join to the same text", oneKey, sealed, []string{"skipcontoso"}, false},
		{"another directory", anotherKey, sealed, []string{"skip", "contoso"}, false},
		{"changed", oneKey, changed, []string{"skip", "contoso"}, false},
		{"no token", oneKey, "%", []string{"skip", "contoso"}, false},
	} {
		state := map[string]int{}
		err := newSealer(t, tt.key).Open(tt.token, &state, tt.purpose...)
		if (err == nil) != tt.opens || tt.opens && state["place"] != 7 {
			t.Errorf("%s: %v, %v", tt.name, state, err)
		}
	}
}
