package credential

import (
	"errors"
	"fmt"
	"strings"
)

// dotNet is why the App Authentication library would refuse on a system what a connection
// string means, where that is known from its kind.
func (c connection) dotNet(kind ConnectionKind, system string) error {
	windows := system == "windows"
	switch kind {
	case ConnectionFileCertificate:
		return fmt.Errorf("%s and %s are read by this package alone; the library takes a certificate from a store, or from a key vault", keyFile, keyFilePassword)
	case ConnectionStoreCertificate:
		if system == "linux" && strings.EqualFold(c[keyStoreLocation], "LocalMachine") {
			return errors.New("on Linux there is no LocalMachine store of certificates with keys; use CertificateStoreLocation=CurrentUser, which is a folder of .NET's own in the home folder")
		}
	case ConnectionVisualStudio:
		if !windows {
			return fmt.Errorf("%s=VisualStudio works on Windows only; use AzureCli", keyDeveloperTool)
		}
	case ConnectionCurrentUser:
		if !windows {
			return errors.New("RunAs=CurrentUser works on Windows only, in the .NET Framework; use RunAs=App, or RunAs=Developer;DeveloperTool=AzureCli")
		}
	default: // the same on every system
	}
	return nil
}
