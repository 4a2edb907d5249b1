package guard_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

func TestAShadowDecidesNothingAndTellsWhatItWould(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	var told []string
	cfg := a.config()
	cfg.OnDecision = func(d guard.Decision) { told = append(told, string(d.Reason)) }
	policy, err := newGuard(t, cfg).Policy([]guard.Rule{
		{Path: "/orders", Roles: []string{"Orders.Admin"}, Shadow: true},
		{Path: "/public/*", Roles: []string{"Orders.Read"}, Shadow: true},
		{Path: "/closed", Anonymous: true, Shadow: true},
		{Path: "/orders", Roles: []string{"Orders.Read"}},
		{Path: "/public/*", Anonymous: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	good, expired := "Bearer "+a.token(t), "Bearer "+a.token(t, claims{"exp": now.Unix() - 100})
	for _, tt := range []struct {
		name, path, authorization string
		enforced, shadow          guard.Reason
	}{
		{"a role that the caller lacks", "/orders", good, "", guard.RoleMissing},
		{"a token that does not count", "/orders", expired, guard.TokenExpired, guard.TokenExpired},
		{"no token where nobody asks for one", "/public/x", "", "", guard.TokenMissing},
		{"a bad token where nobody asks for one", "/public/x", expired, "", guard.TokenExpired},
		{"a good token where nobody asks for one", "/public/x", good, "", ""},
		{"a path that only a shadow names", "/closed", good, guard.NoPolicy, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			told = nil
			request := bearing(tt.path)
			if tt.authorization != "" {
				request = bearing(tt.path, tt.authorization)
			}
			enforced := policy.Decide(t.Context(), request)
			if enforced.Reason != tt.enforced || enforced.Allowed() != (tt.enforced == "") {
				t.Errorf("decided %q, want %q", enforced.Reason, tt.enforced)
			}
			shadow, ok := policy.Shadow(t.Context(), request, enforced)
			if !ok || shadow.Reason != tt.shadow || shadow.Allowed() != (tt.shadow == "") {
				t.Errorf("the shadow says %v %q, want %q", ok, shadow.Reason, tt.shadow)
			}
			if rule, _ := shadow.Rule(); !rule.Shadow || shadow.Route != rule.Path {
				t.Errorf("the shadow's rule is %+v, its route %q", rule, shadow.Route)
			}
			if !slices.Equal(told, []string{string(tt.enforced)}) {
				t.Errorf("told %q, want only what was decided", told)
			}
		})
	}
	request := bearing("/other")
	if d, ok := policy.Shadow(t.Context(), request, policy.Decide(t.Context(), request)); ok {
		t.Errorf("a shadow %+v for a path that none names", d)
	}
}

// A signed request that was let in is not used up by the rule that only looks.
func TestAShadowUsesNoSignedRequest(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	h := newHolder(t, "ES256", ecHolderKey())
	policy, err := newGuard(t, a.signing()).Policy([]guard.Rule{{Path: "/orders", Roles: []string{"Orders.Admin"}, Shadow: true}, {Path: "/orders", Roles: []string{"Orders.Read"}}})
	if err != nil {
		t.Fatal(err)
	}
	request := bearing("/orders", "PoP "+h.sign(t, a.token(t, h.bind())))
	enforced := policy.Decide(t.Context(), request)
	if !enforced.Allowed() {
		t.Fatalf("refused: %s %s", enforced.Reason, enforced.Detail())
	}
	if shadow, ok := policy.Shadow(t.Context(), request, enforced); !ok || shadow.Reason != guard.RoleMissing {
		t.Errorf("the shadow says %v %q, want %q", ok, shadow.Reason, guard.RoleMissing)
	}
}

func TestShadowsAloneAreNoPolicy(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	_, err := newGuard(t, a.config()).Policy([]guard.Rule{{Path: "/*", Anonymous: true, Shadow: true}})
	if err == nil || !strings.Contains(err.Error(), "every rule is a Shadow") {
		t.Errorf("got %v", err)
	}
}
