package clientauth

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/text"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// How long what an issuer published is relied on, and how often it is asked.
const (
	keysFresh    = time.Hour        // then one caller looks again while the others go on
	keysUsable   = 24 * time.Hour   // then keys that cannot be renewed are given up
	unknownEvery = 5 * time.Minute  // between looks for the same key id that is not there
	unknownLooks = 8                // looks for such ids, whichever, that may be made at once
	unknownMore  = 30 * time.Second // until one more may be made
	failedEvery  = 10 * time.Second // between tries after a failure
	lookTimeout  = 5 * time.Second  // for both documents

	maxDiscoverySize = 64 << 10
	maxForeignSize   = 256 << 10
	maxForeignKeys   = 100
	maxForeign       = 1024 // issuers remembered
)

// documents fetches what issuers publish.
type documents interface {
	GetJSON(ctx context.Context, url string, limit int64) ([]byte, http.Header, error)
	// Listed reports whether the operator lists the URL's host as one to be reached.
	Listed(url string) bool
}

// foreignIssuers keeps the keys of the issuers that federated credentials name. Keys of
// one issuer never serve another, whatever they are called.
type foreignIssuers struct {
	documents documents // nil: no issuer is reached
	now       func() time.Time

	mu      sync.Mutex
	issuers map[string]*foreignIssuer
}

func newForeignIssuers(d documents, now func() time.Time) *foreignIssuers {
	return &foreignIssuers{documents: d, now: now, issuers: map[string]*foreignIssuer{}}
}

// A foreignIssuer is what is known of one issuer.
type foreignIssuer struct {
	name string
	keys atomic.Pointer[keySet] // the last good one; nil: none yet
	// looking holds one token while somebody asks the issuer; it guards what follows.
	looking chan struct{}
	failed  time.Time // when the last look failed; zero: it did not
	failure error
	unknown map[string]time.Time // when looks for key ids that were not there were made
	looks   float64              // that were made for such ids, as far as they still count
	looked  time.Time            // when the last of them was made
}

// mayLook reports whether to ask the issuer for a key id that it did not have. Anybody can
// name one in a token that nobody signed, and the issuer must not be asked for each; but one
// look brings all its keys, so that as long as there are looks, a stranger keeps nobody from
// its next key.
func (i *foreignIssuer) mayLook(kid string, now time.Time) bool {
	for other, at := range i.unknown {
		if now.Sub(at) >= unknownEvery {
			delete(i.unknown, other)
		}
	}
	looks := max(0, i.looks-max(0, float64(now.Sub(i.looked))/float64(unknownMore)))
	if _, asked := i.unknown[kid]; asked || looks+1 > unknownLooks {
		return false
	}
	if i.unknown == nil {
		i.unknown = map[string]time.Time{}
	}
	i.unknown[kid], i.looks, i.looked = now, looks+1, now
	return true
}

type keySet struct {
	at   time.Time
	keys []token.Key
}

func (f *foreignIssuers) issuer(name string) *foreignIssuer {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i, ok := f.issuers[name]; ok {
		return i
	}
	if len(f.issuers) >= maxForeign {
		for other := range f.issuers { // any: that it is asked once more does no harm
			delete(f.issuers, other)
			break
		}
	}
	i := &foreignIssuer{name: name, looking: make(chan struct{}, 1)}
	f.issuers[name] = i
	return i
}

// key finds a key of an issuer, asking the issuer where that is due. A slow issuer keeps
// only those waiting who need it and have nothing to go by.
func (f *foreignIssuers) key(ctx context.Context, name, kid string) (token.Key, error) {
	i := f.issuer(name)
	set := i.keys.Load()
	if set == nil || f.now().Sub(set.at) >= keysUsable {
		return f.await(ctx, i, kid)
	}
	key, err := pick(set.keys, kid)
	switch {
	case err != nil:
		return f.await(ctx, i, kid)
	case f.now().Sub(set.at) >= keysFresh:
		return f.renew(ctx, i, kid, key)
	}
	return key, nil
}

// renew looks again if nobody else does. Whatever comes of it, the key at hand is good
// unless the issuer has said otherwise.
func (f *foreignIssuers) renew(ctx context.Context, i *foreignIssuer, kid string, have token.Key) (token.Key, error) {
	select {
	case i.looking <- struct{}{}:
	default:
		return have, nil
	}
	defer func() { <-i.looking }()
	if f.now().Sub(i.failed) < failedEvery || f.look(ctx, i) != nil {
		return have, nil
	}
	return pick(i.keys.Load().keys, kid)
}

