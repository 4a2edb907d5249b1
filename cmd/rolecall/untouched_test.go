package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/rolecall-auth/rolecall/guard"
)

// untouched is a program as people have it: Microsoft's names in its source, and no option. It gets
// a token, checks it as an API does that has the same names, and prints the issuer and the roles:
// untouched SCOPE [FILE]. The file gets the token.
func untouched() {
	if err := runUntouched(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runUntouched(ctx context.Context) error {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		return errors.New("usage: untouched SCOPE [FILE]")
	}
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return err
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: os.Args[1:2]})
	if err != nil {
		return err
	}
	if len(os.Args) == 3 {
		if err := os.WriteFile(os.Args[2], []byte(token.Token), 0o600); err != nil {
			return err
		}
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

// trusting is an API that has Microsoft's names in its source, and no option for how they are reached:
// trusting FILE. It prints who calls with the token in the file, or why it is refused.
func trusting() {
	err := func() error {
		raw, err := os.ReadFile(os.Args[1])
		if err != nil {
			return err
		}
		ctx := context.Background()
		g, err := guard.New(ctx, guard.Config{
			Authority: "https://login.microsoftonline.com/" + os.Getenv("AZURE_TENANT_ID"), Audience: []string{os.Getenv("AZURE_CLIENT_ID"), "api://orders"},
		})
		if err != nil {
			return err
		}
		decision := g.Check(ctx, strings.TrimSpace(string(raw)), guard.Rule{Roles: []string{"Orders.Read"}})
		fmt.Println(decision.Allowed(), decision.Reason)
		return nil
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// resolver is a name server that knows nothing and writes down what it is asked: resolver FILE.
func resolver() {
	err := func() error {
		seen, err := os.OpenFile(os.Args[1], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		conn, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp", "127.0.0.1:53")
		if err != nil {
			return err
		}
		if err := os.WriteFile(os.Args[1]+".ready", nil, 0o600); err != nil {
			return err
		}
		for question := make([]byte, 1500); ; {
			n, from, err := conn.ReadFrom(question)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(seen, "%q\n", question[:n]); err != nil {
				return err
			}
			answer := append([]byte{}, question[:n]...)
			answer[2], answer[3] = 0x81, 0x83 // there is no such name
			if _, err := conn.WriteTo(answer, from); err != nil {
				return err
			}
		}
	}()
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
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
