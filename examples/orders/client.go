package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/examples/orders/functions"
)

// maxAnswer bounds how much of the API's answer is read.
const maxAnswer = 1 << 20

// ClientConfig says who calls the API, and how it proves who it is. Each proof that is
// given is another way to get a token.
type ClientConfig struct {
	TenantID    string // required with Secret, CertificateFile or AssertionFile
	AppID       string // likewise: application id of the client's registration
	ServerAppID string // required: application id of the API's registration
	URL         string // required: of GetOrders

	Secret           string // proves the client in the ways "adal" and "secret"
	CertificateFile  string // PEM or PKCS#12, in the way "certificate"
	AssertionFile    string // a token of another issuer, in the way "federated"
	ConnectionString string // in the way "connection-string"
	ManagedIdentity  bool   // in the way "managed-identity": that of the environment

	// ClearTokenCache gets new tokens each time, to see a changed permission at once.
	ClearTokenCache bool

	Authority *credential.Options // where the tokens come from; nil means the environment's
	Base      http.RoundTripper   // sends the calls to the API; nil means http.DefaultTransport
	Log       *slog.Logger        // nil means no log
}

// ClientFromEnv reads the settings from the environment.
func ClientFromEnv(getenv func(string) string) (ClientConfig, error) {
	cfg := ClientConfig{
		TenantID:         first(getenv, "ORDERS_TENANT_ID", "AZURE_TENANT_ID"),
		AppID:            first(getenv, "ORDERS_CLIENT_APP_ID", "AZURE_CLIENT_ID"),
		ServerAppID:      getenv("ORDERS_SERVER_APP_ID"),
		URL:              getenv("ORDERS_URL"),
		Secret:           first(getenv, "ORDERS_CLIENT_SECRET", "AZURE_CLIENT_SECRET"),
		CertificateFile:  first(getenv, "ORDERS_CLIENT_CERTIFICATE", "AZURE_CLIENT_CERTIFICATE_PATH"),
		AssertionFile:    first(getenv, "ORDERS_CLIENT_ASSERTION_FILE", "AZURE_FEDERATED_TOKEN_FILE"),
		ConnectionString: first(getenv, "ORDERS_CONNECTION_STRING", "AzureServicesAuthConnectionString"),
		ManagedIdentity:  first(getenv, "IDENTITY_ENDPOINT", "MSI_ENDPOINT") != "",
		Authority:        &credential.Options{AuthorityHost: getenv("AZURE_AUTHORITY_HOST"), CABundle: getenv("ROLECALL_CA_BUNDLE")},
	}
	if value := getenv("ORDERS_CLEAR_TOKEN_CACHE"); value != "" {
		on, err := strconv.ParseBool(value)
		if err != nil {
			return ClientConfig{}, errors.New("ORDERS_CLEAR_TOKEN_CACHE is neither true nor false")
		}
		cfg.ClearTokenCache = on
	}
	return cfg, nil
}

// A Client fetches orders from the API. It is safe for concurrent use.
type Client struct {
	cfg ClientConfig

	mu   sync.Mutex // guards ways
	ways []way
}

// A Result is the outcome of one way.
type Result struct {
	Way    string  `json:"way"`
	Status int     `json:"status,omitempty"` // of the API's answer; 0 when it was not asked
	Orders []Order `json:"orders,omitempty"`
	Error  string  `json:"error,omitempty"` // why there are no orders
}

