package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/namespace"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// connection is a program that asks for a token as a connection string says, or without one
// as the environment does, and prints the token's claims: connection SCOPE [STRING].
func connection() {
	err := func() error {
		cred, err := credential.ParseEnvironment(nil)
		if len(os.Args) > 2 {
			cred, err = credential.Parse(os.Args[2], nil)
		}
		if err != nil {
			return err
		}
		answer, err := cred.GetToken(context.Background(), policy.TokenRequestOptions{Scopes: os.Args[1:2]})
		if err != nil {
			return err
		}
		claims, err := claimsOf(answer.Token)
		if err != nil {
			return err
		}
		return output.JSON(os.Stdout, claims)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// web is a server that greets, one of files, and a client: web serve ADDRESS, web files ADDRESS
// FOLDER, web get URL….
func web() {
	if len(os.Args) > 3 && os.Args[1] == "files" {
		files := &http.Server{Addr: os.Args[2], ReadHeaderTimeout: time.Minute, Handler: http.FileServer(http.Dir(os.Args[3]))}
		fmt.Fprintln(os.Stderr, files.ListenAndServe())
		os.Exit(1)
	}
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		api := &http.Server{Addr: os.Args[2], ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })}
		fmt.Fprintln(os.Stderr, api.ListenAndServe())
		os.Exit(1)
	}
	for _, url := range os.Args[2:] {
		response, err := http.Get(url)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_, err = io.Copy(os.Stdout, response.Body)
		if err != nil || response.Body.Close() != nil {
			os.Exit(1)
		}
	}
}

// condition tells what this machine allows.
func condition(name string) (bool, error) {
	switch name {
	case "netns": // with the tools for it
		return os.Geteuid() == 0 && canMakeNamespaces(), nil
	case "raced": // under the race detector, where each command takes long
		return fixture.Raced, nil
	case "namespace":
		return canMakeNamespaces(), nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// canMakeNamespaces reports whether this user can have a program run in a network of its own.
func canMakeNamespaces() bool {
	folder, err := os.MkdirTemp("", "rolecall-test-")
	if err != nil {
		return false
	}
	defer os.RemoveAll(folder)
	n, err := namespace.New(namespace.Config{Folder: folder})
	if err != nil {
		return false
	}
	defer n.Close()
	program := exec.Command("true")
	return n.Start(program) == nil && program.Wait() == nil
}

// credentials checks how many credentials of its own an application has: credentials NAME N.
func credentials(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: credentials NAME N")
	}
	ctx := context.Background()
	data, err := server.OpenData(ctx, server.DataConfig{Dir: ts.Getenv("ROLECALL_DATA")})
	ts.Check(err)
	defer data.Close()
	tenants, err := data.Directory.Tenants(ctx)
	ts.Check(err)
	client, err := data.Directory.Named(ctx, tenants[0].ID, args[0])
	ts.Check(err)
	if got := fmt.Sprint(len(client.Application.Secrets) + len(client.Application.Certificates)); got != args[1] {
		ts.Fatalf("%s holds %s credentials, want %s", args[0], got, args[1])
	}
}

// asked asks an App Service endpoint, whose address and secret are in the files endpoint
// and header, until the answer is as it should be: a status, or gone.
func asked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: asked STATUS|gone")
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet,
		strings.TrimSpace(ts.ReadFile("endpoint"))+"?api-version=2019-08-01&resource=api://orders", nil)
	ts.Check(err)
	request.Header.Set("X-IDENTITY-HEADER", strings.TrimSpace(ts.ReadFile("header")))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var got string
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for end := time.Now().Add(readyLimit); time.Now().Before(end); <-look.C {
		got = "gone"
		if response, err := client.Do(request); err == nil {
			got = fmt.Sprint(response.StatusCode)
			ts.Check(response.Body.Close())
		}
		if got == args[0] {
			return
		}
	}
	ts.Fatalf("the endpoint answers %s, want %s", got, args[0])
}

// free puts an address of the loopback interface that nobody listens at wherever a file
// says FREE, each time another: free FILE.
func free(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: free FILE")
	}
	content := ts.ReadFile(args[0])
	for strings.Contains(content, "FREE") {
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
		ts.Check(err)
		defer listener.Close() // so that the next one is another
		content = strings.Replace(content, "FREE", listener.Addr().String(), 1)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(content), 0o600))
}
