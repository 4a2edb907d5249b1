package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/examples/orders"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/library"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// A trial is one way to try, and how it should turn out.
type trial struct {
	name    string
	library string
	// get gets a token, and tells which endpoint the library asked for it.
	get  func(context.Context) (raw, endpoint string, err error)
	want expectation
}

const (
	endpointV1         = "oauth2/token"
	endpointV2         = "oauth2/v2.0/token"
	endpointAppService = "msi/token"
	endpointMetadata   = "metadata/identity/oauth2/token"
	endpointCLI        = "az" // a program, not a request
)

// trials are the ways of the story. ADAL and connection strings are of the time when APIs
// were registered for tokens of version 1.0, so they ask for the classic API. It is the API
// that decides on the version, not the endpoint.
func (s *Stage) trials() []trial {
	secret := func(c *library.Client) { c.Secret = s.cast.secret }
	certificate := func(c *library.Client) { c.Certificate = s.cast.certificate }
	federated := func(c *library.Client) { c.Assertion = s.issuer.assertion }
	app := string(s.cast.orders.AppID)
	return []trial{
		s.here("ADAL secret", library.ADAL, secret, classicURI, expectation{endpointV1, "secret", "1.0", classicURI}),
		s.here("MSAL secret", library.MSAL, secret, ordersURI, expectation{endpointV2, "secret", "2.0", app}),
		s.here("MSAL certificate", library.MSAL, certificate, ordersURI, expectation{endpointV2, "certificate", "2.0", app}),
		s.here("connection string", library.AppAuth, secret, classicURI, expectation{endpointV2, "secret", "1.0", classicURI}),
		s.here("Azure.Identity secret", library.AzureIdentity, secret, ordersURI, expectation{endpointV2, "secret", "2.0", app}),
		s.here("federated assertion", library.AzureIdentity, federated, ordersURI, expectation{endpointV2, "federated", "2.0", app}),
		s.process("managed identity", probeManagedIdentity, systemIdentity, "app-service", expectation{endpointAppService, "managed-identity", "2.0", app}),
		s.process("user-assigned identity", probeManagedIdentity, userIdentity, "app-service", expectation{endpointAppService, "managed-identity", "2.0", app}),
		s.process("metadata service", probeMetadata, systemIdentity, "imds", expectation{endpointMetadata, "managed-identity", "2.0", app}),
		s.process("RunAs=App", probeConnection, systemIdentity, "app-service", expectation{endpointAppService, "managed-identity", "2.0", app}),
		s.process("DefaultAzureCredential", probeDefault, systemIdentity, "app-service", expectation{endpointAppService, "managed-identity", "2.0", app}),
		s.process("workload identity", probeWorkload, "orders-client", "workload", expectation{endpointV2, "federated", "2.0", app}),
		s.process("Azure CLI", probeCLI, "orders-client", "cli", expectation{endpointCLI, "local", "2.0", app}),
	}
}

// here is a trial in this process.
func (s *Stage) here(name string, way library.Name, proof func(*library.Client), api string, want expectation) trial {
	return trial{name: name, library: way.Implementation(), want: want, get: func(ctx context.Context) (raw, endpoint string, err error) {
		noted := &notingTransport{next: s.http.Transport}
		client := s.client(&http.Client{Timeout: requestLimit, Transport: noted})
		proof(&client)
		raw, err = tokenBy(ctx, client, way, api)
		return raw, noted.endpoint(client.TenantID), err
	}}
}

// process is a trial in a process of its own, which gets its identity from `rolecall run`.
func (s *Stage) process(name, probe, as, via string, want expectation) trial {
	return trial{name: name, library: libraryOf(probe), want: want, get: func(ctx context.Context) (raw, endpoint string, err error) {
		found, err := s.probe(ctx, probe, as, via)
		return found.Token, found.Endpoint, err
	}}
}

