package demo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/examples/orders"
	"github.com/rolecall-auth/rolecall/internal/library"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// A refusalCase is a call that must be refused, and the refusal that is right.
type refusalCase struct {
	name    string
	attempt func(context.Context) (status int, reason string, err error)
	status  int
	reason  string
}

func (d *Demo) refusalCases() []refusalCase {
	return []refusalCase{
		{"no token", d.withToken(d.noToken), http.StatusUnauthorized, "token_missing"},
		{"no role granted", d.withToken(d.strangersToken), http.StatusForbidden, "role_missing"},
		{"identity without a role", d.withToken(d.strangerIdentitysToken), http.StatusForbidden, "role_missing"},
		{"user token", d.withToken(d.usersToken), http.StatusForbidden, "caller_kind"},
		{"user token with the role's name", d.withToken(d.usersTokenWithRole), http.StatusForbidden, "caller_kind"},
		{"user signed in with az", d.withToken(d.usersTokenByCLI), http.StatusForbidden, "caller_kind"},
		{"wrong audience", d.withToken(d.billingToken), http.StatusUnauthorized, "audience_mismatch"},
		{"expired", d.withToken(d.expiredToken), http.StatusUnauthorized, "token_expired"},
		{"tampered", d.withToken(d.tamperedToken), http.StatusUnauthorized, "signature_invalid"},
		{"signed by another key", d.withToken(d.foreignToken), http.StatusUnauthorized, "key_unknown"},
		{"wrong secret", d.wrongSecret, http.StatusUnauthorized, "AADSTS7000215"},
		{"identity of another process", d.othersIdentity, http.StatusUnauthorized, "The header X-Identity-Header is missing or not the one of this process"},
		{"assignment required but absent", d.unassigned, http.StatusBadRequest, "AADSTS501051"},
	}
}

// tryRefusals makes every call that must be refused, and records the refusals.
func (d *Demo) tryRefusals(ctx context.Context) []Refusal {
	rows := make([]Refusal, 0, len(d.refusalCases()))
	for _, c := range d.refusalCases() {
		row := Refusal{Case: c.name}
		row.Status, row.Reason, row.Problem = c.attempt(ctx)
		row.judge(c.status, c.reason)
		rows = append(rows, row)
	}
	return rows
}

// withToken calls the API with the token and reads the refusal.
func (d *Demo) withToken(get func(context.Context) (string, error)) func(context.Context) (int, string, error) {
	return func(ctx context.Context) (int, string, error) {
		raw, err := get(ctx)
		if err != nil {
			return 0, "", err
		}
		status, body, err := d.callOrders(ctx, raw)
		if err != nil {
			return status, "", err
		}
		var refusal struct {
			Reason string `json:"reason"`
		}
		if status < http.StatusBadRequest {
			return status, "", errors.New("the API accepted it")
		}
		return status, refusal.Reason, json.Unmarshal(body, &refusal)
	}
}

func (d *Demo) noToken(context.Context) (string, error) { return "", nil }

// goodToken is a token with which the call would succeed.
func (d *Demo) goodToken(ctx context.Context) (string, error) {
	client := d.client(d.http)
	client.Secret = d.fixtures.secret
	return tokenBy(ctx, client, library.AzureIdentity, ordersURI)
}

// strangersToken is genuine, and its bearer has no role.
func (d *Demo) strangersToken(ctx context.Context) (string, error) {
	client := d.client(d.http)
	client.ClientID, client.Secret = string(d.fixtures.stranger), d.fixtures.strangerSecret
	return tokenBy(ctx, client, library.AzureIdentity, ordersURI)
}

// billingToken is genuine, and for another API.
func (d *Demo) billingToken(ctx context.Context) (string, error) {
	client := d.client(d.http)
	client.Secret = d.fixtures.secret
	return tokenBy(ctx, client, library.AzureIdentity, billingURI)
}

// expiredToken is genuine and comes from the authority whose clock is behind. It is from the v1
// endpoint, because a library that reads the metadata would notice that they name the address of
// another authority.
func (d *Demo) expiredToken(ctx context.Context) (string, error) {
	client := d.client(d.http)
	client.Authority, client.Secret = d.late.url("https"), d.fixtures.secret
	return tokenBy(ctx, client, library.ADAL, ordersURI)
}

// strangerIdentitysToken is genuine, and the managed identity has no role.
func (d *Demo) strangerIdentitysToken(ctx context.Context) (string, error) {
	found, err := d.probe(ctx, probeManagedIdentity, strangerIdentity, "app-service")
	return found.Token, err
}

