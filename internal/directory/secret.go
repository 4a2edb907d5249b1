package directory

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

// What CheckSecret answers besides success.
var (
	ErrWrongSecret   = errors.New("no secret of the application matches")
	ErrExpiredSecret = errors.New("the matching secret has expired")
)

const (
	secretPrefix = "rc_" // of generated secrets: known to scanners, and never a leading hyphen
	maxSecret    = 4096  // bytes; a longer one is wrong without a further look
	maxSecrets   = 50    // in one application
	maxImported  = 10    // among them: each costs a slow hash on a cold or wrong check

	argonThreads = 1
	digestSize   = 32
	saltSize     = 16

	proofCacheBytes = 1 << 20 // positive answers about imported secrets
)

// A HashCost is what one argon2id digest takes. Every digest remembers its own, so that
// those made at another cost can still be checked.
type HashCost struct {
	Passes    uint32 `json:"passes"`
	MemoryKiB uint32 `json:"memoryKiB"`
}

// CheapHash costs next to nothing, and protects nothing: it is for tests.
func CheapHash() HashCost { return HashCost{Passes: 1, MemoryKiB: 8} }

// usualCost is OWASP's minimum for argon2id with one thread: 19 MiB, two passes.
func usualCost() HashCost { return HashCost{Passes: 2, MemoryKiB: 19 * 1024} }

// check refuses a cost that says one half only, or more than a server should spend.
func (c HashCost) check() error {
	const most = 1 << 20 // KiB
	if c == (HashCost{}) || (c.Passes >= 1 && c.Passes <= 100 && c.MemoryKiB >= 8*argonThreads && c.MemoryKiB <= most) {
		return nil
	}
	return fmt.Errorf("directory: Config.SlowHash has %d passes over %d KiB; leave both zero for the default, or use 1 to 100 passes over 8 to %d KiB", c.Passes, c.MemoryKiB, most)
}

// secrets makes and checks the digests of client secrets.
type secrets struct {
	cost   HashCost  // of new digests
	macs   sync.Pool // of hash.Hash keyed with Config.SecretKey
	gate   gate      // of slow hashes
	proofs *cache    // slow hashes that matched, by keyed digests only
	// nobodys stands in where there is no password, so that a check takes as long.
	nobodys *Secret
}

func newSecrets(key []byte, cost HashCost) *secrets {
	key = bytes.Clone(key)
	if cost == (HashCost{}) {
		cost = usualCost()
	}
	s := &secrets{cost: cost, proofs: newCache(proofCacheBytes)}
	s.nobodys = s.noPassword()
	s.macs.New = func() any { return hmac.New(sha256.New, key) }
	return s
}

// digest is the keyed digest of a generated secret.
func (s *secrets) digest(secret string) (sum [digestSize]byte) {
	mac := s.macs.Get().(hash.Hash)
	mac.Reset()
	_, _ = mac.Write([]byte(secret)) // a hash never fails
	mac.Sum(sum[:0])
	s.macs.Put(mac)
	return sum
}

// slowDigest is the argon2id digest of a presented text, made as that of the secret was.
// It waits for its turn.
func (s *secrets) slowDigest(ctx context.Context, asker Asker, secret *Secret, text string) ([]byte, error) {
	if err := s.gate.enter(ctx, asker); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	cost := usualCost()
	if secret.Cost != nil {
		cost = *secret.Cost
	}
	return argon2.IDKey([]byte(text), secret.Salt, cost.Passes, cost.MemoryKiB, argonThreads, digestSize), nil
}

// hash fills in the digest of a chosen secret.
func (s *secrets) hash(ctx context.Context, secret *Secret, value string) (err error) {
	s.prepare(secret)
	secret.Digest, err = s.slowDigest(ctx, operator(), secret, value)
	return err
}

// prepare says how the digest of a chosen secret is to be made.
func (s *secrets) prepare(secret *Secret) {
	secret.Scheme, secret.Salt = SchemeArgon2id, make([]byte, saltSize)
	rand.Read(secret.Salt) // never fails
	if s.cost != usualCost() {
		secret.Cost = &s.cost
	}
}

// known reports whether the presented text is the secret, as far as a keyed digest
// tells: always for a generated secret, and for a chosen one that matched before. A
// proof is found by the digest of what was presented together with the stored one, so
// it is of no use for any other secret.
func (s *secrets) known(secret *Secret, keyed *[digestSize]byte) bool {
	switch secret.Scheme {
	case SchemeHMAC:
		return hmac.Equal(secret.Digest, keyed[:])
	case SchemeArgon2id:
		return s.proofs.get(proofKey(secret, keyed)) != nil
	default:
		return false
	}
}

