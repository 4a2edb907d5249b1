package orders

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/rolecall-auth/rolecall/examples/orders/functions"
	"github.com/rolecall-auth/rolecall/guard"
)

// ReadRole is the app role that a caller of the API must hold.
const ReadRole = "Orders.Read"

// publicAuthority is Microsoft's, used when no other is configured.
const publicAuthority = "https://login.microsoftonline.com"

// ServerConfig says which authority the API trusts, and by what names callers know the API.
type ServerConfig struct {
	AuthorityHost string       // empty means Microsoft's public cloud
	TenantID      string       // required
	AppID         string       // required: application id of the API's registration
	Audience      []string     // its identifier URIs; empty means api:// and the application id
	CABundle      string       // PEM file of the authority's CA; empty means the system's
	HTTPClient    *http.Client // reaches the authority in place of CABundle
	Log           *slog.Logger // nil means no log
}

// ServerFromEnv reads the settings from the environment.
func ServerFromEnv(getenv func(string) string) ServerConfig {
	cfg := ServerConfig{
		AuthorityHost: getenv("AZURE_AUTHORITY_HOST"),
		TenantID:      first(getenv, "ORDERS_TENANT_ID", "AZURE_TENANT_ID"),
		AppID:         getenv("ORDERS_SERVER_APP_ID"),
		CABundle:      getenv("ROLECALL_CA_BUNDLE"),
	}
	for _, uri := range strings.Split(getenv("ORDERS_SERVER_AUDIENCE"), ",") {
		if uri = strings.TrimSpace(uri); uri != "" {
			cfg.Audience = append(cfg.Audience, uri)
		}
	}
	return cfg
}

// NewServer returns the Orders API: GET /api/GetOrders for applications that hold
// Orders.Read. Everything else is refused.
func NewServer(ctx context.Context, cfg ServerConfig) (http.Handler, error) {
	if cfg.TenantID == "" {
		return nil, missing("the tenant id", "ORDERS_TENANT_ID")
	}
	if cfg.AppID == "" {
		return nil, missing("the API's application id", "ORDERS_SERVER_APP_ID")
	}
	host := cfg.AuthorityHost
	if host == "" {
		host = publicAuthority
	}
	audience := cfg.Audience
	if len(audience) == 0 {
		audience = []string{"api://" + cfg.AppID}
	}
	g, err := guard.New(ctx, guard.Config{
		Authority:  strings.TrimRight(host, "/") + "/" + cfg.TenantID,
		Audience:   append([]string{cfg.AppID}, audience...),
		Caller:     guard.CallerApplication,
		CABundle:   cfg.CABundle,
		HTTPClient: cfg.HTTPClient,
		IgnoreCase: true, // the Functions host ignores it, and passes paths on as they were sent
		Log:        cfg.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("guard the API: %w", err)
	}
	api, err := g.Handler([]guard.Rule{
		{Path: "/api/GetOrders", Methods: []string{http.MethodGet}, Roles: []string{ReadRole}},
	}, http.HandlerFunc(getOrders))
	if err != nil {
		return nil, fmt.Errorf("guard the API: %w", err)
	}
	handler := functions.New(api)
	handler.HTTP("GetOrders", "req", "res")
	return handler, nil
}

// getOrders answers callers that the guard let in.
func getOrders(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, Sample())
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(value) // a client that has gone needs no answer
}

func missing(what, variable string) error {
	return fmt.Errorf("%s is missing; set %s", what, variable)
}

// first returns the first of the variables that is set.
func first(getenv func(string) string, names ...string) string {
	for _, name := range names {
		if value := getenv(name); value != "" {
			return value
		}
	}
	return ""
}
