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
	"slices"
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
	if token.Origin(next.URL) != token.Origin(via[0].URL) {
		return errors.New("redirected to another origin")
	}
	if len(via) > 3 {
		return errors.New("redirected too often")
	}
	return nil
}

// A statusError is an answer that is no document.
type statusError struct {
	address string
	status  int
}

func (e *statusError) Error() string { return fmt.Sprintf("get %s: status %d", e.address, e.status) }

// errNotModified is the answer to a conditional request when nothing changed.
var errNotModified = errors.New("nothing has changed")

// patient returns a fetcher whose requests may be held by their server.
func (f *fetcher) patient(timeout time.Duration) *fetcher {
	own := *f.client
	own.Timeout = timeout
	return &fetcher{&own}
}

// get fetches a document of at most limit bytes. With the tag of a document
// that is there already, the answer may be errNotModified.
func (f *fetcher) get(ctx context.Context, address, tag string, limit int64) ([]byte, http.Header, error) {
	return f.getWith(ctx, address, "If-None-Match", tag, limit)
}

// getAs fetches a document for the bearer of an access token.
func (f *fetcher) getAs(ctx context.Context, address, raw string, limit int64) ([]byte, error) {
	body, _, err := f.getWith(ctx, address, "Authorization", schemeBearer+" "+raw, limit)
	return body, err
}

