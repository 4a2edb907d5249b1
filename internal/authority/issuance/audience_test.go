package issuance

import (
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

func TestAudience(t *testing.T) {
	t.Parallel()
	const id = "a9100002-5a5a-4c4c-8d8d-000000000002"
	app := func(version int, claims ...directory.OptionalClaim) *directory.Application {
		return &directory.Application{
			AppID: id, TokenVersion: version, OptionalClaims: claims,
			IdentifierURIs: []string{"api://orders", "https://orders.contoso.test/"},
		}
	}
	useGUID := directory.OptionalClaim{Name: "aud", Properties: []string{"use_guid"}}
	for _, tt := range []struct {
		name       string
		resource   *directory.Application
		identifier string
		want       string
	}{
		{"version 1 carries the URI", app(1), "api://orders", "api://orders"},
		{"an unset version is 1", app(0), "api://orders", "api://orders"},
		{"version 1 by app id carries it", app(1), id, id},
		{"in lower case", app(1), strings.ToUpper(id), id},
		{"the URI is spelled as registered", app(1), "API://Orders", "api://orders"},
		{"with a slash as asked", app(1), "api://orders/", "api://orders/"},
		{"without a slash as asked", app(1), "https://orders.contoso.test", "https://orders.contoso.test"},
		{"an identifier that is not the application's", app(1), "api://billing", id},
		{"behind spn:", app(1), "spn:" + id, "spn:" + id},
		{"behind spn: in capitals", app(1), "SPN:" + strings.ToUpper(id), "spn:" + id},
		{"a URI behind spn:", app(1), "spn:API://orders", "spn:api://orders"},
		{"use_guid behind spn:", app(1, useGUID), "spn:" + id, id},
		{"version 2 behind spn:", app(2), "spn:" + id, id},
		{"use_guid", app(1, useGUID), "api://orders", id},
		{"aud without use_guid", app(1, directory.OptionalClaim{Name: "aud"}), "api://orders", "api://orders"},
		{"version 2 carries the app id", app(2), "api://orders", id},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := audience(tt.resource, tt.identifier); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
