package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/discovery"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/loopback"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// askTime bounds each request to a server.
const askTime = 30 * time.Second

// client returns a client that trusts the system's roots and those of a bundle. It follows no
// redirect, so that what it sends reaches only the address it was meant for.
func client(bundle []byte) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(bundle) > 0 {
		roots, err := x509.SystemCertPool()
		if err != nil { // a system that keeps none
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(bundle) {
			return nil, failure(nil, "name a PEM file, such as the server's ca-bundle.pem", "the CA bundle contains no certificate")
		}
		config.RootCAs = roots
	}
	return &http.Client{
		Timeout:       askTime,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true, IdleConnTimeout: askTime},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// readURL reads the URL of a server as people write it: the scheme may be left out, and a tenant
// may follow.
func readURL(given string) (at, tenant string, err error) {
	wrong := failure(ErrInvalid, "give the authority's URL, such as https://auth.corp.test:8443; `rolecall serve` prints it", "%q is no URL of a server", text.Shown(given))
	written := given
	if !strings.Contains(written, "://") {
		written = "https://" + written
	}
	u, err := url.Parse(written)
	if err != nil {
		return "", "", wrong
	}
	tenant = strings.Trim(u.Path, "/")
	u.Path = ""
	if _, err := parseOrigin(u.String()); err != nil || strings.Contains(tenant, "/") {
		return "", "", wrong
	}
	u.Host = strings.ToLower(u.Host)
	return u.String(), tenant, nil
}

// discover finds the parts of a server by the URL of its authority.
func discover(ctx context.Context, web *http.Client, at, again string) (*discovery.Services, error) {
	noServer := func(why string) error {
		return failure(nil, "give the URL of the authority, which `rolecall serve` prints; a server must not be older than this program", "%s is no Rolecall server: %s", at, why)
	}
	var found discovery.Services
	status, err := getJSON(ctx, web, at+discovery.ServicesPath, &found)
	switch {
	case status == 0 && err != nil:
		return nil, unreached(at, err, again)
	case status >= http.StatusInternalServerError:
		return nil, failure(ErrUnreachable, "try again, or look into the server's log", "%s answered %d", at, status)
	case status != http.StatusOK:
		return nil, noServer("it has no " + discovery.ServicesPath)
	case err != nil:
		return nil, noServer(discovery.ServicesPath + " is something else there")
	case found.Graph == "":
		return nil, noServer("it has no Microsoft Graph")
	}
	for _, url := range []string{found.Authority, found.Graph, found.ResourceManager} {
		if url == "" && url == found.ResourceManager {
			continue
		}
		u, err := parseOrigin(url)
		if err != nil {
			return nil, noServer(discovery.ServicesPath + " names " + text.Quote(text.Shown(url)))
		}
		if given, err := parseOrigin(at); err == nil && loopback.Is(u.Hostname()) && !loopback.Is(given.Hostname()) {
			return nil, failure(nil, "start it with `rolecall serve --host "+given.Hostname()+"`", "the server at %s calls itself %s, which is another machine here", at, url)
		}
	}
	return &found, nil
}

// tenantID finds the id of a tenant by what names it.
func tenantID(ctx context.Context, web *http.Client, at, tenant, again string) (string, error) {
	if id, is := guid.Parse(tenant); is {
		return id, nil
	}
	var document struct {
		Issuer string `json:"issuer"`
	}
	status, err := getJSON(ctx, web, at+"/"+url.PathEscape(tenant)+"/v2.0/.well-known/openid-configuration", &document)
	if status == 0 && err != nil {
		return "", unreached(at, err, again)
	}
	for part := range strings.SplitSeq(document.Issuer, "/") {
		if id, is := guid.Parse(part); is && status == http.StatusOK {
			return id, nil
		}
	}
	return "", failure(nil, "name it by its id, a domain of it or its name; `rolecall serve` prints them", "%s has no tenant %q", at, text.Shown(tenant))
}

// getJSON reads a document. The status is 0 where there was no answer.
func getJSON(ctx context.Context, web *http.Client, at string, into any) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return 0, err
	}
	answer, err := web.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	const most = 1 << 20
	b, err := io.ReadAll(io.LimitReader(answer.Body, most))
	if err != nil {
		return answer.StatusCode, err
	}
	return answer.StatusCode, json.Unmarshal(b, into)
}
