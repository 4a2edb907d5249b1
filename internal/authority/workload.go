package authority

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// A tenant is a second issuer besides the one of access tokens, with keys of its own: it
// tells which workload a process is, as a cluster does, and clients present that as a
// federated assertion.
const (
	workloadPath = "/workload"
	// ExchangeAudience is what federated assertions are for.
	ExchangeAudience = directory.ExchangeAudience
	assertionLife    = time.Hour
	workloadClaim    = "workload_instance" // names one Workload
)

// WorkloadRing is the name of the key ring of the tenant's workload issuer.
func WorkloadRing(tenant directory.TenantID) string { return string(tenant) + workloadPath }

// WorkloadSubject is the subject of assertions for a client with that name.
func WorkloadSubject(name string) string { return "system:serviceaccount:rolecall:" + name }

// WorkloadIssuer is the issuer of the assertions of the tenant's workloads.
func (a *Authority) WorkloadIssuer(tenant directory.TenantID) string {
	return a.base + "/" + string(tenant) + workloadPath
}

// A Workload is something that runs and acts as a client without holding a credential:
// until it is closed, its assertions are as good as one. It is safe for concurrent use.
type Workload struct {
	authority *Authority
	workloadKey
}

// A workloadKey says who a workload is.
type workloadKey struct {
	tenant   directory.TenantID
	client   workloadClient
	subject  string
	instance string
}

// A workloadClient is whom a workload acts as. What is made anew under the ids of one that
// is gone is another.
type workloadClient struct {
	app       directory.AppID
	principal directory.ObjectID
	created   int64 // Unix nanoseconds
}

func workloadClientOf(p *directory.ServicePrincipal) workloadClient {
	return workloadClient{p.AppID, p.ID, p.Created.UnixNano()}
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

// StartWorkload lets something act as an application or managed identity until it is closed.
func (a *Authority) StartWorkload(ctx context.Context, tenant directory.TenantID, client directory.AppID) (*Workload, error) {
	found, err := a.tenantOf(ctx, string(tenant))
	if err != nil {
		return nil, err
	}
	who, err := fresh(ctx, a.directory, func() (*directory.Instance, error) { return a.findClient(ctx, found, string(client)) })
	if err != nil {
		return nil, err
	}
	w := &Workload{a, workloadKey{found.ID, workloadClientOf(who.Principal), WorkloadSubject(who.Principal.Name), guid.New()}}
	a.assertions.workloads.add(w.workloadKey)
	return w, nil
}

// Close ends the workload: its assertions are worth nothing from now on, unless the client
// trusts the issuer by a federated credential.
func (w *Workload) Close() { w.authority.assertions.workloads.remove(w.workloadKey) }

// Assertion makes a new assertion.
func (w *Workload) Assertion(ctx context.Context) (Assertion, error) {
	a := w.authority
	now := a.now().Truncate(time.Second)
	made := Assertion{
		Issued: now, Expires: now.Add(assertionLife),
		Issuer: a.WorkloadIssuer(w.tenant), Subject: w.subject, Audience: ExchangeAudience,
	}
	payload, err := json.Marshal(map[string]any{
		"iss": made.Issuer, "sub": made.Subject, "aud": []string{made.Audience},
		"iat": now.Unix(), "nbf": now.Unix(), "exp": made.Expires.Unix(),
		"jti": guid.New(), workloadClaim: w.instance,
	})
	if err != nil {
		return Assertion{}, fmt.Errorf("encode the assertion: %w", err)
	}
	signer, err := a.keys.Signer(ctx, WorkloadRing(w.tenant))
	if err != nil {
		return Assertion{}, fmt.Errorf("key of the workload issuer: %w", err)
	}
	made.Token, err = signer.Sign(payload, false)
	return made, err
}

// workloads are those that run now.
type workloads struct {
	mu      sync.RWMutex
	running map[workloadKey]struct{} // guarded by mu
}

func (w *workloads) add(k workloadKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == nil {
		w.running = map[workloadKey]struct{}{}
	}
	w.running[k] = struct{}{}
}

func (w *workloads) remove(k workloadKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.running, k)
}

// run reports whether an assertion, if its signature holds, is that of a workload which
// runs as the client.
func (w *workloads) run(client *directory.Instance, tenant directory.TenantID, a assertionClaims, claims token.Object) bool {
	value, _ := claims.Get(workloadClaim)
	instance, ok := value.String()
	if !ok || tenant == "" || tenant != client.Principal.Tenant || !slices.Contains(a.audience, ExchangeAudience) {
		return false
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	_, running := w.running[workloadKey{tenant, workloadClientOf(client.Principal), a.subject, instance}]
	return running
}

// speaks reports whether anything may speak for the client here. A managed identity has no
// credential of its own: it is nobody's client unless tokens of somebody else are trusted
// for it.
func (v *assertionVerifier) speaks(client *directory.Instance) bool {
	return client.Application != nil || len(client.Federated()) > 0 || v.workloads.any(client)
}

// any reports whether a workload runs as the client.
func (w *workloads) any(client *directory.Instance) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for k := range w.running {
		if k.tenant == client.Principal.Tenant && k.client == workloadClientOf(client.Principal) {
			return true
		}
	}
	return false
}

// workloadMetadata is the discovery document of the workload issuer.
type workloadMetadata struct {
	Issuer            string   `json:"issuer"`
	KeysURI           string   `json:"jwks_uri"`
	ResponseTypes     []string `json:"response_types_supported"`
	SubjectTypes      []string `json:"subject_types_supported"`
	IDTokenAlgorithms []string `json:"id_token_signing_alg_values_supported"`
	Claims            []string `json:"claims_supported"`
}

// workloadMetadata serves the discovery document of the tenant's workload issuer.
func (a *Authority) workloadMetadata(ctx context.Context, x *exchange) (answer, error) {
	tenant, err := a.tenantOf(ctx, x.tenant)
	if err != nil {
		return answer{}, discoveryProblem(err)
	}
	issuer := a.WorkloadIssuer(tenant.ID)
	return jsonAnswer(workloadMetadata{
		Issuer: issuer, KeysURI: issuer + "/keys",
		ResponseTypes: []string{"id_token"}, SubjectTypes: []string{"public"}, IDTokenAlgorithms: []string{"RS256"},
		Claims: []string{"iss", "sub", "aud", "iat", "nbf", "exp", "jti"},
	}, dayCached)
}

// workloadKeys serves the keys of the tenant's workload issuer.
func (a *Authority) workloadKeys(ctx context.Context, x *exchange) (answer, error) {
	tenant, err := a.tenantOf(ctx, x.tenant)
	if err != nil {
		return answer{}, discoveryProblem(err)
	}
	keys, err := a.keys.Published(ctx, WorkloadRing(tenant.ID))
	if err != nil {
		return answer{}, err
	}
	return keysAnswer(keys)
}

// workload gives the tenant whose workload issuer an issuer is, or nothing.
func (o ownIssuers) workload(issuer string) directory.TenantID {
	id, prefixed := strings.CutPrefix(issuer, o.base+"/")
	id, suffixed := strings.CutSuffix(id, workloadPath)
	if prefixed && suffixed && guid.Is(id) && id == strings.ToLower(id) {
		return directory.TenantID(id)
	}
	return ""
}

// workloadKey finds a key of a tenant's workload issuer.
func (o ownIssuers) workloadKey(ctx context.Context, issuer, kid string) (token.Key, error) {
	return o.keyOf(ctx, o.workload(issuer), WorkloadRing(o.workload(issuer)), kid)
}
