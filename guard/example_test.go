package guard_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/rolecall-auth/rolecall/guard"
)

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

// Rules for a whole server in one place. What no rule names is refused.
func ExampleGuard_Handler() {
	g, err := guard.New(context.Background(), guard.Config{
		Authority: "https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11",
		Audience:  []string{"api://orders", "a9100002-5a5a-4c4c-8d8d-000000000002"},
	})
	if err != nil {
		log.Fatal(err)
	}
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

// Refusals are explained to operators, not to callers.
func ExampleGuard_Explain() {
	g, err := guard.New(context.Background(), guard.Config{
		Authority: "https://login.microsoftonline.com/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11",
		Audience:  []string{"api://orders"},
	})
	if err != nil {
		log.Fatal(err)
	}
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
