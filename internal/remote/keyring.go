package remote

import (
	"errors"
	"runtime"

	"github.com/zalando/go-keyring"
)

// A Keyring keeps small secrets for the user who is logged in to this machine.
type Keyring interface {
	Get(name string) (string, error)
	Set(name, secret string) error
	Delete(name string) error
}

// SystemKeyring returns the keyring of the system, nil where there is none to ask: on Unix other
// than macOS it is asked by D-Bus, and where no session bus is named none is started for it.
func SystemKeyring(lookup func(string) (string, bool)) Keyring {
	if address, _ := lookup("DBUS_SESSION_BUS_ADDRESS"); address == "" && runtime.GOOS != "darwin" && runtime.GOOS != "windows" {
		return nil
	}
	return systemKeyring{}
}

const keyringService = "rolecall"

type systemKeyring struct{}

func (systemKeyring) Get(name string) (string, error) { return keyring.Get(keyringService, name) }

func (systemKeyring) Set(name, secret string) error { return keyring.Set(keyringService, name, secret) }

func (systemKeyring) Delete(name string) error {
	if err := keyring.Delete(keyringService, name); err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return err
	}
	return nil
}
