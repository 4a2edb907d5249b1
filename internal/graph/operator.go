package graph

import (
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Operator serves the operator of the machine in one tenant. Whoever reaches it may do
// everything there without a token, so it is for commands that have opened the data folder,
// and never for a listener. The command stands in the audit trail: "cli:app create".
func (a *API) Operator(tenant *directory.Tenant, command string) http.Handler {
	from := &caller{tenant: tenant, command: command, client: &directory.Instance{Principal: &directory.ServicePrincipal{}}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := newRequestIDs(r.Header)
		answered, err := a.dispatch(r, who, from)
		if err != nil {
			answered = a.refusal(r, who, err)
		}
		a.write(w, r, who, answered)
	})
}
