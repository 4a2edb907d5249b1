package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// temporaryLife is how long a temporary authority's certificate is good. It is gone with its
// process, so this is for programs that run for long.
const temporaryLife = 2 * 365 * 24 * time.Hour

// Temporary makes an authority that may sign for some DNS names and nothing else. It exists in
// memory only: neither its key nor those of its servers are ever written.
func Temporary(hosts []string, now func() time.Time) (*CA, error) {
	permitted, err := parseHosts(hosts)
	if err != nil {
		return nil, err
	}
	if len(permitted.dns) == 0 || len(permitted.ips) > 0 {
		return nil, errors.New("make a temporary certificate authority: it is for DNS names, at least one, and for no addresses")
	}
	if now == nil {
		now = time.Now
	}
	ca := &CA{now: now, hosts: names{}.union(permitted)}
	if ca.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("make the key of a temporary certificate authority: %w", err)
	}
	if ca.certificate, err = issueRoot(ca.key, ca.hosts, temporaryLife, now()); err != nil {
		return nil, err
	}
	return ca, nil
}

// PEM is the root certificate as a file of trusted certificates holds it.
func (c *CA) PEM() []byte { return encodeCertificate(c.certificate.Raw) }
