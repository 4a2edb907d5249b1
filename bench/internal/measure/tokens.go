package measure

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Client asks a token endpoint for tokens over connections that stay open.
type Client struct {
	URL  string
	http *http.Client
}

// NewClient returns a client that trusts the roots and keeps so many connections.
func NewClient(url string, roots *x509.CertPool, connections int) *Client {
	return &Client{URL: url, http: &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			MaxIdleConnsPerHost: connections,
			MaxConnsPerHost:     connections,
		},
	}}
}

// Close closes the connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Token asks for one token.
func (c *Client) Token(ctx context.Context, form url.Values) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"access_token"`)) {
		var problem struct {
			Code        string `json:"error"`
			Description string `json:"error_description"`
		}
		_ = json.Unmarshal(body, &problem) // whatever it says is better than nothing
		return fmt.Errorf("%s answered %s: %s %s", c.URL, response.Status, problem.Code, problem.Description)
	}
	return nil
}

// Tokens asks for a number of tokens with so many requests at a time, and returns how long
// all of it took. The form may differ from one token to the next.
func (c *Client) Tokens(ctx context.Context, count, concurrency int, form func(i int) url.Values) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	began := time.Now()
	for range concurrency {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(count); i = next.Add(1) - 1 {
				if err := c.Token(ctx, form(int(i))); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	workers.Wait()
	return time.Since(began), context.Cause(ctx)
}
