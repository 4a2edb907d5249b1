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

// A wayCase is one way to get a token, and its right result.
type wayCase struct {
	name    string
	library string
	// get gets a token, and the endpoint to which the library sent its request.
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

// wayCases are all the ways. ADAL and connection strings date from the time when APIs were
// registered for tokens of version 1.0, so they call the classic API. The API decides on the
// version, not the endpoint.
func (d *Demo) wayCases() []wayCase {
	secret := func(c *library.Client) { c.Secret = d.fixtures.secret }
	certificate := func(c *library.Client) { c.Certificate = d.fixtures.certificate }
	federated := func(c *library.Client) { c.Assertion = d.issuer.assertion }
	app := string(d.fixtures.orders)
	return []wayCase{
		d.here("ADAL secret", library.ADAL, secret, classicURI, expectation{endpointV1, "secret", "1.0", classicURI}),
		d.here("MSAL secret", library.MSAL, secret, ordersURI, expectation{endpointV2, "secret", "2.0", app}),
		d.here("MSAL certificate", library.MSAL, certificate, ordersURI, expectation{endpointV2, "certificate", "2.0", app}),
		d.here("connection string", library.AppAuth, secret, classicURI, expectation{endpointV2, "secret", "1.0", classicURI}),
		d.here("Azure.Identity secret", library.AzureIdentity, secret, ordersURI, expectation{endpointV2, "secret", "2.0", app}),
		d.here("federated assertion", library.AzureIdentity, federated, ordersURI, expectation{endpointV2, "federated", "2.0", app}),
		d.process("managed identity", probeManagedIdentity, systemIdentity, "app-service", expectation{endpointAppService, "managed-identity", "2.0", app}),
		d.process("user-assigned identity", probeManagedIdentity, userIdentity, "app-service", expectation{endpointAppService, "managed-identity", "2.0", app}),
		d.process("metadata service", probeMetadata, systemIdentity, "imds", expectation{endpointMetadata, "managed-identity", "2.0", app}),
		d.process("RunAs=App", probeConnection, systemIdentity, "app-service", expectation{endpointAppService, "managed-identity", "2.0", app}),
		d.process("DefaultAzureCredential", probeDefault, systemIdentity, "app-service", expectation{endpointAppService, "managed-identity", "2.0", app}),
		d.process("workload identity", probeWorkload, clientName, "workload", expectation{endpointV2, "federated", "2.0", app}),
		d.process("Azure CLI", probeCLI, clientName, "cli", expectation{endpointCLI, "local", "2.0", app}),
	}
}

// here is a case in this process.
func (d *Demo) here(name string, way library.Name, proof func(*library.Client), api string, want expectation) wayCase {
	return wayCase{name: name, library: way.Implementation(), want: want, get: func(ctx context.Context) (raw, endpoint string, err error) {
		noted := &notingTransport{next: d.http.Transport}
		client := d.client(&http.Client{Timeout: requestLimit, Transport: noted})
		proof(&client)
		raw, err = tokenBy(ctx, client, way, api)
		return raw, noted.endpoint(client.TenantID), err
	}}
}

// process is a case in a process of its own, which gets its identity from `rolecall run`.
func (d *Demo) process(name, probe, as, via string, want expectation) wayCase {
	return wayCase{name: name, library: libraryOf(probe), want: want, get: func(ctx context.Context) (raw, endpoint string, err error) {
		found, err := d.probe(ctx, probe, as, via)
		return found.Token, found.Endpoint, err
	}}
}

// tryWays gets a token in each way and calls the API with it.
func (d *Demo) tryWays(ctx context.Context) []Way {
	cases := d.wayCases()
	rows := make([]Way, len(cases))
	ids := make([]string, len(rows))
	for i, c := range cases {
		rows[i] = Way{Way: c.name, Library: c.library, Roles: []string{}}
		ids[i], rows[i].Problem = d.try(ctx, c, &rows[i])
	}
	recorded, err := d.recorded(ctx, ids)
	for i, c := range cases {
		rows[i].Credential = recorded[ids[i]]
		if rows[i].Problem == nil && err != nil {
			rows[i].Problem = err
		}
		rows[i].judge(c.want)
	}
	return rows
}

// try fills the row with what one way gives, and returns the token's id.
func (d *Demo) try(ctx context.Context, c wayCase, row *Way) (id string, err error) {
	raw, endpoint, err := c.get(ctx)
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
	row.Status, row.Orders, err = d.getOrders(ctx, raw)
	return text(parsed, "uti"), err
}

// client is the orders client, still without a proof of its identity.
func (d *Demo) client(h *http.Client) library.Client {
	return library.Client{
		Authority: d.server.Endpoints().Authority, HTTP: h,
		TenantID: string(d.fixtures.tenant), ClientID: string(d.fixtures.client),
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

// getOrders calls the API and counts the orders in its answer.
func (d *Demo) getOrders(ctx context.Context, raw string) (status, count int, err error) {
	status, body, err := d.callOrders(ctx, raw)
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
func (d *Demo) callOrders(ctx context.Context, raw string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.OrdersURL(), nil)
	if err != nil {
		return 0, nil, err
	}
	if raw != "" {
		request.Header.Set("Authorization", "Bearer "+raw)
	}
	response, err := d.http.Do(request)
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
func (d *Demo) recorded(ctx context.Context, ids []string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, recordLimit)
	defer cancel()
	look := time.NewTicker(recordLook)
	defer look.Stop()
	for {
		rows, err := d.server.Data().Directory.SignIns(ctx, directory.SignInFilter{Tenant: d.fixtures.tenant})
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
