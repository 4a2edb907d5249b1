package clientauth

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// A tenant is a second issuer besides the one of access tokens, with keys of its own: it
// tells which workload a process is, as a cluster does, and clients present that as a
// federated assertion.
const (
	assertionLife = time.Hour
	workloadClaim = "workload_instance" // names one Workload
)

// WorkloadSubject is the subject of assertions for a client: by its name or, where it has none, by
// its id. A display name is no name: others may have the same.
func WorkloadSubject(p *directory.ServicePrincipal) string {
	return "system:serviceaccount:rolecall:" + cmp.Or(p.Name, string(p.AppID))
}

// Workloads starts programs that act as a client without holding a credential. It is safe
// for concurrent use.
type Workloads struct {
	resolver *resolve.Resolver
	keys     *keyring.Ring
	running  coordination.Workloads
	now      func() time.Time
}

func newWorkloads(cfg Config) *Workloads {
	return &Workloads{resolver: cfg.Resolver, keys: cfg.Keys, running: cfg.State.Workloads, now: cfg.Now}
}

// runAs reports whether a workload runs as the client.
func (w *Workloads) runAs(ctx context.Context, client *directory.Instance) bool {
	return w.running.RunsAs(ctx, client.Principal.Tenant, coordination.WorkloadClientOf(client.Principal))
}

// A Workload is something that runs and acts as a client without holding a credential:
// until it is closed, its assertions are as good as one. It is safe for concurrent use.
type Workload struct {
	workloads *Workloads
	origin    origin.Origin
	key       coordination.Workload
}

// An Assertion is a signed statement of who a workload is.
type Assertion struct {
	Token    string // secret while it lasts
	Issued   time.Time
	Expires  time.Time
	Issuer   string
	Subject  string
	Audience string
}

// Start lets something act as an application or managed identity until it is closed. Its
// assertions are issued under the origin.
func (w *Workloads) Start(ctx context.Context, o origin.Origin, tenant directory.TenantID, client directory.AppID) (*Workload, error) {
	found, err := w.resolver.Tenant(ctx, string(tenant))
	if err != nil {
		return nil, err
	}
	who, err := w.resolver.Client(ctx, found, string(client))
	if err != nil {
		return nil, err
	}
	workload := &Workload{w, o, coordination.Workload{
		Tenant: found.ID, Client: coordination.WorkloadClientOf(who.Principal),
		Subject: WorkloadSubject(who.Principal), Instance: guid.New(),
	}}
	w.running.Start(ctx, workload.key)
	return workload, nil
}

// Close ends the workload: its assertions are worth nothing from now on, unless the client
// trusts the issuer by a federated credential.
func (w *Workload) Close() { w.workloads.running.Stop(context.Background(), w.key) }

// Assertion makes a new assertion.
func (w *Workload) Assertion(ctx context.Context) (Assertion, error) {
	now := w.workloads.now().Truncate(time.Second)
	made := Assertion{
		Issued: now, Expires: now.Add(assertionLife),
		Issuer: w.origin.WorkloadIssuer(w.key.Tenant), Subject: w.key.Subject, Audience: directory.ExchangeAudience,
	}
	payload, err := json.Marshal(map[string]any{
		"iss": made.Issuer, "sub": made.Subject, "aud": []string{made.Audience},
		"iat": now.Unix(), "nbf": now.Unix(), "exp": made.Expires.Unix(),
		"jti": guid.New(), workloadClaim: w.key.Instance,
	})
	if err != nil {
		return Assertion{}, fmt.Errorf("encode the assertion: %w", err)
	}
	signer, err := w.workloads.keys.Signer(ctx, w.origin.WorkloadRing(string(w.key.Tenant)))
	if err != nil {
		return Assertion{}, fmt.Errorf("key of the workload issuer: %w", err)
	}
	made.Token, err = signer.Sign(payload, false)
	return made, err
}

// runs reports whether an assertion, if its signature holds, is that of a workload which
// runs as the client.
func (v *assertionVerifier) runs(ctx context.Context, client *directory.Instance, tenant directory.TenantID, a assertionClaims, claims token.Object) bool {
	value, _ := claims.Get(workloadClaim)
	instance, ok := value.String()
	if !ok || tenant == "" || tenant != client.Principal.Tenant || !slices.Contains(a.audience, directory.ExchangeAudience) {
		return false
	}
	return v.workloads.Runs(ctx, coordination.Workload{
		Tenant: tenant, Client: coordination.WorkloadClientOf(client.Principal), Subject: a.subject, Instance: instance,
	})
}
