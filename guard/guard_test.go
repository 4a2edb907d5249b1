package guard_test

import (
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

func TestCheckLetsInWhoHoldsTheRole(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	for name, raw := range map[string]string{"v2.0": a.token(t), "v1.0": a.token(t, a.v1Claims())} {
		for _, when := range []string{"first", "again"} {
			d := g.Check(t.Context(), raw, ordersRule)
			caller, ok := d.Caller()
			if !d.Allowed() || !ok {
				t.Fatalf("%s %s: %s %s", name, when, d.Outcome, d.Reason)
			}
			if caller.ClientID != clientID || caller.ObjectID != principalID || caller.TenantID != tenant ||
				caller.Version != name[1:] || caller.Kind != guard.CallerApplication || !caller.HasRole("Orders.Read") || caller.TokenID != "u-1" {
				t.Errorf("%s %s: caller %+v", name, when, caller)
			}
		}
	}
	if got := a.fetches.Load(); got != 4 {
		t.Errorf("%d fetches, want discovery and keys of two issuers", got)
	}
	if d := g.Check(t.Context(), a.token(t), guard.Rule{Roles: []string{"Orders.Write"}}); d.Reason != guard.RoleMissing {
		t.Errorf("without the role: %q", d.Reason)
	}
}
