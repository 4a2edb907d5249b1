package demo

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// signedIn gets a user's token by device code: the user opens the page that Azure.Identity
// names, types the code and signs in.
func (d *Demo) signedIn(ctx context.Context, user string) (string, error) {
	cred, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
		ClientOptions: azcore.ClientOptions{
			Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: d.server.Endpoints().Authority}, Transport: d.http,
		},
		TenantID: string(d.fixtures.tenant), DisableInstanceDiscovery: true,
		UserPrompt: func(ctx context.Context, shown azidentity.DeviceCodeMessage) error {
			return d.signInAt(ctx, shown.VerificationURL, shown.UserCode, user)
		},
	})
	if err != nil {
		return "", err
	}
	token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{ordersURI + "/.default"}})
	return token.Token, err
}

// signInAt does what the user does in a browser: type the code, sign in, and confirm the
// device.
func (d *Demo) signInAt(ctx context.Context, page, code, user string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	b := &browser{client: &http.Client{Transport: d.http.Transport, Timeout: requestLimit, Jar: jar}}
	if err := b.open(ctx, http.MethodGet, page, nil); err != nil {
		return err
	}
	for _, typed := range []url.Values{
		{"user_code": {code}},
		{"username": {user}, "password": {d.fixtures.password}, "action": {"signin"}},
		{"action": {"continue"}},
	} {
		if err := b.fillIn(ctx, typed); err != nil {
			return err
		}
	}
	return nil
}

// A browser shows a page and sends its form. The authority's pages have no scripts to run.
type browser struct {
	client *http.Client
	at     *url.URL
	page   string
}

// The form of a page, and what it carries from page to page.
var (
	formTarget = regexp.MustCompile(`<form method="post" action="([^"]+)"`)
	formState  = regexp.MustCompile(`name="form" value="([^"]+)"`)
)

// fillIn sends the form of the page.
func (b *browser) fillIn(ctx context.Context, typed url.Values) error {
	target, state := formTarget.FindStringSubmatch(b.page), formState.FindStringSubmatch(b.page)
	if target == nil || state == nil {
		return fmt.Errorf("the page at %s has no form", b.at.Redacted())
	}
	next, err := b.at.Parse(html.UnescapeString(target[1]))
	if err != nil {
		return err
	}
	typed.Set("form", html.UnescapeString(state[1]))
	return b.open(ctx, http.MethodPost, next.String(), typed)
}

func (b *browser) open(ctx context.Context, method, address string, form url.Values) (err error) {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", b.at.Scheme+"://"+b.at.Host)
	}
	response, err := b.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	page, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	b.at, b.page = response.Request.URL, string(page)
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the page at %s answers %s", b.at.Redacted(), response.Status)
	}
	return nil
}
