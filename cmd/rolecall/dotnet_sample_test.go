package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/guard"
)

// What the sample of docs/dotnet-sample.md has in its source and settings.
const (
	sampleAuthority = "https://login.microsoftonline.com"
	sampleTenant    = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"
	sampleServer    = "a9100002-5a5a-4c4c-8d8d-000000000002"
	sampleClient    = "c11e0001-5a5a-4c4c-8d8d-000000000001"
	sampleScope     = sampleServer + "/.default"
)

// sample stands in for the sample of docs/dotnet-sample.md: the same names in its source, the same
// settings, the same requests. It has no other option.
//
//	sample server FILE: serves, and writes its URL to a file
//	sample client FILE debug|release: prints what each library's way gets from the server
func sample() {
	err := func() error {
		switch {
		case len(os.Args) == 3 && os.Args[1] == "server":
			return serveSample(context.Background(), os.Args[2])
		case len(os.Args) == 4 && os.Args[1] == "client":
			return callSample(context.Background(), os.Args[2], os.Args[3] == "release")
		}
		return errors.New("usage: sample server FILE | sample client FILE debug|release")
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveSample(ctx context.Context, file string) error {
	g, err := guard.New(ctx, guard.Config{
		Authority: sampleAuthority + "/" + sampleTenant, HTTPClient: new(http.Client),
		// The last is what ADAL gets for an app id in tokens of version 1.0.
		Audience: []string{sampleServer, "api://orders", "spn:" + sampleServer},
	})
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte("http://"+listener.Addr().String()), 0o600); err != nil {
		return err
	}
	orders := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "[]") })
	api := &http.Server{Handler: g.Require("Orders.Read")(orders), ReadHeaderTimeout: time.Minute}
	return api.Serve(listener)
}

// A sampleWay is one of the sample's classes.
type sampleWay struct {
	name   string
	source func(secret string, release bool) (azcore.TokenCredential, error)
}

func sampleWays() []sampleWay {
	options := &credential.Options{AuthorityHost: sampleAuthority, HTTPClient: new(http.Client)}
	return []sampleWay{
		{"adal", func(secret string, _ bool) (azcore.TokenCredential, error) {
			//nolint:staticcheck // the sample shows the deprecated way next to its successors
			return credential.NewADAL(credential.ADALConfig{TenantID: sampleTenant, ClientID: sampleClient, Secret: secret, Options: options})
		}},
		{"msal", func(secret string, _ bool) (azcore.TokenCredential, error) { return newMSAL(secret) }},
		{"app-authentication", func(secret string, release bool) (azcore.TokenCredential, error) {
			if release {
				return credential.Parse("RunAs=App", options)
			}
			return credential.Parse("RunAs=App;AppId="+sampleClient+";TenantId="+sampleTenant+";AppKey="+secret, options)
		}},
		{"identity", func(secret string, release bool) (azcore.TokenCredential, error) {
			if release {
				return azidentity.NewManagedIdentityCredential(nil)
			}
			return azidentity.NewClientSecretCredential(sampleTenant, sampleClient, secret, nil)
		}},
	}
}

// An msalClient asks MSAL, of which the tests of credentials know no more.
type msalClient struct{ client confidential.Client }

func newMSAL(secret string) (azcore.TokenCredential, error) {
	proof, err := confidential.NewCredFromSecret(secret)
	if err != nil {
		return nil, err
	}
	client, err := confidential.New(sampleAuthority+"/"+sampleTenant, sampleClient, proof)
	return msalClient{client}, err
}

func (m msalClient) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	result, err := m.client.AcquireTokenByCredential(ctx, o.Scopes)
	return azcore.AccessToken{Token: result.AccessToken, ExpiresOn: result.ExpiresOn}, err
}

func callSample(ctx context.Context, file string, release bool) error {
	url, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, way := range sampleWays() {
		source, err := way.source(os.Getenv("AppSettings__ClientSecret"), release)
		if err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		client := &http.Client{Transport: credential.NewTransport(source, sampleScope)}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, string(url), nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		var refusal struct {
			Reason string `json:"reason"`
		}
		_ = json.NewDecoder(response.Body).Decode(&refusal) // what is let in has no such body
		if err := response.Body.Close(); err != nil {
			return err
		}
		fmt.Println(strings.TrimSpace(fmt.Sprint(way.name, " ", response.StatusCode, " ", refusal.Reason)))
	}
	return nil
}
