package namespace

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// explain finds out why a namespace could not be made. Direct means that this process has the right
// to, without a user namespace.
func explain(err error, direct bool) error {
	return explainWith(err, direct, func(name string) string {
		value, _ := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
		return strings.TrimSpace(string(value))
	})
}

// explainWith is explain for a system with other settings.
func explainWith(err error, direct bool, setting func(name string) string) error {
	for _, name := range []string{"user.max_net_namespaces", "user.max_mnt_namespaces"} {
		if setting(name) == "0" {
			return &RightsError{err, name + " is 0 here, so nobody can make one", "as root, run sysctl -w " + name + "=10000"}
		}
	}
	if direct {
		switch {
		case errors.Is(err, syscall.ENOSPC):
			return &RightsError{err, "there are as many namespaces as the system allows", "end programs that hold some, or raise user.max_net_namespaces and user.max_mnt_namespaces"}
		case errors.Is(err, fs.ErrPermission):
			return &RightsError{err, "this process has the right to in part only, as in some containers", "give the container the capabilities SYS_ADMIN and NET_ADMIN, and rules of seccomp and AppArmor that allow clone and mount"}
		}
		return &RightsError{cause: err, fix: "make sure that this kernel has namespaces of networks and mounts"}
	}
	for _, s := range []struct{ name, forbids, reason, allows string }{
		{"kernel.unprivileged_userns_clone", "0", "this system lets root alone make user namespaces", "1"},
		{"user.max_user_namespaces", "0", "this system allows no user namespaces", "10000"},
		{"kernel.apparmor_restrict_unprivileged_userns", "1", "AppArmor gives programs no rights in user namespaces unless it knows them", "0"},
	} {
		if setting(s.name) == s.forbids {
			return &RightsError{err, s.reason + ": " + s.name + " is " + s.forbids, "run as root, or have root run sysctl -w " + s.name + "=" + s.allows}
		}
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EUSERS) {
		return &RightsError{err, "there are as many user namespaces as the system allows, or they are nested too deeply", "end programs that hold some, or raise user.max_user_namespaces"}
	}
	return &RightsError{err, "user namespaces are forbidden here, as in most containers", "run as root with the capabilities SYS_ADMIN and NET_ADMIN, or let the container's rules of seccomp allow user namespaces"}
}
