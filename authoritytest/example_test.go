package authoritytest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
)

// listOrders stands for an API's own handler.
var listOrders = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `[{"id":1}]`)
})

// A test of an API and of a client that calls it. The API lets in applications that hold
// the app role Orders.Read.
func ExampleStart() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		api := httptest.NewServer(login.API("orders").Require("Orders.Read", listOrders))
		defer api.Close()

		report := login.Client("report", "orders", "Orders.Read")
		response, err := report.Get(api.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("an application with the role: %s", response.Status)
		}
	}
}

// Tokens that are good in every point but one show that an API looks at that point.
func ExampleAuthority_Bad() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		api := login.API("orders").Require("Orders.Read", listOrders)
		for name, token := range map[string]string{
			"expired":        login.Bad().Expired("report", "orders", "Orders.Read"),
			"wrong audience": login.Bad().WrongAudience("report", "orders", "Orders.Read"),
			"unknown key":    login.Bad().UnknownKey("report", "orders", "Orders.Read"),
		} {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			request.Header.Set("Authorization", "Bearer "+token)
			answer := httptest.NewRecorder()
			api.ServeHTTP(answer, request)
			if answer.Code != http.StatusUnauthorized {
				t.Errorf("%s: %d", name, answer.Code)
			}
		}
	}
}

// Code that finds its settings in the environment is tested by setting them.
func ExampleAuthority_SetEnvironment() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		login.Grant("report", "orders", "Orders.Read")
		login.SetEnvironment("report")
		// From here on AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and the others are the client's.
	}
}
