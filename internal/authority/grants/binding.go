package grants

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// proofLife is for how long a proof counts, and by how much clocks may differ.
const proofLife = 5 * time.Minute

// certificateOf returns the certificate (DER) whose key the client has shown to have on its TLS
// connection, or nil.
func certificateOf(r *http.Request) []byte {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0].Raw
}

// bind decides to which key of a proven client the token is bound: that of its proof, or else
// that of the certificate by which it has proven itself.
func (e *tokenEndpoint) bind(ctx context.Context, x *exchange.Exchange, tenant *directory.Tenant, proven clientauth.Proof, req *tokenRequest) error {
	if req.proof != nil {
		return e.checkProof(ctx, x, tenant, proven, req.proof)
	}
	if proven.Credential == clientauth.ByConnection && req.binding == (issuance.Binding{}) {
		req.binding = issuance.BoundToCertificate([]byte(req.credential.Certificate))
	}
	return nil
}

// checkProof demands that a proof is for this request, new, and signed by its key.
func (e *tokenEndpoint) checkProof(ctx context.Context, x *exchange.Exchange, tenant *directory.Tenant, proven clientauth.Proof, p *token.Proof) error {
	now, at := e.now(), time.Unix(p.IssuedAt, 0)
	switch {
	case !p.IsFor(http.MethodPost, origins(x), x.Request.URL.EscapedPath()):
		return aadsts.DPoPProof("htm and htu are not POST and the URL of the token endpoint")
	case at.After(now.Add(proofLife)) || at.Before(now.Add(-proofLife)):
		return aadsts.DPoPProof("iat is not the present time")
	}
	if err := p.Verify(); err != nil {
		return aadsts.DPoPProof("its signature does not fit").Because(err)
	}
	use := coordination.NewUse(tenant.ID, proven.Client.Principal.AppID, "dpop "+p.Thumbprint+" "+p.ID, p.ID, at.Add(proofLife))
	if e.proofs.NoteAnyway(ctx, use, now) {
		return aadsts.DPoPProof("its jti was used before")
	}
	return nil
}

// origins are those by which clients reach this authority.
func origins(x *exchange.Exchange) []string {
	hosts := x.Origin.Hosts()
	all := make([]string, len(hosts))
	for i, host := range hosts {
		all[i] = token.Origin(&url.URL{Scheme: "https", Host: host})
	}
	return all
}
