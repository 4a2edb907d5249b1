package credential

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// The keys of a connection string. The last two are ours: they name a certificate by
// file where there is no certificate store.
const (
	keyRunAs            = "RunAs"
	keyDeveloperTool    = "DeveloperTool"
	keyAppID            = "AppId"
	keyTenantID         = "TenantId"
	keyAppKey           = "AppKey"
	keyThumbprint       = "CertificateThumbprint"
	keySubjectName      = "CertificateSubjectName"
	keyStoreLocation    = "CertificateStoreLocation"
	keyKeyVault         = "KeyVaultCertificateSecretIdentifier"
	keyKeyVaultIdentity = "KeyVaultUserAssignedManagedIdentityId"
	keyMSIRetryTimeout  = "MsiRetryTimeout"
	keyFile             = "CertificateFile"
	keyFilePassword     = "CertificatePassword"
)

// connectionKeys lists them as error messages do.
func connectionKeys() []string {
	return []string{keyRunAs, keyDeveloperTool, keyAppID, keyTenantID, keyAppKey, keyThumbprint, keySubjectName,
		keyStoreLocation, keyKeyVault, keyKeyVaultIdentity, keyMSIRetryTimeout, keyFile, keyFilePassword}
}

// Parse returns the credential that a connection string of the App Authentication
// library describes. Parts are separated by semicolons, keys are matched in any case, and
// a value with a semicolon or space at an end stands in single or double quotes, doubled
// inside.
//
//	RunAs=App;AppId=ID;TenantId=T;AppKey=SECRET
//	RunAs=App;AppId=ID;TenantId=T;CertificateThumbprint=HEX;CertificateStoreLocation=CurrentUser
//	RunAs=App;AppId=ID;TenantId=T;CertificateSubjectName=CN=NAME;CertificateStoreLocation=LocalMachine
//	RunAs=App                                     the managed identity of the environment
//	RunAs=App;AppId=ID                            a user-assigned managed identity
//	RunAs=Developer;DeveloperTool=AzureCli        the user who is signed in with az
//
// Certificates of a store are looked up in the folder [Options].CertificateDir, whatever
// the location; of several, the newest that the authority accepts is used. This package
// adds a form that names a PEM or PKCS#12 file:
//
//	RunAs=App;AppId=ID;TenantId=T;CertificateFile=PATH[;CertificatePassword=PASSWORD]
//
// Unlike the original, Parse refuses keys that it does not know or that have no effect in
// the form at hand. Its errors name the part at fault and repeat no value, since a
// forgotten semicolon makes a secret part of any of them.
//
// [ParseEnvironment] reads the string that the original finds in the environment, and
// [Describe] tells what a string means.
//
// A managed identity is only used where the environment names its endpoint
// (IDENTITY_ENDPOINT or MSI_ENDPOINT): no address is ever probed for one.
func Parse(connectionString string, opts *Options) (azcore.TokenCredential, error) {
	cred, err := parse(connectionString, opts)
	if err != nil {
		return nil, fmt.Errorf("connection string: %w", err)
	}
	return cred, nil
}

func parse(connectionString string, opts *Options) (azcore.TokenCredential, error) {
	parts, err := readConnection(connectionString)
	if err != nil {
		return nil, err
	}
	kind := parts.kind()
	if err := parts.check(kind); err != nil {
		return nil, err
	}
	switch kind {
	case ConnectionSecret:
		return NewSecret(parts[keyTenantID], parts[keyAppID], parts[keyAppKey], opts)
	case ConnectionStoreCertificate:
		return parts.storeCertificate(opts)
	case ConnectionFileCertificate:
		return parts.fileCertificate(opts)
	case ConnectionAzureCLI:
		return azureCLI(opts)
	default:
		return parts.managedIdentity(opts)
	}
}

// connection holds the parts by the spelling of their key above.
type connection map[string]string

// readConnection reads the parts and refuses unknown, repeated and empty ones.
func readConnection(text string) (connection, error) {
	if err := wrapped(text); err != nil {
		return nil, err
	}
	pairs, err := lexConnection(text)
	if err != nil {
		return nil, err
	}
	if len(pairs) == 0 {
		return nil, errors.New("it is empty; the shortest useful one is RunAs=App")
	}
	parts := make(connection, len(pairs))
	for i, p := range pairs {
		key := knownKey(p.key)
		if key == "" {
			return nil, unknownPart(i, pairs)
		}
		if _, twice := parts[key]; twice {
			return nil, fmt.Errorf("%s is given twice", key)
		}
		if strings.TrimSpace(p.value) == "" {
			return nil, fmt.Errorf("%s is empty; give a value or leave it out", key)
		}
		parts[key] = p.value
	}
	return parts, nil
}

