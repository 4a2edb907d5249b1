package namespace

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

// Whoever may not make a namespace is told why, and what the setting is called.
func TestWhyNot(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		err      error
		direct   bool
		settings map[string]string
		why, fix string
	}{
		{"Debian of old", syscall.EPERM, false, map[string]string{"kernel.unprivileged_userns_clone": "0"}, "kernel.unprivileged_userns_clone is 0", "sysctl -w kernel.unprivileged_userns_clone=1"},
		{"forbidden", syscall.ENOSPC, false, map[string]string{"user.max_user_namespaces": "0"}, "user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=10000"},
		{"Ubuntu", &stepError{"keep mounts from the machine", syscall.EACCES}, false, map[string]string{"kernel.apparmor_restrict_unprivileged_userns": "1"}, "kernel.apparmor_restrict_unprivileged_userns is 1", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
		{"all in use", syscall.ENOSPC, false, map[string]string{"user.max_user_namespaces": "10"}, "as many user namespaces", "user.max_user_namespaces"},
		{"in a container", syscall.EPERM, false, nil, "as in most containers", "seccomp"},
		{"no networks", syscall.ENOSPC, true, map[string]string{"user.max_net_namespaces": "0"}, "user.max_net_namespaces is 0", "sysctl -w user.max_net_namespaces"},
		{"all in use, root", syscall.ENOSPC, true, nil, "as many namespaces", "user.max_net_namespaces"},
		{"root in a container", &stepError{"cover /etc/hosts", syscall.EPERM}, true, nil, "as in some containers", "SYS_ADMIN"},
		{"an odd kernel", syscall.EINVAL, true, nil, "invalid argument", "kernel"},
	} {
		err := explainWith(tt.err, tt.direct, func(name string) string { return tt.settings[name] })
		no, ok := errors.AsType[*RightsError](err)
		if !ok || !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.why) || !strings.Contains(no.Fix(), tt.fix) {
			t.Errorf("%s: got %v: %s", tt.name, err, no.Fix())
		}
	}
}
