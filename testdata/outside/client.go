package outside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/rolecall-auth/rolecall/credential"
)

// A Daemon reads the orders.
type Daemon struct {
	client *http.Client
	url    string
}

// NewDaemon returns a daemon that proves itself by any credential of the Azure SDK.
func NewDaemon(cred azcore.TokenCredential, scope, url string) *Daemon {
	transport := credential.NewTransport(cred, scope)
	transport.Origin = url
	return &Daemon{&http.Client{Transport: transport}, url}
}

// Orders returns what the API answers, and says what to do when there is no token.
func (d *Daemon) Orders(ctx context.Context) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/api/orders", nil)
	if err != nil {
		return 0, "", err
	}
	response, err := d.client.Do(request)
	var refused *credential.Error
	if errors.As(err, &refused) {
		return refused.Status, "", fmt.Errorf("%s: %s", refused.Code, refused.Next)
	}
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), err
}

// Close lets go of connections.
func (d *Daemon) Close() { d.client.CloseIdleConnections() }
