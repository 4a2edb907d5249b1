package routers

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/rolecall-auth/rolecall/guard"
)

// Chi returns the API on a router of chi.
func Chi(g *guard.Guard) http.Handler {
	router := chi.NewRouter()
	router.Get("/healthz", func(http.ResponseWriter, *http.Request) {})
	router.With(g.Require("Orders.Read")).Get("/api/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		caller, _ := guard.CallerFrom(r.Context())
		_, _ = fmt.Fprintf(w, "order %s for %s", chi.URLParam(r, "id"), caller.ClientID) // a client that has gone needs none
	})
	return router
}