// getWith fetches a document with one more header, if that has a value.
func (f *fetcher) getWith(ctx context.Context, address, header, value string, limit int64) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("User-Agent", "rolecall-guard")
	req.Header.Set("Accept", "application/json")
	if value != "" {
		req.Header.Set(header, value)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // the body has been read, or is given up
	switch {
	case resp.StatusCode == http.StatusNotModified && req.Header.Get("If-None-Match") != "":
		return nil, resp.Header, errNotModified
	case resp.StatusCode != http.StatusOK:
		return nil, nil, &statusError{address, resp.StatusCode}
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

// A location is where the keys of an issuer are, by its own word.
type location struct {
	issuer string // what the issuer calls itself
	cloud  string // the cloud it says it is part of, if it says so
	keys   string // the URL of the keys document
}

// locate finds the keys document of an issuer.
func (f *fetcher) locate(ctx context.Context, s source) (location, error) {
	if s.metadata == "" {
		return location{issuer: s.issuer, keys: s.keys}, nil
	}
	body, _, err := f.get(ctx, s.metadata, "", maxMetadataSize)
	if err != nil {
		return location{}, err
	}
	found, err := readMetadata(body, s)
	if err != nil {
		return location{}, fmt.Errorf("read %s: %w", s.metadata, err)
	}
	return found, nil
}

// readMetadata reads a discovery document, which must be that of the issuer, or
// for an issuer whose name is learned from it that of the same tenant, and
// whose keys must be on the host of the document.
func readMetadata(body []byte, s source) (location, error) {
	document, err := token.ParseObject(body, maxMetadataDepth, maxMembers)
	if err != nil {
		return location{}, err
	}
	v, _ := document.Get("issuer")
	issuer, _ := v.String()
	switch {
	case s.learns && !namesTenant(issuer, s.tenant):
		return location{}, fmt.Errorf("the issuer %s is not one of version 1.0 tokens of this tenant", shown(v))
	case !s.learns && issuer != s.issuer:
		return location{}, fmt.Errorf("it is the document of issuer %s, not of %q: configure the authority by the name it gives itself", shown(v), s.issuer)
	}
	v, _ = document.Get("jwks_uri")
	keys, _ := v.String()
	if err := checkURL("jwks_uri", keys); err != nil {
		return location{}, err
	}
	from, err := url.Parse(s.metadata)
	if err != nil {
		return location{}, err
	}
	to, err := url.Parse(keys)
	if err != nil {
		return location{}, err
	}
	if token.Origin(from) != token.Origin(to) {
		return location{}, errors.New("jwks_uri is on another host")
	}
	v, _ = document.Get("cloud_instance_name")
	cloud, _ := v.String()
	return location{issuer: issuer, cloud: cloud, keys: keys}, nil
}

func isString(v token.Value, want string) bool {
	s, ok := v.String()
	return ok && s == want
}

// A keySet is what one fetch brought. It is never changed.
type keySet struct {
	location
	keys     map[string][]token.Key // by kid
	unusable map[string]bool        // kids of entries that cannot verify a signature
	document []byte                 // as it was fetched
	maxAge   time.Duration          // how long the server says it holds; zero if it says nothing
	tag      string                 // by which the server knows the document; may be empty
	fetched  time.Time
}

// age is how old the set is by the clock that says more: the monotonic one
// stops while a machine sleeps, and the wall clock can be set back.
func (s *keySet) age(now time.Time) time.Duration {
	return max(now.Sub(s.fetched), now.Round(0).Sub(s.fetched.Round(0)))
}

// keys fetches the keys document at a location, unless old is that document
// and still what the server has. What it could not use of the document it
// returns beside the keys.
func (f *fetcher) keys(ctx context.Context, at location, old *keySet) (*keySet, []error, error) {
	tag := ""
	if old != nil && old.location == at {
		tag = old.tag
	}
	now := time.Now() // older rather than younger
	body, header, err := f.get(ctx, at.keys, tag, maxKeysSize)
	if errors.Is(err, errNotModified) {
		same := *old
		same.fetched = now
		if header.Get("Cache-Control") != "" {
			same.maxAge = maxAge(header)
		}
		return &same, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	set, ignored, err := readKeys(body, at)
	if err != nil {
		return nil, ignored, err
	}
	set.maxAge, set.tag, set.fetched = maxAge(header), entityTag(header), now
	return set, ignored, nil
}

// readKeys reads the keys document of a location. What it could not use it
// returns beside the keys.
func readKeys(body []byte, at location) (*keySet, []error, error) {
	keys, ignored, err := token.ParseKeys(body)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", at.keys, err)
	}
	set := &keySet{location: at, keys: make(map[string][]token.Key, len(keys)), unusable: map[string]bool{}, document: body}
	for _, key := range keys {
		if key.CloudInstance != "" && at.cloud != "" && key.CloudInstance != at.cloud {
			ignored = append(ignored, &token.IgnoredKey{ID: key.ID, Cause: fmt.Errorf("it is for another cloud than %q", at.cloud)})
			continue
		}
		set.keys[key.ID] = append(set.keys[key.ID], key)
	}
	if len(set.keys) == 0 {
		return nil, ignored, fmt.Errorf("read %s: it has no usable key", at.keys)
	}
	for _, problem := range ignored {
		var key *token.IgnoredKey
		if errors.As(problem, &key) {
			set.unusable[key.ID] = true
		}
	}
	return set, ignored, nil
}

// entityTag returns the ETag of a document, if it can be sent back as it is.
func entityTag(header http.Header) string {
	const most = 256
	tag := header.Get("Etag")
	if len(tag) > most || strings.ContainsFunc(tag, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return ""
	}
	return tag
}

// knows reports whether the set says anything about kid.
func (s *keySet) knows(kid string) bool { return len(s.keys[kid]) > 0 || s.unusable[kid] }

// keeps reports whether the keys of old are in s, unchanged and under the same
// issuer: whether what they have verified is what s would verify.
func (s *keySet) keeps(old *keySet) bool {
	if s.issuer != old.issuer {
		return false
	}
	for kid, keys := range old.keys {
		if !slices.EqualFunc(keys, s.keys[kid], sameKey) {
			return false
		}
	}
	return true
}

// sameKey reports whether two entries of the same kid are the same in all that
// decides over a signature.
func sameKey(a, b token.Key) bool {
	return samePublic(a.Public, b.Public) && a.Use == b.Use && a.Algorithm == b.Algorithm && a.Issuer == b.Issuer &&
		a.CloudInstance == b.CloudInstance && (a.Operations == nil) == (b.Operations == nil) && slices.Equal(a.Operations, b.Operations)
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
