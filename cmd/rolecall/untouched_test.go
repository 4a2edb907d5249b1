package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// untouched is a program as people have it: Microsoft's names in its source, and no option. It gets
// a token, checks it as an API does that has the same names, and prints the issuer and the roles:
// untouched SCOPE.
func untouched() {
	if err := runUntouched(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runUntouched(ctx context.Context) error {
	if len(os.Args) != 2 {
		return errors.New("usage: untouched SCOPE")
	}
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return err
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: os.Args[1:]})
	if err != nil {
		return err
	}
	parsed, err := jwt.ParseSigned(token.Token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return err
	}
	root := "https://login.microsoftonline.com/" + os.Getenv("AZURE_TENANT_ID")
	for _, version := range []string{"/v2.0", ""} {
		var document struct {
			Issuer string
			Keys   string `json:"jwks_uri"`
		}
		if err := getJSON(ctx, root+version+"/.well-known/openid-configuration", &document); err != nil {
			return err
		}
		var keys jose.JSONWebKeySet
		if err := getJSON(ctx, document.Keys, &keys); err != nil {
			return err
		}
		var claims struct {
			jwt.Claims
			Roles []string `json:"roles"`
		}
		if parsed.Claims(keys, &claims) == nil && claims.Validate(jwt.Expected{Issuer: document.Issuer}) == nil {
			fmt.Println(claims.Issuer, claims.Roles)
			return nil
		}
	}
	return errors.New("no key of login.microsoftonline.com signed the token")
}

func getJSON(ctx context.Context, url string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}
