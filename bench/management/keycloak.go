package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rolecall-auth/rolecall/bench/internal/measure"
)

const (
	keycloakPort   = 18099
	keycloakStarts = 3 * time.Minute // on a busy machine
)

// measureKeycloak measures the admin API of a Keycloak with a hundred clients, in its mode for
// development, with its own database in a copy of the distribution. It has no TLS to do.
func measureKeycloak(ctx context.Context, distribution, dir string) (found costs, err error) {
	if out, err := exec.CommandContext(ctx, "cp", "-r", distribution, dir).CombinedOutput(); err != nil {
		return costs{}, fmt.Errorf("copy the distribution of Keycloak: %w: %s", err, out)
	}
	if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil { // what it was used for before
		return costs{}, err
	}
	password := rand.Text()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	process, err := measure.Launch(ctx, measure.Program{
		Path: filepath.Join(dir, "bin", "kc.sh"),
		Args: []string{"start-dev", "--http-host=127.0.0.1", fmt.Sprintf("--http-port=%d", keycloakPort), "--cache=local"},
		Env:  append(os.Environ(), "KC_BOOTSTRAP_ADMIN_USERNAME=admin", "KC_BOOTSTRAP_ADMIN_PASSWORD="+password), Within: keycloakStarts,
		Address: fmt.Sprintf("127.0.0.1:%d", keycloakPort),
	})
	if err != nil {
		return costs{}, err
	}
	defer func() { err = errors.Join(err, process.Stop()) }()
	base := fmt.Sprintf("http://127.0.0.1:%d", keycloakPort)
	a := &api{ctx: ctx, client: &http.Client{}, base: base + "/admin/realms/master"}
	sign := func() (err error) {
		a.token, err = requestToken(ctx, a.client, base+"/realms/master/protocol/openid-connect/token", url.Values{
			"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {"admin"}, "password": {password},
		})
		return err
	}
	if err := sign(); err != nil {
		return costs{}, err
	}
	do, err := keycloakOperations(a, sign)
	if err != nil {
		return costs{}, err
	}
	return of(process, do)
}

// keycloakOperations are the same as graphOperations, as far as Keycloak has them: a client is
// an application, one with a service account has a principal, and gets a role of another.
func keycloakOperations(a *api, sign func() error) (map[string]func(int) error, error) {
	for i := range few {
		if err := a.ask(http.MethodPost, "/clients", map[string]any{"clientId": fmt.Sprint("client-", i)}, nil); err != nil {
			return nil, err
		}
	}
	var all []struct{ ID, ClientID string }
	if err := a.ask(http.MethodGet, "/clients?first=0&max=100", nil, &all); err != nil {
		return nil, err
	}
	if err := a.ask(http.MethodPost, "/clients", map[string]any{"clientId": "orders"}, nil); err != nil {
		return nil, err
	}
	var api []struct{ ID string }
	if err := a.ask(http.MethodGet, "/clients?clientId=orders", nil, &api); err != nil {
		return nil, err
	}
	if err := a.ask(http.MethodPost, "/clients/"+api[0].ID+"/roles", map[string]any{"name": "Orders.Read"}, nil); err != nil {
		return nil, err
	}
	var role map[string]any
	if err := a.ask(http.MethodGet, "/clients/"+api[0].ID+"/roles/Orders.Read", nil, &role); err != nil {
		return nil, err
	}
	get := func(path func(i int) string) func(int) error {
		return func(i int) error {
			if i%500 == 0 { // its tokens last a minute
				if err := sign(); err != nil {
					return err
				}
			}
			return a.ask(http.MethodGet, path(i%few), nil, nil)
		}
	}
	return map[string]func(int) error{
		"get by id":        get(func(i int) string { return "/clients/" + all[i].ID }),
		"filter by app id": get(func(i int) string { return "/clients?clientId=" + all[i].ClientID }),
		"page of 100":      get(func(int) string { return "/clients?first=0&max=100" }),
		"create, with principal": func(i int) error {
			if i%100 == 0 {
				if err := sign(); err != nil {
					return err
				}
			}
			return a.ask(http.MethodPost, "/clients", map[string]any{"clientId": fmt.Sprint("made-", i), "serviceAccountsEnabled": true}, nil)
		},
		"grant": func(i int) error { // a client tells neither its id nor its account's when it is created
			if i%100 == 0 {
				if err := sign(); err != nil {
					return err
				}
			}
			var made []struct{ ID string }
			if err := a.ask(http.MethodGet, fmt.Sprint("/clients?clientId=made-", i), nil, &made); err != nil {
				return err
			}
			var account struct{ ID string }
			if err := a.ask(http.MethodGet, "/clients/"+made[0].ID+"/service-account-user", nil, &account); err != nil {
				return err
			}
			return a.ask(http.MethodPost, "/users/"+account.ID+"/role-mappings/clients/"+api[0].ID, []any{role}, nil)
		},
	}, nil
}
