package authoritytest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"go.uber.org/goleak"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/guard"
)

func TestMain(m *testing.M) {
	if scope := os.Getenv(childScope); scope != "" {
		if err := untouched(context.Background(), scope); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const role = "Orders.Read"

// call calls an API with a token and returns the status and the reason of a refusal.
func call(t *testing.T, api http.Handler, token string) (status int, reason string) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/orders", nil)
	request.Header.Set("Authorization", "Bearer "+token)
	answer := httptest.NewRecorder()
	api.ServeHTTP(answer, request)
	var body struct {
		Reason string `json:"reason"`
	}
	if answer.Code != http.StatusOK {
		if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
			t.Fatalf("read the refusal: %v", err)
		}
	}
	return answer.Code, body.Reason
}

func TestAClientGetsInByItsRole(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		roles []string
		want  int
	}{
		{"consented", []string{role}, 200},
		{"consented to more", []string{"Orders.Write", role}, 200},
		{"consented to something else", []string{"Orders.Write"}, 403},
		{"no consent", nil, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			login := authoritytest.Start(t)
			api := httptest.NewServer(login.API("orders").Require(role, listOrders))
			t.Cleanup(api.Close)
			response, err := login.Client("report", "orders", tt.roles...).Get(api.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != tt.want {
				t.Errorf("got %s, want %d", response.Status, tt.want)
			}
		})
	}
}

func TestEveryBadTokenIsRefusedForItsOwnReason(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	api := login.API("orders").Require(role, listOrders)
	classic := login.API("classic", authoritytest.V1Tokens()).Require(role, listOrders)
	bad := login.Bad()
	type maker = func(client, api string, roles ...string) string
	withoutRoles := func(plain func(client, api string) string) maker {
		return func(client, api string, _ ...string) string { return plain(client, api) }
	}
	for _, tt := range []struct {
		name   string
		make   maker
		status int
		reason guard.Reason
	}{
		{"none of them", login.Token, 200, ""},
		{"expired", bad.Expired, 401, guard.TokenExpired},
		{"not yet valid", bad.NotYetValid, 401, guard.TokenNotYetValid},
		{"for ten years", bad.LongLived, 401, guard.LifetimeTooLong},
		{"for another API", bad.WrongAudience, 401, guard.AudienceMismatch},
		{"of another tenant", bad.OtherTenant, 401, guard.IssuerUnknown},
		{"of another issuer", bad.WrongIssuer, 401, guard.IssuerUnknown},
		{"by an unknown key", bad.UnknownKey, 401, guard.KeyUnknown},
		{"by another key under the same id", bad.WrongKey, 401, guard.SignatureInvalid},
		{"changed after signing", bad.Tampered, 401, guard.SignatureInvalid},
		{"not signed", bad.Unsigned, 401, guard.AlgNotAllowed},
		{"signed with the public key as a secret", bad.SymmetricKey, 401, guard.AlgNotAllowed},
		{"an ID token", withoutRoles(bad.IDToken), 401, guard.NotAccessToken},
		{"without a role", withoutRoles(bad.NoRole), 403, guard.RoleMissing},
		{"of a person", withoutRoles(bad.UserToken), 403, guard.WrongCallerKind},
		{"of a person with the role", bad.UserTokenWithRole, 403, guard.WrongCallerKind},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, handler := range map[string]http.Handler{"orders": api, "classic": classic} {
				status, reason := call(t, handler, tt.make("report", name, role))
				if status != tt.status || guard.Reason(reason) != tt.reason {
					t.Errorf("%s: %d %s, want %d %s", name, status, reason, tt.status, tt.reason)
				}
			}
		})
	}
}

// TestAWrongKeyIsNeverTheAuthoritys: tests share their keys, so one of the next is its own.
func TestAWrongKeyIsNeverTheAuthoritys(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	api := login.API("orders").Require(role, listOrders)
	for range 10 {
		if status, reason := call(t, api, login.Bad().WrongKey("report", "orders", role)); reason != "signature_invalid" {
			t.Fatalf("%d %s", status, reason)
		}
	}
}

func TestAnyOtherFaultCanBeMade(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	api := login.API("orders").Require(role, listOrders)
	token := login.Bad().With("report", "orders", []string{role}, func(claims map[string]any) { claims["roles"] = role })
	if status, reason := call(t, api, token); status != 401 || reason != "claims_invalid" {
		t.Errorf("roles as a string: %d %s", status, reason)
	}
}