// usersToken is genuine: the user has signed in and allowed a tool to act for them.
func (d *Demo) usersToken(ctx context.Context) (string, error) {
	return d.signedIn(ctx, plainUser)
}

// usersTokenWithRole carries the role that applications need, as a role of the user and as the
// name of a scope.
func (d *Demo) usersTokenWithRole(ctx context.Context) (string, error) {
	raw, err := d.signedIn(ctx, roleUser)
	if err != nil {
		return "", err
	}
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		return "", err
	}
	value, _ := parsed.Claims.Get("roles")
	if roles, _ := value.Strings(); !slices.Equal(roles, []string{orders.ReadRole}) || text(parsed, "scp") != orders.ReadRole {
		return "", fmt.Errorf("the user's token carries the roles %q and the scopes %q, want %s in both", roles, text(parsed, "scp"), orders.ReadRole)
	}
	return raw, nil
}

// usersTokenByCLI is what a program gets on a laptop where a user is signed in to az.
func (d *Demo) usersTokenByCLI(ctx context.Context) (string, error) {
	found, err := d.probe(ctx, probeCLI, plainUser, "cli")
	return found.Token, err
}

// tamperedToken contains a role that its signature does not cover.
func (d *Demo) tamperedToken(ctx context.Context) (string, error) {
	raw, err := d.goodToken(ctx)
	if err != nil {
		return "", err
	}
	parts := strings.Split(raw, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", err
	}
	more := strings.Replace(string(payload), `"`+orders.ReadRole+`"`, `"`+orders.ReadRole+`","Orders.Write"`, 1)
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(more))
	return strings.Join(parts, "."), nil
}

// foreignToken has the right claims and is signed with a key that the authority never had.
func (d *Demo) foreignToken(ctx context.Context) (string, error) {
	claims, err := d.goodClaims(ctx)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return token.Sign("RS256", "somebody-elses-key", nil, payload, d.foreign)
}

func (d *Demo) goodClaims(ctx context.Context) (map[string]any, error) {
	raw, err := d.goodToken(ctx)
	if err != nil {
		return nil, err
	}
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(strings.NewReader(parsed.Claims.Raw()))
	decoder.UseNumber() // times stay integers
	var claims map[string]any
	return claims, decoder.Decode(&claims)
}

func (d *Demo) wrongSecret(ctx context.Context) (int, string, error) {
	return d.refusedByAuthority(ctx, "not-the-secret", ordersURI)
}

func (d *Demo) unassigned(ctx context.Context) (int, string, error) {
	return d.refusedByAuthority(ctx, d.fixtures.secret, payrollURI)
}

// refusedByAuthority requests a token and reads the refusal.
func (d *Demo) refusedByAuthority(ctx context.Context, secret, api string) (int, string, error) {
	client := d.client(d.http)
	cred, err := credential.NewSecret(client.TenantID, client.ClientID, secret, &credential.Options{
		AuthorityHost: client.Authority, HTTPClient: client.HTTP,
	})
	if err != nil {
		return 0, "", err
	}
	return refusalOf(ctx, cred, api)
}

// othersIdentity sends the secret of one process to the endpoint of another.
func (d *Demo) othersIdentity(ctx context.Context) (status int, reason string, err error) {
	var bound [2]*server.Binding
	for i := range bound {
		bound[i], err = server.Bind(ctx, d.cfg.Dir, server.BindRequest{As: systemIdentity, Via: "app-service"})
		if err != nil {
			return 0, "", err
		}
		defer func() { err = errors.Join(err, bound[i].Close()) }()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, bound[0].Endpoint+"?api-version=2019-08-01&resource="+ordersURI, nil)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("X-IDENTITY-HEADER", bound[1].Header)
	response, err := d.http.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	var refusal struct {
		Message string `json:"message"`
	}
	if err := json.NewDecoder(response.Body).Decode(&refusal); err != nil {
		return response.StatusCode, "", err
	}
	reason, _, _ = strings.Cut(refusal.Message, ":")
	return response.StatusCode, reason, nil
}

// refusalOf requests a token that the credential must not get.
func refusalOf(ctx context.Context, cred azcore.TokenCredential, api string) (status int, code string, err error) {
	_, err = cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{api + "/.default"}})
	if err == nil {
		return 0, "", errors.New("the authority issued a token")
	}
	var refusal *credential.Error
	if !errors.As(err, &refusal) {
		return 0, "", err
	}
	return refusal.Status, refusal.Code, nil
}
