// Command go-oidc is an API that checks tokens with go-oidc and has Microsoft's names in its
// source.
//
//	go-oidc 1.0|2.0
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const tenant = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: go-oidc 1.0|2.0")
	}
	issuer, audience := "https://login.microsoftonline.com/"+tenant+"/v2.0", "a9100002-5a5a-4c4c-8d8d-000000000002"
	if args[0] == "1.0" {
		issuer, audience = "https://sts.windows.net/"+tenant+"/", "api://orders-v1"
	}
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return err
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: audience})
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("listening http://%s\n", listener.Addr())
	api := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status(r, verifier))
	})}
	return api.Serve(listener)
}

func status(r *http.Request, verifier *oidc.IDTokenVerifier) int {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return http.StatusUnauthorized
	}
	verified, err := verifier.Verify(r.Context(), token)
	if err != nil {
		return http.StatusUnauthorized
	}
	var claims struct {
		Roles []string `json:"roles"`
	}
	if err := verified.Claims(&claims); err != nil {
		return http.StatusUnauthorized
	}
	if !slices.Contains(claims.Roles, "Orders.Read") {
		return http.StatusForbidden
	}
	return http.StatusOK
}
