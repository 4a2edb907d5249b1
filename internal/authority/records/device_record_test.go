package records

import (
	"strings"
	"testing"
)

func TestUserCodeAlphabet(t *testing.T) {
	t.Parallel()
	code := newUserCode()
	if len(code) != userCodeLength || strings.Trim(code, userCodeAlphabet) != "" {
		t.Errorf("got %q", code)
	}
	if got, ok := ReadUserCode(" abcd-efgh j "); got != "ABCDEFGHJ" || !ok {
		t.Errorf("got %q", got)
	}
}
