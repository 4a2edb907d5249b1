// Command api is an Orders API with Microsoft's names in its source: it trusts the tenant's
// authority in Microsoft's cloud, and no other.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
)

const (
	authority = "https://login.microsoftonline.com/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"
	appID     = "a9100002-5a5a-4c4c-8d8d-000000000002"
)

func main() {
	address := "127.0.0.1:7080"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	if err := serve(context.Background(), address); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, address string) error {
	g, err := guard.New(ctx, guard.Config{
		Authority: authority,
		Audience:  []string{"api://orders", appID},
		// The guard's own client uses no proxy, because the keys that it fetches decide over access.
		// This one takes the proxy of the environment.
		HTTPClient: &http.Client{Timeout: 30 * time.Second},
		Log:        slog.Default(), // says what is trusted, and why a call was refused
	})
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	fmt.Printf("listening http://%s\n", listener.Addr())
	api := &http.Server{Handler: g.Require("Orders.Read")(http.HandlerFunc(orders)), ReadHeaderTimeout: time.Minute}
	return api.Serve(listener)
}

func orders(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintln(w, `[{"id": 1, "item": "Lantern", "units": 12}, {"id": 2, "item": "Compass", "units": 40}]`)
}