// await waits for its turn and for the issuer. What was learned while waiting counts.
func (f *foreignIssuers) await(ctx context.Context, i *foreignIssuer, kid string) (token.Key, error) {
	select {
	case i.looking <- struct{}{}:
	case <-ctx.Done():
		return token.Key{}, ctx.Err()
	}
	defer func() { <-i.looking }()
	now := f.now()
	set := i.keys.Load()
	usable := set != nil && now.Sub(set.at) < keysUsable
	if usable {
		key, err := pick(set.keys, kid)
		if err == nil || !i.mayLook(kid, now) {
			return key, err
		}
	} else if now.Sub(i.failed) < failedEvery {
		return token.Key{}, i.failure
	}
	if err := f.look(ctx, i); err != nil {
		if usable {
			return token.Key{}, errNoSuchKey
		}
		return token.Key{}, err
	}
	return pick(i.keys.Load().keys, kid)
}

// look asks the issuer for its keys. Others rely on the result, so it does not end with
// the caller's request. The caller holds looking.
func (f *foreignIssuers) look(ctx context.Context, i *foreignIssuer) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	keys, err := f.read(ctx, i.name)
	if err != nil {
		i.failed, i.failure = f.now(), err
		return err
	}
	i.failed, i.failure = time.Time{}, nil
	i.keys.Store(&keySet{f.now(), keys})
	return nil
}

// read fetches the issuer's metadata and its keys (OpenID Connect Discovery section 4).
func (f *foreignIssuers) read(ctx context.Context, issuer string) ([]token.Key, error) {
	if f.documents == nil {
		return nil, errors.New("this authority is set up to reach no issuers")
	}
	body, _, err := f.documents.GetJSON(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", maxDiscoverySize)
	if err != nil {
		return nil, err
	}
	location, err := f.keysLocation(body, issuer)
	if err != nil {
		return nil, err
	}
	body, _, err = f.documents.GetJSON(ctx, location, maxForeignSize)
	if err != nil {
		return nil, err
	}
	keys, ignored, err := token.ParseKeys(body)
	if err != nil {
		return nil, fmt.Errorf("keys of issuer %s: %w", issuer, err)
	}
	keys = usableKeys(keys)
	if len(keys) == 0 {
		return nil, fmt.Errorf("keys of issuer %s: none is an RSA key for signatures (%d others)", issuer, len(ignored))
	}
	return keys, nil
}

// keysLocation reads the metadata. A document that names another issuer is somebody
// else's, and keys that lie elsewhere are trusted only where the operator lists the place.
func (f *foreignIssuers) keysLocation(body []byte, issuer string) (string, error) {
	const depth, members = 8, 256
	doc, err := token.ParseObject(body, depth, members)
	if err != nil {
		return "", fmt.Errorf("metadata of issuer %s: %w", issuer, err)
	}
	value, _ := doc.Get("issuer")
	if name, _ := value.String(); name != issuer {
		return "", fmt.Errorf("metadata of issuer %s is that of %s", issuer, text.Quote(name))
	}
	value, _ = doc.Get("jwks_uri")
	location, _ := value.String()
	if !sameOrigin(location, issuer) && !publishedBy(issuer, location) && !f.documents.Listed(location) {
		return "", fmt.Errorf("metadata of issuer %s: jwks_uri %s is at another origin, which is not on the allow list: --allow-issuer with its host permits it",
			issuer, text.Quote(location))
	}
	return location, nil
}

// publishedBy reports whether an issuer is one of those that are known to keep their keys at
// another origin of their own, and that is the origin.
func publishedBy(issuer, location string) bool {
	switch issuer {
	case "https://accounts.google.com":
		return sameOrigin(location, "https://www.googleapis.com")
	default:
		return false
	}
}

func sameOrigin(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && x.Host != "" && x.Scheme == y.Scheme && strings.EqualFold(x.Host, y.Host)
}

// usableKeys keeps the first hundred RSA keys that are for signatures of the one
// algorithm that federated tokens may have.
func usableKeys(keys []token.Key) []token.Key {
	keys = slices.DeleteFunc(keys, func(k token.Key) bool {
		_, isRSA := k.Public.(*rsa.PublicKey)
		return !isRSA || k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != "RS256" ||
			len(k.Operations) > 0 && !slices.Contains(k.Operations, "verify")
	})
	return keys[:min(len(keys), maxForeignKeys)]
}

// pick finds the key with that id, or the only key when the token names none. An id that
// two different keys have is nobody's.
func pick(keys []token.Key, kid string) (token.Key, error) {
	var found []token.Key
	for _, k := range keys {
		if kid == "" || k.ID == kid {
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		return token.Key{}, errNoSuchKey
	}
	for _, k := range found[1:] {
		if key, ok := k.Public.(*rsa.PublicKey); !ok || !key.Equal(found[0].Public) {
			return token.Key{}, errNoSuchKey
		}
	}
	return found[0], nil
}