// proves reports whether the presented text is the chosen secret, the slow way, and
// remembers it if so.
func (s *secrets) proves(ctx context.Context, asker Asker, secret *Secret, presented string, keyed *[digestSize]byte) (bool, error) {
	if secret.Scheme != SchemeArgon2id {
		return false, nil
	}
	digest, err := s.slowDigest(ctx, asker, secret, presented)
	if err != nil || !hmac.Equal(secret.Digest, digest) {
		return false, err
	}
	proof := proofKey(secret, keyed)
	s.proofs.add(proof, &cached{bytes: 3 * digestSize}, s.proofs.epoch(proof))
	return true, nil
}

// is reports whether the text is the secret, whether or not that has expired.
func (s *secrets) is(ctx context.Context, asker Asker, secret *Secret, text string) (bool, error) {
	keyed := s.digest(text)
	if s.known(secret, &keyed) {
		return true, nil
	}
	return s.proves(ctx, asker, secret, text, &keyed)
}

func proofKey(secret *Secret, keyed *[digestSize]byte) cacheKey {
	return cacheKey{tenant: string(secret.Digest), kind: string(secret.Salt), key: string(keyed[:])}
}

// check finds the secret that the presented text matches at a time: first among those
// that cost next to nothing, so that a warm check never waits behind a slow hash.
func (s *secrets) check(ctx context.Context, asker Asker, all []Secret, presented string, now time.Time) (*Secret, error) {
	keyed, expired := s.digest(presented), false
	all = begun(all, now)
	for i := range all {
		if s.known(&all[i], &keyed) {
			if !all[i].expired(now) {
				return &all[i], nil
			}
			expired = true
		}
	}
	for i := range all {
		matches, err := s.proves(ctx, asker, &all[i], presented, &keyed)
		if err != nil {
			return nil, err
		}
		if matches && !all[i].expired(now) {
			return &all[i], nil
		}
		expired = expired || matches
	}
	if expired {
		return nil, ErrExpiredSecret
	}
	return nil, ErrWrongSecret
}

// begun leaves out the secrets that do not count yet; nearly always there is none.
func begun(all []Secret, now time.Time) []Secret {
	early := func(s Secret) bool { return now.Before(s.From) }
	if !slices.ContainsFunc(all, early) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), early)
}

// slow reports whether check would hash slowly: when there is a chosen secret, and none
// that matches without that.
func (s *secrets) slow(all []Secret, presented string, now time.Time) bool {
	if !hasChosen(all) {
		return false
	}
	keyed := s.digest(presented)
	return !slices.ContainsFunc(all, func(one Secret) bool { return s.known(&one, &keyed) && !one.expired(now) })
}

func hasChosen(all []Secret) bool {
	return slices.ContainsFunc(all, func(one Secret) bool { return one.Scheme == SchemeArgon2id })
}

// CanBeGuessed reports whether the application has a secret that somebody chose, so that
// attempts at it have to be counted, and the presented text is none of its generated ones.
func (d *Directory) CanBeGuessed(app *Application, presented string) bool {
	if app == nil || presented == "" || len(presented) > maxSecret || !hasChosen(app.Secrets) {
		return false
	}
	keyed, now := d.secrets.digest(presented), d.cfg.Now()
	return !slices.ContainsFunc(app.Secrets, func(one Secret) bool {
		return one.Scheme == SchemeHMAC && d.secrets.known(&one, &keyed) && !one.expired(now)
	})
}

// IsSlowSecret reports whether CheckSecret would take long over the presented text, so that
// callers can let such checks come one at a time.
func (d *Directory) IsSlowSecret(app *Application, presented string) bool {
	return app != nil && presented != "" && len(presented) <= maxSecret && d.secrets.slow(app.Secrets, presented, d.cfg.Now())
}

// CheckSecret is CheckSecretFor the operator, who waits in no queue of strangers.
func (d *Directory) CheckSecret(ctx context.Context, app *Application, presented string) (*Secret, error) {
	return d.CheckSecretFor(ctx, operator(), app, presented)
}

