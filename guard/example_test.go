package guard_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
)

// ordersGuard returns the guard of the examples, which trusts no authority
// that can be reached.
func ordersGuard() *guard.Guard {
	g, err := guard.New(context.Background(), guard.Config{
		Authority: "https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11",
		Audience:  []string{"api://orders", "a9100002-5a5a-4c4c-8d8d-000000000002"},
	})
	if err != nil {
		log.Fatal(err)
	}
	return g
}

// An API that lets in applications which hold the app role Orders.Read. With
// the Authority of a local Rolecall instead, nothing else changes.
func ExampleGuard_Require() {
	g, err := guard.New(context.Background(), guard.Config{
		Authority: "https://login.microsoftonline.com/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11",
		Audience:  []string{"api://orders", "a9100002-5a5a-4c4c-8d8d-000000000002"},
	})
	if err != nil {
		log.Fatal(err)
	}
	orders := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(w, "five orders")
	})
	mux := http.NewServeMux()
	mux.Handle("GET /api/orders", g.Require("Orders.Read")(orders))
	// log.Fatal(http.ListenAndServe("127.0.0.1:8080", mux))
}

// A guard with every member of its configuration that is often set.
func ExampleNew() {
	g, err := guard.New(context.Background(), guard.Config{
		Authority:  "https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11",
		Audience:   []string{"api://orders", "a9100002-5a5a-4c4c-8d8d-000000000002"},
		Caller:     guard.CallerAny,
		Clients:    []string{"c11e0001-5a5a-4c4c-8d8d-000000000001"},
		Skew:       30 * time.Second,
		OnDecision: func(d guard.Decision) { /* count d.Outcome and d.Reason */ },
		Log:        slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = g

	_, err = guard.New(context.Background(), guard.Config{Audience: []string{"api://orders"}})
	fmt.Println(err)
	// Output:
	// guard: no Authority: name the tenant whose tokens are accepted, such as https://login.microsoftonline.com/<tenant id>
}

// An issuer that is trusted besides those of the authority.
func ExampleIssuer() {
	_, err := guard.New(context.Background(), guard.Config{
		Issuers: []guard.Issuer{{
			Issuer: "https://login.corp.test/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11/v2.0",
			Keys:   "https://login.corp.test/keys",
		}},
		Audience: []string{"api://orders"},
	})
	fmt.Println(err)
	// Output: <nil>
}

// An API that also takes tokens that are bound to a key, each in a request that the key has
// signed.
func ExampleSignedRequests() {
	g, err := guard.New(context.Background(), guard.Config{
		Authority:      "https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11",
		Audience:       []string{"api://orders", "a9100002-5a5a-4c4c-8d8d-000000000002"},
		SignedRequests: &guard.SignedRequests{Hosts: []string{"orders.contoso.test"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	d := g.Decide(context.Background(), guard.Request{Method: "GET", Path: "/api/GetOrders"}, guard.Rule{Roles: []string{"Orders.Read"}})
	for _, challenge := range d.Answer().Header["Www-Authenticate"] {
		scheme, _, _ := strings.Cut(challenge, " ")
		fmt.Println(scheme)
	}
	// Output:
	// Bearer
	// PoP
}

// An API that refuses a token within seconds of its client being disabled. The application of
// the API gets a token for that with a credential of its own, here any azcore.TokenCredential.
func ExampleRevocations() {
	ownToken := func(ctx context.Context) (string, error) {
		// token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{guard.RevocationScope}})
		// return token.Token, err
		return "", errors.New("no credential in an example")
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop() // which ends following
	_, err := guard.New(ctx, guard.Config{
		Authority:   "https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11",
		Audience:    []string{"api://orders", "a9100002-5a5a-4c4c-8d8d-000000000002"},
		Revocations: &guard.Revocations{Token: ownToken},
	})
	fmt.Println(err)
	// Output: <nil>
}

// How a guard stands with the revocations that it follows.
func ExampleGuard_Revocations() {
	g := ordersGuard()
	if state := g.Revocations(); state.Followed && state.Err != nil {
		fmt.Println("last heard of revocations at", state.Fetched, state.Err)
	}
}

// An API that takes tokens that are bound by DPoP, and demands a bound one where money moves.
func ExampleDPoP() {
	g, err := guard.New(context.Background(), guard.Config{
		Authority: "https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11",
		Audience:  []string{"api://orders", "a9100002-5a5a-4c4c-8d8d-000000000002"},
		DPoP:      &guard.DPoP{Origins: []string{"https://orders.contoso.test"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := g.Policy([]guard.Rule{
		{Path: "/api/payments", Methods: []string{"POST"}, Roles: []string{"Payments.Write"}, Bound: true},
		{Path: "/api/*", Roles: []string{"Orders.Read"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	d := policy.Decide(context.Background(), guard.Request{Method: "POST", Path: "/api/payments"})
	fmt.Println(d.Answer().Header["Www-Authenticate"][1])
	// Output:
	// DPoP realm="api", authorization_uri="https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11/oauth2/v2.0/authorize", resource_id="a9100002-5a5a-4c4c-8d8d-000000000002", algs="ES256 ES384 PS256 RS256 EdDSA"
}

// An API that tells clients which know only its URL where to get a token for it.
func ExampleGuard_Metadata() {
	g, err := guard.New(context.Background(), guard.Config{
		Authority: "https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11",
		Audience:  []string{"api://orders", "a9100002-5a5a-4c4c-8d8d-000000000002"},
		Resource:  &guard.Resource{URL: "https://contoso.test/orders"},
	})
	if err != nil {
		log.Fatal(err)
	}
	path, document := g.Metadata()
	fmt.Printf("%s\n%s", path, document)
	// Output:
	// /.well-known/oauth-protected-resource/orders
	// {"resource":"https://contoso.test/orders","authorization_servers":["https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11/v2.0"],"scopes_supported":["api://orders/.default"],"bearer_methods_supported":["header"]}
}

// The document stands before a guard that is put around one handler.
func ExampleGuard_MetadataHandler() {
	g := ordersGuard()
	mux := http.NewServeMux()
	mux.Handle("GET /.well-known/oauth-protected-resource", g.MetadataHandler())
	mux.Handle("GET /api/orders", g.Require("Orders.Read")(http.NotFoundHandler()))
}

// A server behind nginx, which ends TLS and passes the client's certificate on:
// proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;
func ExampleForwardedCertificate() {
	policy, err := ordersGuard().Policy([]guard.Rule{{Path: "/api/*", Roles: []string{"Orders.Read"}, Bound: true}})
	if err != nil {
		log.Fatal(err)
	}
	_ = func(w http.ResponseWriter, r *http.Request) {
		request := guard.RequestOf(r)
		request.Certificate, _ = guard.ForwardedCertificate(r.Header.Get("X-SSL-Client-Cert"))
		d := policy.Decide(r.Context(), request)
		w.WriteHeader(d.Answer().Status)
	}
}

// A program that starts only with keys waits for them. Without the call it
// starts at once, and answers 503 until the authority can be reached.
func ExampleGuard_Ready() {
	g := ordersGuard()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = func() error {
		if err := g.Ready(ctx); err != nil {
			return fmt.Errorf("start without keys: %w", err)
		}
		return nil
	}
}

// A readiness check that says which issuer has no keys, and why.
func ExampleGuard_Keys() {
	for _, state := range ordersGuard().Keys() {
		fmt.Println(state.Issuer, state.Keys, state.Fetched.IsZero())
	}
	// Output:
	// https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11/ 0 true
	// https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11/v2.0 0 true
}

// Rules for a whole server in one place. What no rule names is refused.
func ExampleGuard_Handler() {
	g := ordersGuard()
	mux := http.NewServeMux() // with the handlers of the API
	handler, err := g.Handler([]guard.Rule{
		{Path: "/api/orders/*", Methods: []string{"GET"}, Roles: []string{"Orders.Read"}},
		{Path: "/api/orders", Methods: []string{"POST"}, Roles: []string{"Orders.Write"}},
		{Path: "/healthz", Methods: []string{"GET"}, Anonymous: true},
	}, mux)
	if err != nil {
		log.Fatal(err)
	}
	_ = handler // goes to http.Server
}

// A rule is checked when the policy is made, not when a request comes.
func ExampleGuard_Policy() {
	_, err := ordersGuard().Policy([]guard.Rule{{Path: "/api/orders", Methods: []string{"get"}, Roles: []string{"Orders.Read"}}})
	fmt.Println(err)
	// Output:
	// guard: rule "/api/orders": the method "get" cannot have a rule: use GET, POST, PUT, PATCH, DELETE, OPTIONS (HEAD is decided by GET)
}

// An authorization endpoint, such as that of nginx's auth_request, decides on
// a request that it has only been told about.
func ExamplePolicy_Decide() {
	policy, err := ordersGuard().Policy([]guard.Rule{
		{Path: "/api/orders", Roles: []string{"Orders.Read"}},
		{Path: "/healthz", Anonymous: true},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, target := range []string{"/healthz", "/api/orders?top=5", "/api/orders/../admin", "/admin"} {
		path, query, _ := strings.Cut(target, "?")
		d := policy.Decide(context.Background(), guard.Request{
			Method: "GET", Path: path, Query: query,
			Header: http.Header{"Authorization": {"Basic dTpw"}},
		})
		fmt.Printf("%d %q %s\n", d.Outcome.Status(), d.Reason, target)
	}
	// Output:
	// 200 "" /healthz
	// 401 "token_missing" /api/orders?top=5
	// 400 "path_not_canonical" /api/orders/../admin
	// 403 "no_policy" /admin
}

// A server that is not an HTTP server, such as one of gRPC, decides by one
// rule at a time and hands the caller on in the context.
func ExampleGuard_Decide() {
	g := ordersGuard()
	intercept := func(ctx context.Context, authorization []string, next func(context.Context) error) error {
		d := g.Decide(ctx, guard.Request{Header: map[string][]string{"Authorization": authorization}}, guard.Rule{Roles: []string{"Orders.Read"}})
		if !d.Allowed() {
			return errors.New(d.Reason.Description())
		}
		return next(d.Context(ctx))
	}
	fmt.Println(intercept(context.Background(), nil, nil))
	// Output: The request carries no bearer token.
}

// A token without a request around it.
func ExampleGuard_Check() {
	d := ordersGuard().Check(context.Background(), "not-a-token", guard.Rule{Roles: []string{"Orders.Read"}})
	fmt.Println(d.Allowed(), d.Outcome, d.Reason)
	// Output: false unauthenticated token_malformed
}

// What a refusal tells the client, and what it tells the operator.
func ExampleDecision_Answer() {
	d := ordersGuard().Decide(context.Background(), guard.Request{
		Header: map[string][]string{
			"Authorization": {"Bearer not-a-token"},
			"Traceparent":   {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		},
	}, guard.Rule{Roles: []string{"Orders.Read"}})
	answer := d.Answer()
	fmt.Println(answer.Status, answer.Header["Www-Authenticate"][0])
	fmt.Print(string(answer.Body))
	fmt.Println("detail:", d.Detail())
	fmt.Println("fix:", d.Fix())
	// Output:
	// 401 Bearer realm="api", authorization_uri="https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11/oauth2/v2.0/authorize", resource_id="a9100002-5a5a-4c4c-8d8d-000000000002", error="invalid_token", error_description="The token is not a compact JWS."
	// {"error":"invalid_token","error_description":"The token is not a compact JWS.","reason":"token_malformed","trace_id":"0af7651916cd43dd8448eb211c80319c"}
	// detail: a signed token has exactly three parts: one part without dots, such as a secret, a key or a refresh token
	// fix: Send the access token exactly as the authority issued it.
}

// A decision is a value for the log.
func ExampleDecision_LogValue() {
	d := ordersGuard().Check(context.Background(), "not-a-token", guard.Rule{Path: "/api/orders"})
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	logger.Info("shadow", "decision", d)
	// Output:
	// level=INFO msg=shadow decision.outcome=unauthenticated decision.reason=token_malformed decision.route=/api/orders decision.trace_id=""
}

// What a refusal rests on is for the operator: the request, the rule, what the
// token claims, and the guard's clock.
func ExampleDecision_Evidence() {
	d := ordersGuard().Decide(context.Background(), guard.Request{Method: "GET", Path: "/api/orders"}, guard.Rule{Roles: []string{"Orders.Read"}})
	evidence := d.Evidence()
	fmt.Println(evidence.Method, evidence.Path, evidence.Wanted, evidence.Expires.IsZero())
	fmt.Println(d.Detail())
	// Output:
	// GET /api/orders [Orders.Read] true
	// there is no header Authorization
}

// Evidence is logged without what is empty.
func ExampleEvidence_LogValue() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	logger.Info("refused", "because", guard.Evidence{Method: "GET", Path: "/api/orders", Audience: "api://customers"})
	// Output:
	// level=INFO msg=refused because.method=GET because.path=/api/orders because.aud=api://customers
}

// A connection that stays open ends with the token by which it was let in.
func ExampleDecision_Until() {
	serve := func(ctx context.Context, d guard.Decision) {
		if until := d.Until(); !until.IsZero() {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, until)
			defer cancel()
		}
		_, limited := ctx.Deadline()
		fmt.Println("ends by itself:", limited)
	}
	serve(context.Background(), ordersGuard().Check(context.Background(), "not-a-token", guard.Rule{Roles: []string{"Orders.Read"}}))
	// Output: ends by itself: false
}

// Metrics count decisions by outcome, reason and rule.
func ExampleDecision_Rule() {
	count := func(d guard.Decision) {
		rule, ok := d.Rule()
		caller, known := d.Caller()
		fmt.Println(d.Outcome, d.Outcome.Status(), rule.Roles, ok, caller.ClientID, known)
	}
	count(guard.Decision{})
	// Output: forbidden 403 [] false  false
}

// Whoever passes a request on by other means than the middleware removes what
// a client may not say about itself.
func ExampleSanitize() {
	header := guard.Sanitize(http.Header{
		"Accept":                {"application/json"},
		"X-Ms-Client-Principal": {"somebody important"},
	})
	fmt.Println(header)
	// Output: map[Accept:[application/json]]
}

// A proxy has an HTTP request decided on, and passes it on if it is allowed.
func ExampleRequestOf() {
	policy, err := ordersGuard().Policy([]guard.Rule{{Path: "/api/orders", Roles: []string{"Orders.Read"}}})
	if err != nil {
		panic(err)
	}
	incoming := httptest.NewRequest(http.MethodGet, "/api/orders?region=east", nil)
	d := policy.Decide(context.Background(), guard.RequestOf(incoming))
	fmt.Println(d.Allowed(), d.Reason, d.Answer().Status)
	// Output: false token_missing 401
}

// A server of several APIs refuses what is for none of them.
func ExampleRefuse() {
	d := guard.Refuse(guard.Request{Method: "GET", Path: "/api/orders"}, guard.NoPolicy)
	fmt.Println(d.Answer().Status, d.TraceID != "")
	// Output: 403 true
}

// Of a request the log has what may stand there, and no credential.
func ExampleRequest_LogValue() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	logger.Info("arrived", "request", guard.Request{Method: "GET", Path: "/api/orders", Query: "page=2", Header: http.Header{"Authorization": {"Bearer secret"}}})
	// Output: level=INFO msg=arrived request.method=GET request.path=/api/orders
}

// A rule is tried on real requests before it counts.
func ExamplePolicy_Shadow() {
	policy, err := ordersGuard().Policy([]guard.Rule{
		{Path: "/api/*", Roles: []string{"Orders.Read"}, Shadow: true},
		{Path: "/api/*", Anonymous: true}, // as it was so far
	})
	if err != nil {
		panic(err)
	}
	request := guard.Request{Method: "GET", Path: "/api/orders"}
	d := policy.Decide(context.Background(), request)
	shadow, _ := policy.Shadow(context.Background(), request, d)
	fmt.Println(d.Outcome, "and would be", shadow.Outcome, shadow.Reason)
	// Output: allow and would be unauthenticated token_missing
}

// A path that a server could read as another one has no canonical form.
func ExampleRequest_CanonicalPath() {
	for _, sent := range []string{"/caf%C3%A9", "/open/..%2fadmin"} {
		path, ok := guard.Request{Path: sent}.CanonicalPath()
		fmt.Printf("%q %v\n", path, ok)
	}
	// Output:
	// "/café" true
	// "" false
}

// A protected handler learns who calls, and can decide more finely.
func ExampleCallerFrom() {
	orders := func(w http.ResponseWriter, r *http.Request) {
		caller, ok := guard.CallerFrom(r.Context())
		if !ok {
			http.Error(w, "who is there?", http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintf(w, "orders for %s in tenant %s", caller.ClientID, caller.TenantID)
		if caller.HasRole("Orders.Write") {
			_, _ = fmt.Fprint(w, ", which may add some")
		}
	}
	http.NewServeMux().HandleFunc("GET /api/orders", orders) // behind g.Require or g.Handler
}

// Reasons are stable: dashboards and tests may name them.
func ExampleReason() {
	fmt.Println(guard.RoleMissing, guard.RoleMissing.Outcome())
	fmt.Println(guard.RoleMissing.Description())
	// Output:
	// role_missing forbidden
	// The token does not carry the app role that is needed.
}

// Refusals are explained to operators, not to callers.
func ExampleGuard_Explain() {
	g := ordersGuard()
	for _, step := range g.Explain(context.Background(), "not-a-token", guard.Rule{Roles: []string{"Orders.Read"}}) {
		if step.Outcome == guard.StepFailed {
			fmt.Println(step.Name+":", step.Reason)
			fmt.Println(step.Fix)
		}
	}
	// Output:
	// form: token_malformed
	// Send the access token exactly as the authority issued it.
}
