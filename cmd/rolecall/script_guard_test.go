package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// writeGuardFile writes the settings of a guard from a template: guardfile TEMPLATE FILE. In it
// AUTHORITY, CABUNDLE and TENANT are the script's server's, UPSTREAM is a program that knows
// nothing of tokens, and LISTEN an address, which the variable GUARD has as a URL; SAME is the
// one of the file before.
func writeGuardFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: guardfile TEMPLATE FILE")
	}
	at := found(ts)
	content := ts.ReadFile(args[0])
	if strings.Contains(content, "UPSTREAM") || ts.Getenv("UPSTREAM") == "" {
		upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s for %s by %s\n", r.URL.Path, r.Header.Get("X-Ms-Client-Principal-Id"), r.Header.Get("X-Ms-Client-Principal-Idp"))
		}))
		ts.Defer(upstream.Close)
		ts.Setenv("UPSTREAM", upstream.URL)
	}
	if strings.Contains(content, "LISTEN") {
		address := unusedAddress(ts)
		ts.Setenv("GUARD", "http://"+address)
		ts.Setenv("LISTEN", address)
	}
	if strings.Contains(content, "OPS") {
		ts.Setenv("OPS", unusedAddress(ts))
		content = strings.ReplaceAll(content, "OPS", ts.Getenv("OPS"))
	}
	for name, value := range map[string]string{
		"AUTHORITY": at.Authority, "TENANT": at.Tenants[0].ID, "CABUNDLE": at.CABundle, "UPSTREAM": ts.Getenv("UPSTREAM"), "LISTEN": ts.Getenv("LISTEN"), "SAME": ts.Getenv("LISTEN"),
	} {
		content = strings.ReplaceAll(content, name, value)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(content), 0o600))
}

// unusedAddress is one that nobody listens at, and that the system does not give to a listener on
// any free port.
func unusedAddress(ts *testscript.TestScript) string {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000))
		if listener, err := net.Listen("tcp", address); err == nil {
			ts.Check(listener.Close())
			return address
		}
	}
	ts.Fatalf("no port is free")
	return ""
}
