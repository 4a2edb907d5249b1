package explain

import (
	"context"
	"fmt"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// revocation returns what was taken away since the token was issued, which an API that
// follows revocations goes by; nil if nothing was. Signing keys are asked for elsewhere.
func (in *Input) revocation(ctx context.Context, s *subject) (*directory.Revocation, error) {
	all, _, err := in.Directory.Revocations().Since(ctx, s.tenant.ID, 0)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, s.isMeant)
	if i < 0 {
		return nil, nil
	}
	return all[i], nil
}

// isMeant reports whether a revocation ends the token.
func (s *subject) isMeant(r *directory.Revocation) bool {
	if !s.claims.issued.Before(r.Before) {
		return false // it is newer
	}
	subject := directory.TokenSubject{
		Tenant: s.tenant.ID, Principal: directory.ObjectID(s.claims.principal), Client: directory.AppID(s.claims.client), Roles: s.claims.roles, Scopes: s.claims.scopes,
	}
	if s.api != nil && s.api.Principal != nil {
		subject.Resource = s.api.Principal.ID
	}
	return r.Concerns(subject)
}

// wasRevoked says what was taken away.
func (s *subject) wasRevoked() string {
	r := s.revoked
	who := text.Shown(nameOf(s.client, s.claims.client))
	if r.Client == "" && r.Principal != "" && string(r.Principal) == s.claims.user {
		who = text.Shown(s.userName())
	}
	what := fmt.Sprintf("%s was disabled or deleted, or its tokens or sessions were ended", who)
	switch {
	case r.Kind == directory.RevokedRole && r.Principal == "":
		what = fmt.Sprintf("the role %s was disabled or removed", text.Shown(r.Role))
	case r.Kind == directory.RevokedRole:
		what = fmt.Sprintf("%s lost the role %s", who, text.Shown(r.Role))
	case r.Kind == directory.RevokedScope && r.Client == "":
		what = fmt.Sprintf("the scope %s was disabled or removed", text.Shown(r.Scope))
	case r.Kind == directory.RevokedScope:
		what = fmt.Sprintf("%s lost the scope %s", text.Shown(nameOf(s.client, s.claims.client)), text.Shown(r.Scope))
	case r.Kind == directory.RevokedTenant:
		what = "the tenant was disabled"
	}
	return fmt.Sprintf("%s at %s, after the token was issued", what, clock(r.Before))
}

// fixRevoked returns what to do about it.
func (f *facts) fixRevoked() *Fix {
	switch {
	case f.client == nil:
		return f.fixStep(stepClient, nil)
	case f.client.Principal != nil && !f.client.Principal.Enabled:
		return f.fixStep(stepEnabled, nil)
	case f.revoked.Kind == directory.RevokedRole && len(f.usable) == 0:
		return f.fixRole()
	default:
		return &Fix{What: "Get a new token.", Command: f.newToken()}
	}
}