// CheckSecretFor returns the application's secret that the presented text matches.
// ErrWrongSecret means that none does, ErrExpiredSecret that only expired ones do, ErrBusy
// that there is no room to wait for a slow hash. Generated secrets cost one HMAC; imported
// ones a slow hash behind a gate, then a keyed positive cache.
func (d *Directory) CheckSecretFor(ctx context.Context, asker Asker, app *Application, presented string) (*Secret, error) {
	if app == nil || presented == "" || len(presented) > maxSecret {
		return nil, ErrWrongSecret
	}
	asker.application = asker != operator()
	secret, err := d.secrets.check(ctx, asker, app.Secrets, presented, d.cfg.Now())
	if err == nil || errors.Is(err, ErrWrongSecret) || errors.Is(err, ErrExpiredSecret) || errors.Is(err, ErrBusy) {
		return secret, err
	}
	return nil, fmt.Errorf("check a secret of %s: %w", app.AppID, err)
}

// DescribeSecret tells of a secret that matched none of the application's what helps to find
// the mistake, and nothing that gives it or another away. It never hashes slowly: of secrets
// that somebody chose it knows those alone that were right lately.
func (d *Directory) DescribeSecret(app *Application, presented string) *PresentedSecret {
	told := &PresentedSecret{
		Length: len(presented), Blank: strings.ContainsAny(strings.TrimSpace(presented), " \t"), Percent: escapeInSecret.MatchString(presented),
	}
	if app == nil || len(presented) > maxSecret {
		return told
	}
	told.Slip = d.secrets.slip(app.Secrets, presented)
	begins := strings.TrimPrefix(strings.TrimSpace(presented), secretPrefix)
	for _, one := range app.Secrets {
		if one.Hint != "" && strings.HasPrefix(begins, one.Hint) {
			told.Like = one.Name
		}
	}
	return told
}

var escapeInSecret = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// slip finds what would have made a wrong secret right.
func (s *secrets) slip(all []Secret, presented string) Slip {
	bare := strings.TrimSpace(presented)
	if slices.ContainsFunc(all, func(one Secret) bool { return strings.EqualFold(one.ID, bare) }) {
		return SlipID
	}
	decoded, err := url.QueryUnescape(presented)
	if err != nil {
		decoded = presented
	}
	for _, change := range []struct {
		slip Slip
		text string
	}{
		{SlipLineBreak, strings.TrimRight(presented, "\r\n")}, {SlipBlanks, bare}, {SlipQuotes, strings.Trim(bare, `"'`)},
		{SlipEncoded, decoded}, {SlipPlus, strings.ReplaceAll(presented, " ", "+")},
	} {
		if change.text == presented || change.text == "" {
			continue
		}
		keyed := s.digest(change.text)
		if slices.ContainsFunc(all, func(one Secret) bool { return s.known(&one, &keyed) }) {
			return change.slip
		}
	}
	return ""
}

func (s *Secret) expired(now time.Time) bool { return !s.Expires.IsZero() && !now.Before(s.Expires) }

// A NewSecret says what a generated secret is to be.
type NewSecret struct {
	Name    string
	From    time.Time // when it begins to count; zero: at once
	Expires time.Time // zero: never
}

// AddSecret makes a secret of 256 random bits for the application and returns it
// together with its value, which is kept nowhere. A zero expiry means never.
func (e CredentialEditor) AddSecret(tenant TenantID, owner ObjectID, name string, expires time.Time) (secret Secret, value string, err error) {
	if err := checkName("name", name); err != nil {
		return Secret{}, "", err
	}
	return e.MakeSecret(tenant, owner, NewSecret{Name: name, Expires: expires})
}

// MakeSecret is AddSecret for callers who choose more, and a name only if they like.
func (e CredentialEditor) MakeSecret(tenant TenantID, owner ObjectID, wanted NewSecret) (secret Secret, value string, err error) {
	random := make([]byte, 32)
	rand.Read(random) // never fails
	value = secretPrefix + base64.RawURLEncoding.EncodeToString(random)
	digest := e.d.secrets.digest(value)
	secret = Secret{Name: wanted.Name, Hint: value[len(secretPrefix):][:3], Scheme: SchemeHMAC, Digest: digest[:], From: stamp(wanted.From), Expires: wanted.Expires}
	err = e.change(Create, tenant, owner, func(k *keychain) (string, error) {
		if err := e.admitSecret(k, &secret); err != nil {
			return "", err
		}
		*k.secrets = append((*k.secrets)[:len(*k.secrets):len(*k.secrets)], secret)
		return "secret added: " + cmp.Or(secret.Name, secret.ID), nil
	})
	if err != nil {
		return Secret{}, "", err
	}
	return secret, value, nil
}