func TestTheVersionIsTheAPIs(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	login.API("classic", authoritytest.V1Tokens())
	for _, tt := range []struct{ api, version string }{{"orders", "2.0"}, {"classic", "1.0"}} {
		api := login.API(tt.api)
		decision := api.Guard().Check(t.Context(), login.Token("report", tt.api, role), guard.Rule{Roles: []string{role}})
		caller, ok := decision.Caller()
		if !decision.Allowed() || !ok || caller.Version != tt.version || caller.ClientID != login.App("report").ClientID {
			t.Errorf("%s: %+v, want version %s of the client", tt.api, caller, tt.version)
		}
	}
}

func TestTheClockIsEverybodys(t *testing.T) {
	t.Parallel()
	began := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	login := authoritytest.Start(t, authoritytest.At(began), authoritytest.Lifetime(10*time.Minute))
	api := login.API("orders").Require(role, listOrders)
	token := login.Token("report", "orders", role)
	steps := []struct {
		now  time.Duration
		want int
	}{{0, 200}, {9 * time.Minute, 200}, {12 * time.Minute, 401}, {time.Minute, 200}}
	for _, step := range steps {
		login.Clock().Set(began.Add(step.now))
		if status, reason := call(t, api, token); status != step.want {
			t.Errorf("after %v: %d %s, want %d", step.now, status, reason, step.want)
		}
	}
	login.Clock().Advance(time.Hour)
	if got := login.Clock().Now(); !got.Equal(began.Add(61 * time.Minute)) {
		t.Errorf("the clock shows %v", got)
	}
	if status, reason := call(t, api, login.Token("report", "orders")); status != 200 {
		t.Errorf("a token of the new time: %d %s", status, reason)
	}
}

func TestARoleIsInTheNextToken(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	api := login.API("orders").Require(role, listOrders)
	before := login.Token("report", "orders")
	login.Grant("report", "orders", role)
	granted := login.Token("report", "orders")
	login.Revoke("report", "orders", role)
	after := login.Token("report", "orders")
	for _, tt := range []struct {
		name, token string
		want        int
	}{{"before the grant", before, 403}, {"granted", granted, 200}, {"after the revocation", after, 403}} {
		if status, _ := call(t, api, tt.token); status != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, status, tt.want)
		}
	}
}

func TestTheAuthorityCanDemandAnAssignment(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	payroll := login.API("payroll", authoritytest.AssignmentRequired())
	_, err := login.Credential("report").GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{payroll.Scope()}})
	var refusal *credential.Error
	if err == nil {
		t.Fatal("a token without an assignment")
	}
	if !errors.As(err, &refusal) || refusal.Code != "AADSTS501051" {
		t.Errorf("refused with %v, want AADSTS501051", err)
	}
	login.Token("report", "payroll", "Salaries.Read")
}

func TestAuthoritiesShareNothing(t *testing.T) {
	t.Parallel()
	one, other := authoritytest.Start(t), authoritytest.Start(t)
	api := one.API("orders").Require(role, listOrders)
	other.API("orders")
	if status, reason := call(t, api, other.Token("report", "orders", role)); status != 401 || reason != "issuer_unknown" {
		t.Errorf("a token of another authority: %d %s", status, reason)
	}
}

func TestTheEnvironmentIsEnough(t *testing.T) {
	login := authoritytest.Start(t)
	api := login.API("orders").Require(role, listOrders)
	login.Grant("report", "orders", role)
	login.SetEnvironment("report")
	cred, err := credential.NewSecret(os.Getenv("AZURE_TENANT_ID"), os.Getenv("AZURE_CLIENT_ID"), os.Getenv("AZURE_CLIENT_SECRET"), nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{login.API("orders").Scope()}})
	if err != nil {
		t.Fatal(err)
	}
	if status, reason := call(t, api, token.Token); status != 200 {
		t.Errorf("%d %s", status, reason)
	}
}

func TestARequestCarriesTheCaller(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	api := httptest.NewServer(login.API("orders").Require(role, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := guard.CallerFrom(r.Context())
		_, _ = io.WriteString(w, caller.ClientID)
	})))
	t.Cleanup(api.Close)
	response, err := login.Client("report", "orders", role).Get(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != login.App("report").ClientID {
		t.Errorf("the handler saw %q (%v), want %q", body, err, login.App("report").ClientID)
	}
}
