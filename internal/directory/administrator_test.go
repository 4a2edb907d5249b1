package directory_test

import (
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

func TestIsConsentAdmin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		roles []string
		want  bool
	}{
		{"no role", nil, false},
		{"a reader", []string{"Directory Readers"}, false},
		{"another spelling", []string{"application administrator"}, false},
		{"of everything", []string{"Global Administrator"}, true},
		{"of roles", []string{"Privileged Role Administrator"}, true},
		{"of applications", []string{"Application Administrator"}, true},
		{"one of several", []string{"Directory Readers", "Cloud Application Administrator"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			user := directory.User{DirectoryRoles: tt.roles}
			if got := user.IsConsentAdmin(); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}
