// Command client is a daemon with Microsoft's names in its source: it gets a token with MSAL, by
// a client secret, and calls the Orders API at each URL that it is given.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
)

const (
	authority = "https://login.microsoftonline.com/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"
	clientID  = "c11e0001-5a5a-4c4c-8d8d-000000000001"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, urls []string) error {
	secret, err := confidential.NewCredFromSecret(os.Getenv("AZURE_CLIENT_SECRET"))
	if err != nil {
		return err
	}
	app, err := confidential.New(authority, clientID, secret)
	if err != nil {
		return err
	}
	result, err := app.AcquireTokenByCredential(ctx, []string{"api://orders/.default"})
	if err != nil {
		return err
	}
	for _, url := range urls {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil) //nolint:gosec // G704: the caller of the program names it
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+result.AccessToken)
		response, err := http.DefaultClient.Do(request) //nolint:gosec // G704: likewise
		if err != nil {
			return err
		}
		fmt.Println(response.StatusCode, url)
		if err := response.Body.Close(); err != nil {
			return err
		}
	}
	return nil
}
