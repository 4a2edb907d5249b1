package command

import "github.com/rolecall-auth/rolecall/internal/remote"

// Servers are the servers on other machines that this user is signed in to.
func (c *Line) Servers() (*remote.Store, error) {
	return remote.New(remote.Config{Dir: remote.Dir(c.Lookup), Keyring: remote.SystemKeyring(c.Lookup), Now: c.Now})
}
