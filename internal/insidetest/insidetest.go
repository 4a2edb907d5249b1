// Package insidetest gives the tests of this module what users of authoritytest cannot
// have: the directory behind the authority, and what makes its tokens. Their types are internal,
// so they stand in no signature of authoritytest.
//
// It adds nothing else. What a test can say by authoritytest itself, it says by that.
package insidetest

import (
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// An Authority is one of authoritytest, with the directory behind it.
type Authority struct {
	*authoritytest.Authority
	directory *directory.Directory
	issuer    *authority.Authority
	keys      *keyring.Ring
}

// Start runs an authority until the test ends.
func Start(t testing.TB, opts ...authoritytest.Option) *Authority {
	t.Helper()
	k := &keeper{TB: t}
	login := authoritytest.Start(k, opts...)
	return &Authority{login, k.directory, k.issuer, k.keys}
}

// Directory returns everything that is registered.
func (a *Authority) Directory() *directory.Directory { return a.directory }

// Issuer returns what makes the tokens.
func (a *Authority) Issuer() *authority.Authority { return a.issuer }

// Keys returns the keys by which tokens are signed.
func (a *Authority) Keys() *keyring.Ring { return a.keys }

// A keeper is a test that authoritytest shows its directory and its issuer to.
type keeper struct {
	testing.TB
	directory *directory.Directory
	issuer    *authority.Authority
	keys      *keyring.Ring
}

// KeepDirectory takes the directory from authoritytest.
func (k *keeper) KeepDirectory(d *directory.Directory) { k.directory = d }

// KeepIssuer takes from authoritytest what makes the tokens, and its keys.
func (k *keeper) KeepIssuer(a *authority.Authority, keys *keyring.Ring) { k.issuer, k.keys = a, keys }
