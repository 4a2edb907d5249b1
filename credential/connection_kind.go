package credential

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// A ConnectionKind is the kind of credential that a connection string means.
type ConnectionKind string

// The kinds. [Parse] makes credentials of the first five.
const (
	ConnectionSecret           ConnectionKind = "secret"
	ConnectionStoreCertificate ConnectionKind = "certificate in a store"
	ConnectionFileCertificate  ConnectionKind = "certificate in a file"
	ConnectionManagedIdentity  ConnectionKind = "managed identity"
	ConnectionAzureCLI         ConnectionKind = "Azure CLI"
	ConnectionKeyVault         ConnectionKind = "certificate in a key vault"
	ConnectionVisualStudio     ConnectionKind = "Visual Studio"
	ConnectionCurrentUser      ConnectionKind = "Windows account"
	ConnectionUnknown          ConnectionKind = "unknown"
)

// A Connection is what a connection string says. It holds no secret.
type Connection struct {
	Kind  ConnectionKind
	Parts []ConnectionPart // that are known, in the order of the string
	// Missing are keys that the kind needs besides.
	Missing []string
	// Err is why [Parse] refuses the string, or the certificate file that it names.
	Err error
	// Here is why Parse would refuse on this machine a string that is in order: it finds no
	// such certificate in the store, or no managed identity in the environment.
	Here error
	// DotNet is why the App Authentication library itself would refuse the string on this
	// system; nil when it takes it, or when only what it finds here can tell.
	DotNet error
}

// A ConnectionPart is one part of a connection string.
type ConnectionPart struct {
	Key    string // as it is written in documentation
	Value  string // empty if secret
	Secret bool
}

// Value is that of a part; empty if there is none, or a secret one.
func (c *Connection) Value(key string) string {
	for _, p := range c.Parts {
		if strings.EqualFold(p.Key, key) {
			return p.Value
		}
	}
	return ""
}

// Describe reads a connection string as [Parse] does, and makes no credential of it. A
// string that Parse refuses is described as far as it can be read. Certificates are looked
// for where Parse would look with the zero [Options].
func Describe(connectionString string) *Connection {
	parts, err := readConnection(connectionString)
	c := &Connection{Kind: ConnectionUnknown, Err: err, DotNet: err}
	pairs, problem := lexConnection(connectionString)
	if problem != nil || wrapped(connectionString) != nil {
		return c
	}
	known := connection{}
	for _, p := range pairs {
		key := knownKey(p.key)
		if _, twice := known[key]; key == "" || twice {
			// What follows may be the rest of a value, and a secret one.
			break
		}
		known[key] = p.value
		part := ConnectionPart{Key: key, Secret: key == keyAppKey || key == keyFilePassword}
		if !part.Secret {
			part.Value = p.value
		}
		c.Parts = append(c.Parts, part)
	}
	c.Kind = known.kind()
	for _, key := range known.needs(c.Kind) {
		if known[key] == "" {
			c.Missing = append(c.Missing, key)
		}
	}
	if err != nil {
		return c
	}
	if c.Err = parts.check(c.Kind); c.Err == nil {
		c.Err, c.Here = parts.look(c.Kind)
	}
	if c.DotNet = parts.dotNet(c.Kind, runtime.GOOS); c.Kind == ConnectionUnknown {
		c.DotNet = c.Err
	}
	return c
}

// look finds out whether what a string in order relies on is there: the file that it names,
// and what it expects of this machine.
func (c connection) look(kind ConnectionKind) (named, here error) {
	switch kind {
	case ConnectionFileCertificate:
		_, named = c.certificate()
	case ConnectionStoreCertificate:
		_, here = c.storeCertificates(nil)
	case ConnectionManagedIdentity:
		if !managedIdentityNamed(os.Getenv) {
			here = errNoManagedIdentity
		}
	default: // the others name no file and expect nothing that can be seen from here
	}
	return named, here
}

// kind tells which credential is meant: who it runs as, and for an application what proves
// it, if anything does.
func (c connection) kind() ConnectionKind {
	switch runAs := c[keyRunAs]; {
	case strings.EqualFold(runAs, "CurrentUser"):
		return ConnectionCurrentUser
	case strings.EqualFold(runAs, "Developer") && strings.EqualFold(c[keyDeveloperTool], "AzureCli"):
		return ConnectionAzureCLI
	case strings.EqualFold(runAs, "Developer") && strings.EqualFold(c[keyDeveloperTool], "VisualStudio"):
		return ConnectionVisualStudio
	case !strings.EqualFold(runAs, "App"):
		return ConnectionUnknown
	}
	switch {
	case c[keyStoreLocation] != "", c[keyThumbprint] != "", c[keySubjectName] != "":
		return ConnectionStoreCertificate
	case c[keyKeyVault] != "":
		return ConnectionKeyVault
	case c[keyFile] != "", c[keyFilePassword] != "":
		return ConnectionFileCertificate
	case c[keyAppKey] != "":
		return ConnectionSecret
	case c[keyTenantID] != "":
		return ConnectionUnknown
	}
	return ConnectionManagedIdentity
}