// tryAll gets a token in each way and calls the API with it.
func (s *Stage) tryAll(ctx context.Context) []Way {
	trials := s.trials()
	rows := make([]Way, len(trials))
	ids := make([]string, len(rows))
	for i, t := range trials {
		rows[i] = Way{Way: t.name, Library: t.library, Roles: []string{}}
		ids[i], rows[i].Problem = s.try(ctx, t, &rows[i])
	}
	recorded, err := s.recorded(ctx, ids)
	for i, t := range trials {
		rows[i].Credential = recorded[ids[i]]
		if rows[i].Problem == nil && err != nil {
			rows[i].Problem = err
		}
		rows[i].judge(t.want)
	}
	return rows
}

// try fills the row from what one way gives, and returns the token's id.
func (s *Stage) try(ctx context.Context, t trial, row *Way) (id string, err error) {
	raw, endpoint, err := t.get(ctx)
	row.Endpoint = endpoint
	if err != nil {
		return "", err
	}
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		return "", err
	}
	row.Version, row.Audience = text(parsed, "ver"), text(parsed, "aud")
	if value, ok := parsed.Claims.Get("roles"); ok {
		row.Roles, _ = value.Strings()
	}
	row.Status, row.Orders, err = s.getOrders(ctx, raw)
	return text(parsed, "uti"), err
}

// client is the orders client before it is given a proof.
func (s *Stage) client(h *http.Client) library.Client {
	return library.Client{
		Authority: s.server.Endpoints().Authority, HTTP: h,
		TenantID: string(s.cast.tenant), ClientID: string(s.cast.client.AppID),
	}
}

func tokenBy(ctx context.Context, client library.Client, way library.Name, api string) (string, error) {
	cred, err := client.Credential(way)
	if err != nil {
		return "", err
	}
	answer, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{api + "/.default"}})
	return answer.Token, err
}

func text(t *token.Token, claim string) string {
	value, _ := t.Claims.Get(claim)
	s, _ := value.String()
	return s
}

// getOrders calls the API and counts what it gives.
func (s *Stage) getOrders(ctx context.Context, raw string) (status, count int, err error) {
	status, body, err := s.callOrders(ctx, raw)
	if err != nil || status != http.StatusOK {
		return status, 0, err
	}
	var got []orders.Order
	if err := json.Unmarshal(body, &got); err != nil {
		return status, 0, fmt.Errorf("read the orders: %w", err)
	}
	return status, len(got), nil
}

// callOrders calls the API, with a token unless that is empty.
func (s *Stage) callOrders(ctx context.Context, raw string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.OrdersURL(), nil)
	if err != nil {
		return 0, nil, err
	}
	if raw != "" {
		request.Header.Set("Authorization", "Bearer "+raw)
	}
	response, err := s.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err = io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, body, err
}

// The authority writes its sign-ins a moment after it has answered.
const (
	recordLimit = 3 * time.Second
	recordLook  = 10 * time.Millisecond
)

// recorded returns the kind of credential by which the authority issued each token.
func (s *Stage) recorded(ctx context.Context, ids []string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, recordLimit)
	defer cancel()
	look := time.NewTicker(recordLook)
	defer look.Stop()
	for {
		rows, err := s.server.Data().Directory.SignIns(ctx, directory.SignInFilter{Tenant: s.cast.tenant})
		if err != nil {
			return nil, err
		}
		kinds := map[string]string{}
		for _, row := range rows {
			if row.TokenID != "" {
				kinds[row.TokenID] = row.Credential
			}
		}
		if hasAll(kinds, ids) {
			return kinds, nil
		}
		select {
		case <-ctx.Done():
			return kinds, errors.New("the authority has no record of issuing the token")
		case <-look.C:
		}
	}
}

func hasAll(kinds map[string]string, ids []string) bool {
	for _, id := range ids {
		if _, ok := kinds[id]; !ok && id != "" {
			return false
		}
	}
	return true
}