// NewClient returns a client. It gets no token yet.
func NewClient(cfg ClientConfig) (*Client, error) {
	registered := cfg.Secret+cfg.CertificateFile+cfg.AssertionFile != ""
	for _, setting := range []struct {
		value, what, variable string
		required              bool
	}{
		{cfg.TenantID, "the tenant id", "ORDERS_TENANT_ID", registered},
		{cfg.AppID, "the client's application id", "ORDERS_CLIENT_APP_ID", registered},
		{cfg.ServerAppID, "the API's application id", "ORDERS_SERVER_APP_ID", true},
		{cfg.URL, "the URL of GetOrders", "ORDERS_URL", true},
	} {
		if setting.required && setting.value == "" {
			return nil, missing(setting.what, setting.variable)
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{cfg: cfg, ways: ways(cfg)}
	if len(c.ways) == 0 {
		return nil, missing("anything that proves the client", "ORDERS_CLIENT_SECRET, ORDERS_CLIENT_CERTIFICATE, ORDERS_CLIENT_ASSERTION_FILE or ORDERS_CONNECTION_STRING")
	}
	return c, nil
}

// ProcessOrders fetches the orders in every way.
func (c *Client) ProcessOrders(ctx context.Context) []Result {
	c.mu.Lock()
	if c.cfg.ClearTokenCache {
		c.ways = ways(c.cfg)
	}
	all := c.ways
	c.mu.Unlock()

	results := make([]Result, len(all))
	for i, w := range all {
		results[i] = c.fetch(ctx, w)
		if results[i].Error != "" {
			c.cfg.Log.WarnContext(ctx, "orders not fetched", "way", w.name, "error", results[i].Error)
			continue
		}
		c.cfg.Log.InfoContext(ctx, "orders fetched", "way", w.name, "orders", len(results[i].Orders))
	}
	return results
}

// Handler returns the client's functions: ProcessOrders, which end users call at
// GET /api/ProcessOrders, and ProcessOrdersTimer, which the Functions host runs.
func (c *Client) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/ProcessOrders", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, c.ProcessOrders(r.Context()))
	})
	handler := functions.New(mux)
	handler.HTTP("ProcessOrders", "req", "res")
	handler.Timer("ProcessOrdersTimer", "timer", func(ctx context.Context, timer functions.Timer) error {
		if timer.IsPastDue {
			c.cfg.Log.WarnContext(ctx, "the timer is late")
		}
		return c.tick(ctx)
	})
	return handler
}

// Run processes the orders now and then at every interval, as the timer does where there
// is no Functions host, until the context ends.
func (c *Client) Run(ctx context.Context, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := c.tick(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Log.ErrorContext(ctx, "orders not processed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// tick is one run of the timer. It fails if no way leads to the orders.
func (c *Client) tick(ctx context.Context) error {
	var refused []error
	results := c.ProcessOrders(ctx)
	for _, result := range results {
		if result.Error != "" {
			refused = append(refused, fmt.Errorf("%s: %s", result.Way, result.Error))
		}
	}
	if len(refused) == len(results) {
		return errors.Join(refused...)
	}
	return nil
}

// fetch calls the API with a token that one way has got.
func (c *Client) fetch(ctx context.Context, w way) Result {
	result := Result{Way: w.name}
	if w.err != nil {
		result.Error = w.err.Error()
		return result
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.cfg.URL, nil)
	if err != nil {
		result.Error = err.Error()
		return result
	}
	resp, err := w.client.Do(req)
	if err != nil {
		result.Error = err.Error()
		return result
	}
	defer resp.Body.Close()
	result.Status = resp.StatusCode
	if result.Orders, err = readOrders(resp); err != nil {
		result.Error = err.Error()
	}
	return result
}

func readOrders(resp *http.Response) ([]Order, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp.Status, body)
	}
	var orders []Order
	if err := json.Unmarshal(body, &orders); err != nil {
		return nil, fmt.Errorf("the answer holds no orders: %w", err)
	}
	return orders, nil
}

// refusal makes an error of the API's answer, with the reason if it gives one.
func refusal(status string, body []byte) error {
	var answer struct {
		Description string `json:"error_description"`
		Reason      string `json:"reason"`
	}
	_ = json.Unmarshal(body, &answer) // of any other answer the status is enough
	text := "the API answered " + status
	for _, detail := range []string{answer.Reason, answer.Description} {
		if detail != "" {
			text += ": " + detail
		}
	}
	return errors.New(strings.TrimSpace(text))
}
