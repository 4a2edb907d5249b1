package authority_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http/httptest"
	"net/url"

	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// An authority needs a directory of who exists and a ring of signing keys. Behind any
// HTTPS server at the root of a host it then serves every tenant of the directory.
func ExampleNew() {
	ctx := context.Background()
	kek, err := keyring.KEKFromBytes(make([]byte, 32)) // in earnest: keyring.LoadKEK
	if err != nil {
		log.Fatal(err)
	}
	people, err := directory.Open(ctx, directory.Config{Store: memory.New(), SecretKey: kek.Derive("client secrets")})
	if err != nil {
		log.Fatal(err)
	}
	keys, err := keyring.New(keyring.Config{Store: people, KEK: kek})
	if err != nil {
		log.Fatal(err)
	}
	login, err := authority.New(authority.Config{BaseURL: "http://localhost:8443", Directory: people, Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(login.Handler())
	defer server.Close()

	response, err := server.Client().PostForm(server.URL+"/contoso.test/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	var refusal struct {
		Error string
		Codes []int `json:"error_codes"`
	}
	if err := json.NewDecoder(response.Body).Decode(&refusal); err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.StatusCode, refusal.Error, refusal.Codes)
	// Output: 400 invalid_request [90002]
}
