package lending

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/remote"
)

// A minter has tokens made by the server. It implements managedidentity.Minter.
type minter struct {
	server *Server
	who    assigned

	mu   sync.Mutex
	said string // the last failure that people were told of; guarded by mu
}

// keptTime is how long a token counts without asking the server again, which alone knows whether a
// new one would say something else.
const keptTime = time.Minute

// Fingerprint changes each minute: a change at the server is noticed after as long.
func (m *minter) Fingerprint(context.Context, issuance.MintRequest) (string, error) {
	return strconv.FormatInt(m.server.cfg.Now().Unix()/int64(keptTime/time.Second), 10), nil
}

// Mint has a token made. Failures are said to people as well: programs seldom show what they were
// answered.
func (m *minter) Mint(ctx context.Context, req issuance.MintRequest) (issuance.Minted, error) {
	minted, err := m.mint(ctx, req)
	if err == nil {
		m.note("")
		return minted, nil
	}
	name := m.server.cfg.Name
	m.note("the program got no token from " + name + ": " + fix.InOneLine(err))
	return issuance.Minted{Correlated: req.CorrelationID}, problemOf(name, err)
}

// note says what is new.
func (m *minter) note(failure string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if failure != "" && failure != m.said {
		m.server.cfg.Say(failure)
	}
	m.said = failure
}

func (m *minter) mint(ctx context.Context, req issuance.MintRequest) (issuance.Minted, error) {
	instance, ok := m.who[req.Identity]
	if !ok {
		return issuance.Minted{}, directory.ErrNotFound
	}
	if req.User.User != "" {
		token, err := m.server.cfg.UserToken(ctx, strings.Fields(req.User.Scope)...)
		if err != nil {
			return issuance.Minted{}, err
		}
		return issuance.Minted{Token: token.Token, NotBefore: m.server.cfg.Now(), Expires: token.ExpiresOn, ClientID: req.Identity, Tenant: req.Tenant}, nil
	}
	lent, err := m.server.cfg.Client.IdentityToken(ctx, string(instance.Principal.ID), graphclient.IdentityTokenRequest{
		Resource: req.Resource, Claims: req.Claims, CorrelationID: req.CorrelationID,
	})
	if err != nil {
		return issuance.Minted{}, err
	}
	return issuance.Minted{
		Token: lent.Token, NotBefore: lent.NotBefore, Expires: lent.Expires, ClientID: directory.AppID(lent.ClientID), ObjectID: directory.ObjectID(lent.ObjectID),
		ResourceID: lent.ResourceID, Tenant: directory.TenantID(lent.Tenant), Roles: lent.Roles, TraceID: lent.TraceID, Correlated: lent.CorrelationID,
	}, nil
}

// problemOf is a failure as the endpoint answers it. Only one that passes by itself has clients
// try again.
func problemOf(server string, err error) *aadsts.Problem {
	p := &aadsts.Problem{OAuth: aadsts.InvalidRequest, Status: http.StatusBadRequest, Cause: err, Advice: fix.Of(err)}
	refusal, answered := errors.AsType[*graphclient.Error](err)
	switch {
	case answered && (refusal.Status >= http.StatusInternalServerError || refusal.Status == http.StatusTooManyRequests), isAway(err):
		p.Status = http.StatusServiceUnavailable
	case !answered:
	default:
		number, is := strings.CutPrefix(refusal.Code, "AADSTS")
		if code, err := strconv.Atoi(number); is && err == nil {
			p.Code, p.What = code, sentence(refusal.Error())
			return p
		}
	}
	p.What = sentence("The server " + server + " gave no token: " + fix.What(err))
	return p
}

// isAway reports whether a server could not be asked. One at which nobody is signed in any more is
// asked in vain.
func isAway(err error) bool {
	if errors.Is(err, remote.ErrEnded) || errors.Is(err, remote.ErrRefused) {
		return false
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, context.DeadlineExceeded)
}

func sentence(s string) string { return strings.TrimSuffix(s, ".") + "." }
