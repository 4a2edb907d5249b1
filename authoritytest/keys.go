package authoritytest

import (
	"crypto/rand"
	"crypto/rsa"
	"sync"
)

// keys is the one thing that tests share: RSA keys, which take longer to make than most
// tests to run. That harms no test, because a key's id comes from a certificate which
// each authority makes for itself, and because every token names its issuer.
var keys keyPool

// poolSize is enough that the keys one test needs are all different.
const poolSize = 8

// A keyPool makes keys when they are first needed and gives them out in turn.
type keyPool struct {
	mu    sync.Mutex
	given int                                       // guarded by mu
	made  [poolSize]func() (*rsa.PrivateKey, error) // guarded by mu; each makes its key once
}

func (p *keyPool) next() (*rsa.PrivateKey, error) {
	p.mu.Lock()
	i := p.given % poolSize
	p.given++
	if p.made[i] == nil {
		p.made[i] = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	}
	get := p.made[i]
	p.mu.Unlock()
	return get()
}