// ImportSecret gives the application a secret that was chosen elsewhere. Importing one
// that the application has already, with that name and expiry, changes nothing and
// returns it.
func (e CredentialEditor) ImportSecret(tenant TenantID, owner ObjectID, name string, value *Chosen, expires time.Time) (Secret, error) {
	if value.text == "" || len(value.text) > maxSecret {
		return Secret{}, &RuleError{Field: "value", What: "The secret is empty or too long.", Advice: fmt.Sprintf("Give it 1 to %d bytes.", maxSecret)}
	}
	if err := checkName("name", name); err != nil {
		return Secret{}, err
	}
	var secret Secret
	err := e.change(Create, tenant, owner, func(k *keychain) (string, error) {
		if err := k.hasSecrets(); err != nil {
			return "", err
		}
		present, err := e.imported(*k.secrets, name, value, expires)
		if err != nil {
			return "", err
		}
		if present != nil {
			secret = *present
			return "", nil
		}
		secret = Secret{Name: name, Hint: hint(value.text), Expires: expires}
		if err := e.admitImported(k, &secret, value); err != nil {
			return "", err
		}
		*k.secrets = append((*k.secrets)[:len(*k.secrets):len(*k.secrets)], secret)
		return "secret imported: " + secret.Name, nil
	})
	return secret, err
}

// imported finds the imported secret with that name, expiry and value.
func (e CredentialEditor) imported(all []Secret, name string, value *Chosen, expires time.Time) (*Secret, error) {
	for i := range all {
		s := &all[i]
		if s.Scheme != SchemeArgon2id || s.Name != name || !s.Expires.Equal(stamp(expires)) {
			continue
		}
		matches, err := e.d.secrets.same(e.ctx, s, value)
		if matches || err != nil {
			return s, err
		}
	}
	return nil, nil
}

func (e CredentialEditor) admitImported(k *keychain, secret *Secret, value *Chosen) error {
	count := 0
	for _, s := range *k.secrets {
		if s.Scheme == SchemeArgon2id {
			count++
		}
	}
	if count >= maxImported {
		return &RuleError{Field: "secrets", What: fmt.Sprintf("%s has %d imported secrets already.", k.called, count), Advice: "Remove one first, or use a generated secret."}
	}
	if err := e.admitSecret(k, secret); err != nil {
		return err
	}
	return e.d.secrets.keep(e.ctx, secret, value)
}

// admitSecret checks every new secret and gives it its id and time.
func (e CredentialEditor) admitSecret(k *keychain, secret *Secret) error {
	if err := k.hasSecrets(); err != nil {
		return err
	}
	if err := checkOptionalText("name", secret.Name, maxName); err != nil {
		return err
	}
	secret.ID, secret.Created, secret.Expires = guid.New(), e.now, stamp(secret.Expires)
	if secret.expired(e.now) {
		return &RuleError{Field: "expires", What: fmt.Sprintf("The secret %q would have expired already.", secret.Name), Advice: "Give a time to come, or none for a secret that never expires."}
	}
	if secret.expired(secret.From) {
		return &RuleError{Field: "expires", What: fmt.Sprintf("The secret %q would expire before it begins.", secret.Name), Advice: "Give an end after the beginning."}
	}
	if len(*k.secrets) >= maxSecrets {
		return &RuleError{Field: "secrets", What: fmt.Sprintf("%s has %d secrets already.", k.called, len(*k.secrets)), Advice: "Remove one first."}
	}
	return e.allowSecret(k.tenant, secret)
}

// hint shows the beginning of a chosen secret, if that gives little of it away.
func hint(value string) string {
	const enough = 16
	if len(value) < enough {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, value[:3])
}

// ExtendSecret lets a secret of the application live until a later time. It is for callers
// that need a secret for as long as something lasts, without knowing how long that is.
func (e CredentialEditor) ExtendSecret(tenant TenantID, owner ObjectID, id string, expires time.Time) error {
	return e.change(Update, tenant, owner, func(k *keychain) (string, error) {
		if err := k.hasSecrets(); err != nil {
			return "", err
		}
		i := slices.IndexFunc(*k.secrets, func(s Secret) bool { return s.ID == id })
		if i < 0 {
			return "", fmt.Errorf("secret %s: %w", id, ErrNotFound)
		}
		*k.secrets = slices.Clone(*k.secrets)
		extended := &(*k.secrets)[i]
		extended.Expires = stamp(expires)
		if extended.expired(e.now) {
			return "", &RuleError{Field: "expires", What: fmt.Sprintf("The secret %q would have expired already.", extended.Name), Advice: "Give a time to come."}
		}
		if err := e.allowSecret(k.tenant, extended); err != nil {
			return "", err
		}
		return "secret extended: " + extended.Name, nil
	})
}