func knownKey(text string) string {
	for _, key := range connectionKeys() {
		if strings.EqualFold(key, text) {
			return key
		}
	}
	return ""
}

// wrapped recognises what files, shells and editors put around a whole string. The original
// refuses such a string as well, and does not say why.
func wrapped(text string) error {
	if strings.HasPrefix(text, byteOrderMark) {
		return errors.New("it begins with a byte order mark, which some editors put before a text: save it without")
	}
	text = strings.TrimSpace(strings.TrimRight(text, "\x00"))
	for _, quotes := range []string{`""`, "''", "``", "“”", "‘’"} {
		opening, closing := string([]rune(quotes)[:1]), string([]rune(quotes)[1:])
		rest, opened := strings.CutPrefix(text, opening)
		switch {
		case !opened:
		case strings.HasSuffix(rest, closing):
			return errors.New("the quotes stand around the whole string: leave them out")
		default:
			return errors.New("a quote stands before the whole string: leave it out; quotes stand around single values only")
		}
	}
	if name, _, _ := strings.Cut(text, "="); strings.EqualFold(strings.TrimSpace(strings.TrimPrefix(name, "export ")), envConnection) {
		return fmt.Errorf("the name %s stands before the string: give what follows its equals sign", envConnection)
	}
	return nil
}

// unknownPart names a key that is not known, but not one that could be the rest of a secret
// with a semicolon in it.
func unknownPart(i int, pairs []pair) error {
	for _, p := range pairs[:i] {
		if key := knownKey(p.key); key == keyAppKey || key == keyFilePassword {
			return fmt.Errorf("part %d has no known key; if it belongs to the value of %s, put that into double quotes", i+1, key)
		}
	}
	if !plainKey(pairs[i].key) {
		return fmt.Errorf("part %d has no known key; known are %s", i+1, strings.Join(connectionKeys(), ", "))
	}
	return fmt.Errorf("part %d has the unknown key %q; known are %s", i+1, pairs[i].key, strings.Join(connectionKeys(), ", "))
}

// plainKey reports whether a key looks like one, rather than like a value gone astray.
func plainKey(key string) bool {
	return len(key) <= 40 && !strings.ContainsFunc(key, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// only refuses parts that would have no effect.
func (c connection) only(form string, keys ...string) error {
	allowed := make(map[string]bool, len(keys))
	for _, key := range keys {
		allowed[key] = true
	}
	for _, key := range connectionKeys() {
		if _, given := c[key]; given && !allowed[key] {
			return fmt.Errorf("%s has no effect together with %s; leave it out", key, form)
		}
	}
	return nil
}

func missing(key, hint string) error {
	return fmt.Errorf("%s is missing; give %s", key, hint)
}

// application checks the parts of an application that proves itself.
func (c connection) application(form string, keys ...string) error {
	if c[keyAppID] == "" {
		return missing(keyAppID, "the application (client) id")
	}
	if c[keyTenantID] == "" {
		return missing(keyTenantID, "the id or a domain of the directory")
	}
	if strings.ContainsFunc(c[keyTenantID], notTenant) {
		return fmt.Errorf("%s has characters that no tenant has; give the GUID, without braces, or a domain of the directory", keyTenantID)
	}
	return c.only(form, append(keys, keyRunAs, keyAppID, keyTenantID)...)
}

func (c connection) fileCertificate(opts *Options) (azcore.TokenCredential, error) {
	certificate, err := c.certificate()
	if err != nil {
		return nil, err
	}
	return NewCertificate(c[keyTenantID], c[keyAppID], certificate, opts)
}

// certificate reads the file that the string names.
func (c connection) certificate() (Certificate, error) {
	content, err := readLimited(c[keyFile], maxCertificateFile)
	if err != nil {
		return Certificate{}, fmt.Errorf("%s: %w", keyFile, err)
	}
	certificate, err := ParseCertificate(content, c[keyFilePassword])
	if err != nil {
		return Certificate{}, fmt.Errorf("%s: %w", keyFile, err)
	}
	return certificate, nil
}

// storeCertificates finds the certificates that the string names, the newest first.
func (c connection) storeCertificates(opts *Options) ([]Certificate, error) {
	key, match, err := c.certificateMatch()
	if err != nil {
		return nil, err
	}
	dir := os.Getenv(envCertificates)
	if opts != nil && opts.CertificateDir != "" {
		dir = opts.CertificateDir
	}
	certificates, err := findCertificates(dir, match)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return certificates, nil
}

func (c connection) storeCertificate(opts *Options) (azcore.TokenCredential, error) {
	certificates, err := c.storeCertificates(opts)
	if err != nil {
		return nil, err
	}
	// The original library always sent the chain, so registrations may rely on it.
	withChain := Options{}
	if opts != nil {
		withChain = *opts
	}
	withChain.SendCertificateChain = true
	// While a certificate is being replaced, the newest may not be registered yet.
	newest := &discovery{again: true}
	for _, certificate := range certificates {
		cred, err := NewCertificate(c[keyTenantID], c[keyAppID], certificate, &withChain)
		if err != nil {
			return nil, err
		}
		newest.all = append(newest.all, cred)
	}
	return newest.only(), nil
}

// certificateMatch prefers the thumbprint when both are given.
func (c connection) certificateMatch() (key string, match func(*x509.Certificate) bool, err error) {
	if c[keyThumbprint] == "" {
		return keySubjectName, bySubject(c[keySubjectName]), nil
	}
	match, err = byThumbprint(c[keyThumbprint])
	if err != nil {
		return "", nil, fmt.Errorf("%s %w", keyThumbprint, err)
	}
	return keyThumbprint, match, nil
}

func azureCLI(opts *Options) (azcore.TokenCredential, error) {
	var tenant string
	if opts != nil {
		tenant = opts.TenantID
	}
	return diagnosed(&diagnostic{name: "Azure CLI"}, func() (azcore.TokenCredential, error) {
		return azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: tenant})
	})
}

