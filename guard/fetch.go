package guard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// Bounds of what is fetched.
const (
	fetchTimeout     = 5 * time.Second
	maxMetadataSize  = 64 << 10
	maxKeysSize      = 1 << 20
	maxMetadataDepth = 8
	maxMembers       = 256
)

// A fetcher gets the keys of issuers over the network.
type fetcher struct{ client *http.Client }

// newFetcher returns a fetcher that uses a copy of client, or a client of its
// own that trusts what bundle says.
func newFetcher(client *http.Client, bundle string) (*fetcher, error) {
	own := &http.Client{}
	switch {
	case client != nil && bundle != "":
		return nil, errors.New("both HTTPClient and CABundle are set: give the client the bundle, or leave one out")
	case client != nil:
		*own = *client
	default:
		roots, err := caBundle(bundle)
		if err != nil {
			return nil, err
		}
		own.Transport = &http.Transport{
			Proxy:                  nil, // keys decide about access, so no proxy named in the environment may come between
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			ForceAttemptHTTP2:      true,
			DisableKeepAlives:      true, // a fetch or two in half a day
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	own.Jar = nil
	own.CheckRedirect = sameOrigin
	if own.Timeout <= 0 || own.Timeout > fetchTimeout {
		own.Timeout = fetchTimeout
	}
	return &fetcher{own}, nil
}

// caBundle reads the certificates of a PEM file, or returns nil, meaning the
// system's, where there is none.
func caBundle(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read CABundle: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the CABundle %s holds no certificate in PEM form", path)
	}
	return pool, nil
}

// sameOrigin refuses a redirect that leaves the origin that was asked, and
// more than three.
func sameOrigin(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	if next.URL.Scheme != first.Scheme || next.URL.Host != first.Host {
		return errors.New("redirected to another origin")
	}
	if len(via) > 3 {
		return errors.New("redirected too often")
	}
	return nil
}

// get fetches a document of at most limit bytes.
func (f *fetcher) get(ctx context.Context, address string, limit int64) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("User-Agent", "rolecall-guard")
	req.Header.Set("Accept", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // the body has been read, or is given up
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("get %s: status %d", address, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, nil, fmt.Errorf("get %s: %w", address, err)
	}
	if int64(len(body)) > limit {
		return nil, nil, fmt.Errorf("get %s: the document is longer than %d bytes", address, limit)
	}
	return body, resp.Header, nil
}

// discover returns the keys URL that a metadata document names, if the
// document is that of issuer and the URL on the host of the document.
func (f *fetcher) discover(ctx context.Context, metadata, issuer string) (string, error) {
	body, _, err := f.get(ctx, metadata, maxMetadataSize)
	if err != nil {
		return "", err
	}
	document, err := token.ParseObject(body, maxMetadataDepth, maxMembers)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", metadata, err)
	}
	if v, _ := document.Get("issuer"); !isString(v, issuer) {
		return "", fmt.Errorf("read %s: it is the document of issuer %s, not of %q: configure the authority by the name it gives itself", metadata, shown(v), issuer)
	}
	v, _ := document.Get("jwks_uri")
	keys, _ := v.String()
	if err := checkURL("jwks_uri", keys); err != nil {
		return "", fmt.Errorf("read %s: %w", metadata, err)
	}
	from, err := url.Parse(metadata)
	if err != nil {
		return "", err
	}
	to, err := url.Parse(keys)
	if err != nil {
		return "", err
	}
	if from.Scheme != to.Scheme || !strings.EqualFold(from.Host, to.Host) {
		return "", fmt.Errorf("read %s: jwks_uri is on another host", metadata)
	}
	return keys, nil
}

func isString(v token.Value, want string) bool {
	s, ok := v.String()
	return ok && s == want
}

// A keySet is what one fetch brought. It is never changed.
type keySet struct {
	keys     map[string][]token.Key // by kid
	unusable map[string]bool        // kids of entries that cannot verify a signature
	maxAge   time.Duration          // how long the server says it holds; zero if it says nothing
}

// keys fetches the keys document at address. What it could not use of the
// document it returns beside the keys.
func (f *fetcher) keys(ctx context.Context, address string) (*keySet, []error, error) {
	body, header, err := f.get(ctx, address, maxKeysSize)
	if err != nil {
		return nil, nil, err
	}
	keys, ignored, err := token.ParseKeys(body)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", address, err)
	}
	if len(keys) == 0 {
		return nil, ignored, fmt.Errorf("read %s: it has no usable key", address)
	}
	set := &keySet{keys: make(map[string][]token.Key, len(keys)), unusable: map[string]bool{}, maxAge: maxAge(header)}
	for _, key := range keys {
		set.keys[key.ID] = append(set.keys[key.ID], key)
	}
	for _, problem := range ignored {
		var key *token.IgnoredKey
		if errors.As(problem, &key) {
			set.unusable[key.ID] = true
		}
	}
	return set, ignored, nil
}

// knows reports whether the set says anything about kid.
func (s *keySet) knows(kid string) bool { return len(s.keys[kid]) > 0 || s.unusable[kid] }

// keeps reports whether every key of old is in s, unchanged.
func (s *keySet) keeps(old *keySet) bool {
	for kid, keys := range old.keys {
		for _, key := range keys {
			if !s.has(kid, key) {
				return false
			}
		}
	}
	return true
}

func (s *keySet) has(kid string, key token.Key) bool {
	for _, mine := range s.keys[kid] {
		if samePublic(mine.Public, key.Public) && mine.Use == key.Use && mine.Issuer == key.Issuer {
			return true
		}
	}
	return false
}

// maxAge returns the max-age of Cache-Control, or zero.
func maxAge(header http.Header) time.Duration {
	for directive := range strings.SplitSeq(header.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if seconds, err := strconv.ParseUint(value, 10, 31); err == nil && strings.EqualFold(name, "max-age") {
			return time.Duration(seconds) * time.Second
		}
	}
	return 0
}
