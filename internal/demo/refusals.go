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

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/examples/orders"
	"github.com/rolecall-auth/rolecall/internal/library"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// A misuse is a call that must be refused, and the refusal that is right.
type misuse struct {
	name    string
	attempt func(context.Context) (status int, reason string, err error)
	status  int
	reason  string
}

func (s *Stage) misuses() []misuse {
	return []misuse{
		{"no token", s.withToken(s.noToken), http.StatusUnauthorized, "token_missing"},
		{"no role granted", s.withToken(s.strangersToken), http.StatusForbidden, "role_missing"},
		{"identity without a role", s.withToken(s.strangeIdentitysToken), http.StatusForbidden, "role_missing"},
		{"user token", s.withToken(s.usersToken), http.StatusForbidden, "caller_kind"},
		{"user token with the role's name", s.withToken(s.usersTokenWithRole), http.StatusForbidden, "caller_kind"},
		{"user signed in with az", s.withToken(s.usersTokenByCLI), http.StatusForbidden, "caller_kind"},
		{"wrong audience", s.withToken(s.billingToken), http.StatusUnauthorized, "audience_mismatch"},
		{"expired", s.withToken(s.expiredToken), http.StatusUnauthorized, "token_expired"},
		{"tampered", s.withToken(s.tamperedToken), http.StatusUnauthorized, "signature_invalid"},
		{"signed by another key", s.withToken(s.foreignToken), http.StatusUnauthorized, "key_unknown"},
		{"wrong secret", s.wrongSecret, http.StatusUnauthorized, "AADSTS7000215"},
		{"identity of another process", s.othersIdentity, http.StatusUnauthorized, "The header X-Identity-Header is missing or not the one of this process"},
		{"assignment required but absent", s.unassigned, http.StatusBadRequest, "AADSTS501051"},
	}
}

// misuseAll makes every misuse and notes how it was refused.
func (s *Stage) misuseAll(ctx context.Context) []Refusal {
	rows := make([]Refusal, 0, len(s.misuses()))
	for _, m := range s.misuses() {
		row := Refusal{Case: m.name}
		row.Status, row.Reason, row.Problem = m.attempt(ctx)
		row.judge(m.status, m.reason)
		rows = append(rows, row)
	}
	return rows
}

// withToken calls the API with the token and reads the refusal.
func (s *Stage) withToken(get func(context.Context) (string, error)) func(context.Context) (int, string, error) {
	return func(ctx context.Context) (int, string, error) {
		raw, err := get(ctx)
		if err != nil {
			return 0, "", err
		}
		status, body, err := s.callOrders(ctx, raw)
		if err != nil {
			return status, "", err
		}
		var refusal struct {
			Reason string `json:"reason"`
		}
		if status < http.StatusBadRequest {
			return status, "", errors.New("the API let it in")
		}
		return status, refusal.Reason, json.Unmarshal(body, &refusal)
	}
}

func (s *Stage) noToken(context.Context) (string, error) { return "", nil }

// goodToken is a token with which the call would succeed.
func (s *Stage) goodToken(ctx context.Context) (string, error) {
	client := s.client(s.http)
	client.Secret = s.cast.secret
	return tokenBy(ctx, client, library.AzureIdentity, ordersURI)
}

// strangersToken is genuine, and nobody gave its bearer a role.
func (s *Stage) strangersToken(ctx context.Context) (string, error) {
	client := s.client(s.http)
	client.ClientID, client.Secret = string(s.cast.stranger.AppID), s.cast.strangerKey
	return tokenBy(ctx, client, library.AzureIdentity, ordersURI)
}

// billingToken is genuine and for another API.
func (s *Stage) billingToken(ctx context.Context) (string, error) {
	client := s.client(s.http)
	client.Secret = s.cast.secret
	return tokenBy(ctx, client, library.AzureIdentity, billingURI)
}

// expiredToken is genuine and comes from the authority whose clock is behind. The v1
// endpoint gives it, because a library that reads the metadata would notice that this
// authority calls itself by another's address.
func (s *Stage) expiredToken(ctx context.Context) (string, error) {
	client := s.client(s.http)
	client.Authority, client.Secret = s.late.url("https"), s.cast.secret
	return tokenBy(ctx, client, library.ADAL, ordersURI)
}

// strangeIdentitysToken is genuine, and nobody gave the managed identity a role.
func (s *Stage) strangeIdentitysToken(ctx context.Context) (string, error) {
	found, err := s.probe(ctx, probeManagedIdentity, strangeIdentity, "app-service")
	return found.Token, err
}

// usersToken is genuine: its bearer has signed in, and let a tool act for them.
func (s *Stage) usersToken(ctx context.Context) (string, error) {
	return s.signedIn(ctx, plainUser)
}

// usersTokenWithRole carries the role that applications need, as the user's own and as the
// name of a scope.
func (s *Stage) usersTokenWithRole(ctx context.Context) (string, error) {
	raw, err := s.signedIn(ctx, roleUser)
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

// usersTokenByCLI is what a program gets on a laptop where somebody is signed in with az.
func (s *Stage) usersTokenByCLI(ctx context.Context) (string, error) {
	found, err := s.probe(ctx, probeCLI, plainUser, "cli")
	return found.Token, err
}

// tamperedToken promises a role that its signature does not cover.
func (s *Stage) tamperedToken(ctx context.Context) (string, error) {
	raw, err := s.goodToken(ctx)
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

// foreignToken says the right things and is signed by a key that the authority never had.
func (s *Stage) foreignToken(ctx context.Context) (string, error) {
	claims, err := s.goodClaims(ctx)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return token.Sign("RS256", "somebody-elses-key", nil, payload, s.foreign)
}

func (s *Stage) goodClaims(ctx context.Context) (map[string]any, error) {
	raw, err := s.goodToken(ctx)
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

func (s *Stage) wrongSecret(ctx context.Context) (int, string, error) {
	return s.refusedByAuthority(ctx, "not-the-secret", ordersURI)
}

func (s *Stage) unassigned(ctx context.Context) (int, string, error) {
	return s.refusedByAuthority(ctx, s.cast.secret, payrollURI)
}

// refusedByAuthority asks for a token and reads the refusal.
func (s *Stage) refusedByAuthority(ctx context.Context, secret, api string) (int, string, error) {
	client := s.client(s.http)
	cred, err := credential.NewSecret(client.TenantID, client.ClientID, secret, &credential.Options{
		AuthorityHost: client.Authority, HTTPClient: client.HTTP,
	})
	if err != nil {
		return 0, "", err
	}
	return refusalOf(ctx, cred, api)
}

// othersIdentity asks at the endpoint of one process with the secret of another.
func (s *Stage) othersIdentity(ctx context.Context) (status int, reason string, err error) {
	var bound [2]*server.Binding
	for i := range bound {
		bound[i], err = server.Bind(ctx, s.cfg.Dir, server.BindRequest{As: systemIdentity, Via: "app-service"})
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
	response, err := s.http.Do(request)
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