var errNoManagedIdentity = errors.New("RunAs=App without AppKey or a certificate means the managed identity of the environment, and the environment names none: IDENTITY_ENDPOINT with IDENTITY_HEADER, or MSI_ENDPOINT, must be set, as App Service does")

// managedIdentity needs no proof: the environment's endpoint knows who asks.
func (c connection) managedIdentity(opts *Options) (azcore.TokenCredential, error) {
	if !managedIdentityNamed(os.Getenv) {
		return nil, errNoManagedIdentity
	}
	options := &azidentity.ManagedIdentityCredentialOptions{}
	if opts != nil && opts.HTTPClient != nil {
		options.Transport = opts.HTTPClient
	} else {
		direct := newBase(nil)
		direct.Proxy = nil // the endpoint is next to the program; its secret goes through no proxy
		options.Transport = &http.Client{Transport: direct, CheckRedirect: followNone}
	}
	limit, given := c.retryTimeout()
	options.Retry = policy.RetryOptions{MaxRetries: 1}
	if given {
		options.Retry = policy.RetryOptions{MaxRetries: 4, RetryDelay: 2 * time.Second} // as the original did
	}
	if id := c[keyAppID]; id != "" {
		options.ID = azidentity.ClientID(id)
	}
	return diagnosed(&diagnostic{name: "managed identity", hide: hidden("", c[keyAppID])}, func() (azcore.TokenCredential, error) {
		cred, err := azidentity.NewManagedIdentityCredential(options)
		if err == nil && limit > 0 {
			return limited{cred, limit}, nil
		}
		return cred, err
	})
}

// retryTimeout is how long a managed identity may be asked again and again, if that is
// given; zero sets no limit.
func (c connection) retryTimeout() (limit time.Duration, given bool) {
	seconds, err := strconv.ParseUint(c[keyMSIRetryTimeout], 10, 31)
	if err != nil { // checked before; not given, then
		return 0, false
	}
	return time.Duration(seconds) * time.Second, true
}

// limited gives up after a time.
type limited struct {
	azcore.TokenCredential
	after time.Duration
}

// GetToken implements azcore.TokenCredential.
func (l limited) GetToken(ctx context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	ctx, cancel := context.WithTimeout(ctx, l.after)
	defer cancel()
	return l.TokenCredential.GetToken(ctx, opts)
}

// managedIdentityNamed reports whether Microsoft's library will use an endpoint from the
// environment, rather than the metadata address of a virtual machine.
func managedIdentityNamed(env func(string) string) bool {
	if env("IDENTITY_ENDPOINT") != "" && (env("IDENTITY_HEADER") != "" || env("IMDS_ENDPOINT") != "") {
		return true
	}
	return env("MSI_ENDPOINT") != ""
}
