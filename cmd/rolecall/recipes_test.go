package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/examples/orders"
	"github.com/rolecall-auth/rolecall/examples/orders/functions"
	"github.com/rolecall-auth/rolecall/guard"
)

// TestRecipes runs the blocks of docs/recipes.md, docs/dotnet-sample.md and docs/nouns.md, and those of
// docs/guard.md about an app of Azure, as they are printed there. Each is a file of the name that stands above it, in every script of testdata/recipes.
func TestRecipes(t *testing.T) {
	t.Parallel()
	var recipes [][]string
	for _, name := range []string{"recipes.md", "dotnet-sample.md", "nouns.md", "guard.md"} {
		page, err := os.ReadFile("../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile("(?s)<!-- recipe (\\S+) -->\n```[a-z]+\n(.*?)```").FindAllStringSubmatch(string(page), -1)
		if blocks := strings.Count(string(page), "\n```") / 2; len(found) == 0 || len(found) != blocks && name != "guard.md" {
			t.Fatalf("docs/%s has %d blocks, and %d of them are recipes that are run", name, blocks, len(found))
		}
		recipes = append(recipes, found...)
	}
	dir := filepath.Join("testdata", "recipes")
	scripts := ""
	for _, name := range []string{"ide", "ci", "compose", "systemd", "sample", "azure", "nouns"} {
		script, err := os.ReadFile(filepath.Join(dir, name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		scripts += string(script)
	}
	for _, recipe := range recipes {
		named := filepath.Base(recipe[1])
		if filepath.Dir(recipe[1]) == "nouns" { // run as one page
			named = " " + strings.TrimSuffix(named, filepath.Ext(named))
		}
		if !strings.Contains(scripts, named) {
			t.Errorf("no script of %s uses %s", dir, recipe[1])
		}
	}
	sample, err := os.ReadFile("../../examples/orders/rolecall.yaml")
	if err != nil {
		t.Fatal(err)
	}
	keys := keysFile(t)
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "share"))
			env.Setenv("PATH", filepath.Join(env.WorkDir, "bin")+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv(keysVariable, keys)
			for i, port := range freePorts(t, 2) {
				env.Setenv("PORT"+strconv.Itoa(i+1), port)
			}
			env.Setenv("GORACE", os.Getenv("GORACE"))
			files := map[string]string{"rolecall.yaml": string(sample)}
			for _, recipe := range recipes {
				files[recipe[1]] = recipe[2]
			}
			for name, content := range files {
				file := filepath.Join(env.WorkDir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					return err
				}
				if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Condition: condition,
	})
}

// freePorts are ports of the loopback interface that nobody listens on.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		listening, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listening.Close()
		_, port, err := net.SplitHostPort(listening.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}

// greeter is an API as in the quickstart, at an address: greeter ADDRESS.
func greeter() {
	err := func() error {
		g, err := guard.New(context.Background(), guard.Config{
			Authority: os.Getenv("AZURE_AUTHORITY_HOST") + "/" + os.Getenv("AZURE_TENANT_ID"),
			Audience:  []string{os.Getenv("AZURE_CLIENT_ID")},
			CABundle:  os.Getenv("ROLECALL_CA_BUNDLE"),
		})
		if err != nil {
			return err
		}
		greet := func(w http.ResponseWriter, r *http.Request) {
			caller, _ := guard.CallerFrom(r.Context())
			fmt.Fprintln(w, "hello", caller.Kind)
		}
		api := &http.Server{Addr: os.Args[1], Handler: g.Require("Orders.Read")(http.HandlerFunc(greet)), ReadHeaderTimeout: time.Minute}
		return api.ListenAndServe()
	}()
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// greeted calls an API with a token, as the environment says, and prints the status: greeted SCOPE URL.
// It is for the network of a script: what ships sends no token in clear to another machine.
func greeted() {
	err := func() error {
		if len(os.Args) != 3 {
			return errors.New("usage: greeted SCOPE URL")
		}
		ctx := context.Background()
		cred, err := credential.ParseEnvironment(nil)
		if err != nil {
			return err
		}
		answer, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: os.Args[1:2]})
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, os.Args[2], nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+answer.Token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		fmt.Println(response.Status)
		return response.Body.Close()
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// ordersServer is the server of examples/orders, as its program runs it.
func ordersServer() {
	err := func() error {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		cfg := orders.ServerFromEnv(os.Getenv)
		cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
		handler, err := orders.NewServer(ctx, cfg)
		if err != nil {
			return err
		}
		return functions.Serve(ctx, functions.Address(os.Getenv, "127.0.0.1:0"), handler, cfg.Log)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
