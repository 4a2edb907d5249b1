package authoritytest

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A SignIn is one answer of the token endpoint, good or bad, as the authority has recorded
// it. It holds no secret, assertion or token.
type SignIn struct {
	Time          time.Time // by the authority's clock
	Client        string    // name of the client or managed identity; empty if nobody has the id
	ClientID      string    // as it was sent
	Credential    string    // "secret", "certificate", "federated", "managed-identity"; empty if none was proven
	Resource      string    // as it was asked for
	Roles         []string  // of the token
	Scopes        []string  // of the token, when it speaks for a user
	User          string    // user principal name
	Version       string    // of the token: "1.0" or "2.0"
	TokenID       string    // the token's claim uti
	Library       string    // the client library, as it names itself
	Code          int       // the AADSTS number of a refusal; 0 for a token
	Reason        string    // of a refusal, in words
	CorrelationID string
	TraceID       string
}

// SignIns returns everything that was asked of the authority so far, in the order of the
// answers. A test sees in it how often a program asks for tokens, by which credential and
// for which API, and why it was refused.
func (a *Authority) SignIns() []SignIn {
	a.t.Helper()
	ctx, stop := context.WithTimeout(context.WithoutCancel(a.t.Context()), 10*time.Second)
	defer stop()
	a.check("write the sign-ins", a.issuer.Flush(ctx))
	rows, err := a.directory.SignIns(ctx, directory.SignInFilter{Limit: math.MaxInt32})
	a.check("read the sign-ins", err)
	out := make([]SignIn, 0, len(rows))
	for _, row := range slices.Backward(rows) { // the newest come first
		out = append(out, SignIn{
			Time: row.Time, Client: row.Name, ClientID: string(row.AppID), Credential: row.Credential, Resource: row.Resource,
			Roles: row.Roles, Scopes: row.Scopes, User: row.User, Version: row.Version, TokenID: row.TokenID, Library: row.Library,
			Code: row.Code, Reason: row.Reason, CorrelationID: row.CorrelationID, TraceID: row.TraceID,
		})
	}
	return out
}
