package credential

import (
	"testing"
)

func TestTokenSource(t *testing.T) {
	t.Parallel()
	cred := &script{}
	source := Cached(cred).TokenSource(t.Context(), testScope)
	for range 2 {
		token, err := source.Token()
		if err != nil || token.AccessToken != "token-1" || token.Type() != "Bearer" || !token.Valid() {
			t.Errorf("got %+v, %v", token, err)
		}
	}
	if _, err := Cached(&script{answer: down}).TokenSource(t.Context(), testScope).Token(); err == nil {
		t.Error("no error")
	}
}