// needs lists the keys without which a kind is nothing.
func (c connection) needs(kind ConnectionKind) []string {
	switch kind {
	case ConnectionSecret:
		return []string{keyAppID, keyTenantID, keyAppKey}
	case ConnectionFileCertificate:
		return []string{keyAppID, keyTenantID, keyFile}
	case ConnectionStoreCertificate:
		if c[keySubjectName] != "" {
			return []string{keyAppID, keyTenantID, keyStoreLocation}
		}
		return []string{keyAppID, keyTenantID, keyThumbprint, keyStoreLocation}
	case ConnectionUnknown:
		if strings.EqualFold(c[keyRunAs], "Developer") {
			return []string{keyDeveloperTool}
		}
		if strings.EqualFold(c[keyRunAs], "App") {
			return []string{keyAppKey}
		}
		return []string{keyRunAs}
	default:
		return nil
	}
}

// check refuses what Parse makes no credential of.
func (c connection) check(kind ConnectionKind) error {
	switch kind {
	case ConnectionSecret:
		return c.application(keyAppKey, keyAppKey)
	case ConnectionStoreCertificate:
		return c.checkStore()
	case ConnectionFileCertificate:
		if c[keyFile] == "" {
			return missing(keyFile, "the PEM or PKCS#12 file that the password is for")
		}
		return c.application(keyFile, keyFile, keyFilePassword)
	case ConnectionManagedIdentity:
		return c.checkManagedIdentity()
	case ConnectionAzureCLI:
		return c.only(keyDeveloperTool, keyRunAs, keyDeveloperTool)
	case ConnectionKeyVault:
		return fmt.Errorf("%s would fetch the certificate from Azure Key Vault, which is not supported; save it and name it with %s", keyKeyVault, keyFile)
	case ConnectionVisualStudio:
		return fmt.Errorf("%s=VisualStudio works on Windows only; use AzureCli and sign in with az login", keyDeveloperTool)
	case ConnectionCurrentUser:
		return errors.New("RunAs=CurrentUser signs in with the Windows account, which works in the .NET Framework only; use RunAs=App, or RunAs=Developer;DeveloperTool=AzureCli")
	default:
		return c.checkUnknown()
	}
}

func (c connection) checkUnknown() error {
	switch runAs := c[keyRunAs]; {
	case runAs == "":
		return missing(keyRunAs, "App or Developer")
	case strings.EqualFold(runAs, "App"):
		return fmt.Errorf("one of %s, %s, %s and %s must be present beside %s", keyAppKey, keyThumbprint, keySubjectName, keyFile, keyTenantID)
	case !strings.EqualFold(runAs, "Developer"):
		return fmt.Errorf("the value of %s is not known; it is App, Developer or CurrentUser", keyRunAs)
	case c[keyDeveloperTool] == "":
		return missing(keyDeveloperTool, "AzureCli")
	}
	return fmt.Errorf("the value of %s is not known; it is AzureCli or VisualStudio", keyDeveloperTool)
}

func (c connection) checkStore() error {
	location := c[keyStoreLocation]
	switch {
	case c[keyThumbprint] == "" && c[keySubjectName] == "":
		return fmt.Errorf("%s or %s must be present beside %s", keyThumbprint, keySubjectName, keyStoreLocation)
	case location == "":
		return missing(keyStoreLocation, "CurrentUser or LocalMachine")
	case !strings.EqualFold(location, "CurrentUser") && !strings.EqualFold(location, "LocalMachine"):
		return fmt.Errorf("the value of %s is not known; it is CurrentUser or LocalMachine", keyStoreLocation)
	}
	if _, _, err := c.certificateMatch(); err != nil {
		return err
	}
	return c.application(keyStoreLocation, keyStoreLocation, keyThumbprint, keySubjectName)
}

func (c connection) checkManagedIdentity() error {
	if err := c.only("a managed identity", keyRunAs, keyAppID, keyMSIRetryTimeout); err != nil {
		return err
	}
	if timeout := c[keyMSIRetryTimeout]; timeout != "" {
		if _, err := strconv.ParseUint(timeout, 10, 31); err != nil {
			return fmt.Errorf("%s must be a whole number of seconds", keyMSIRetryTimeout)
		}
	}
	return nil
}
