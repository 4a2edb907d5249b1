package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"

	"github.com/rolecall-auth/rolecall/bench/internal/fill"
	"github.com/rolecall-auth/rolecall/bench/internal/measure"
)

// An api is a server's API for administrators, with a token for it.
type api struct {
	ctx    context.Context // of the one run
	client *http.Client
	base   string
	token  string
}

// ask sends a request and reads the answer, into a value where there is one.
func (a *api) ask(method, path string, body, into any) error {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(a.ctx, method, a.base+path, sent)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return answered(a.client.Do(request))(into)
}

// answered reads an answer, which must be a good one.
func answered(response *http.Response, err error) func(into any) error {
	return func(into any) error {
		if err != nil {
			return err
		}
		text, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			return err
		}
		if response.StatusCode >= http.StatusMultipleChoices {
			return fmt.Errorf("%s %s: %s %s", response.Request.Method, response.Request.URL.Path, response.Status, text)
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(text, into)
	}
}

// requestToken asks a token endpoint for a token.
func requestToken(ctx context.Context, client *http.Client, endpoint string, form url.Values) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var token struct {
		AccessToken string `json:"access_token"`
	}
	return token.AccessToken, answered(client.Do(request))(&token)
}

// measureGraph measures our Graph in a directory of so many applications.
func measureGraph(ctx context.Context, binary, dir string, applications int) (found costs, err error) {
	if _, err := fill.Folder(ctx, binary, dir, applications); err != nil {
		return costs{}, err
	}
	made, err := exec.CommandContext(ctx, binary, "admin", "create", "administrator", "--data", dir, "-o", "json").Output()
	if err != nil {
		return costs{}, fmt.Errorf("make an administrator: %w", err)
	}
	var admin struct{ AppID, Secret string }
	if err := json.Unmarshal(made, &admin); err != nil {
		return costs{}, fmt.Errorf("read who the administrator is: %w", err)
	}
	serving, err := measure.Serve(ctx, binary, dir)
	if err != nil {
		return costs{}, err
	}
	defer func() { err = errors.Join(err, serving.Stop()) }()
	bundle, err := os.ReadFile(serving.CABundle)
	if err != nil {
		return costs{}, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	a := &api{ctx: ctx, client: &http.Client{Transport: transport}, base: serving.Graph + "/v1.0"}
	a.token, err = requestToken(ctx, a.client, serving.Authority+"/"+serving.Tenants[0].ID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {admin.AppID}, "client_secret": {admin.Secret}, "scope": {serving.Graph + "/.default"},
	})
	if err != nil {
		return costs{}, err
	}
	do, err := graphOperations(a)
	if err != nil {
		return costs{}, err
	}
	return of(serving.Process, do)
}

// graphOperations are the requests of each operation, to the applications of one page.
func graphOperations(a *api) (map[string]func(int) error, error) {
	var page struct {
		Value []struct{ ID, AppID, DisplayName string }
	}
	if err := a.ask(http.MethodGet, "/applications?$top=100", nil, &page); err != nil {
		return nil, err
	}
	if len(page.Value) < few {
		return nil, fmt.Errorf("the first page has %d applications", len(page.Value))
	}
	var api struct {
		Value []struct {
			ID       string
			AppRoles []struct{ ID string }
		}
	}
	if err := a.ask(http.MethodGet, "/servicePrincipals?$filter="+url.QueryEscape("servicePrincipalNames/any(n:n eq 'api://orders')"), nil, &api); err != nil {
		return nil, err
	}
	var made []string // principals
	get := func(path func(i int) string) func(int) error {
		return func(i int) error { return a.ask(http.MethodGet, path(i%few), nil, nil) }
	}
	filter := func(value string) string { return "/applications?$filter=" + url.QueryEscape(value) }
	return map[string]func(int) error{
		"get by id":              get(func(i int) string { return "/applications/" + page.Value[i].ID }),
		"get by app id":          get(func(i int) string { return "/applications(appId='" + page.Value[i].AppID + "')" }),
		"filter by app id":       get(func(i int) string { return filter("appId eq '" + page.Value[i].AppID + "'") }),
		"filter by display name": get(func(i int) string { return filter("displayName eq '" + page.Value[i].DisplayName + "'") }),
		"filter by identifier URI": get(func(int) string {
			return filter("identifierUris/any(u:u eq 'api://orders')")
		}),
		"page of 100": get(func(int) string { return "/applications?$top=100" }),
		"create, with principal": func(i int) error {
			var app struct{ AppID string }
			if err := a.ask(http.MethodPost, "/applications", map[string]string{"displayName": fmt.Sprint("made ", i)}, &app); err != nil {
				return err
			}
			var principal struct{ ID string }
			if err := a.ask(http.MethodPost, "/servicePrincipals", map[string]string{"appId": app.AppID}, &principal); err != nil {
				return err
			}
			made = append(made, principal.ID)
			return nil
		},
		"grant": func(i int) error {
			return a.ask(http.MethodPost, "/servicePrincipals/"+made[i]+"/appRoleAssignments", map[string]string{
				"principalId": made[i], "resourceId": api.Value[0].ID, "appRoleId": api.Value[0].AppRoles[0].ID,
			}, nil)
		},
	}, nil
}
