package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/credential"
)

// A ConnectionReport explains a connection string of the App Authentication library. It
// never contains a secret.
type ConnectionReport struct {
	Accepted bool                      `json:"accepted"` // credential.Parse accepts it
	Kind     string                    `json:"kind"`
	Means    string                    `json:"means"`
	Parts    []ConnectionPart          `json:"parts"`
	Missing  []string                  `json:"missing,omitempty"`
	Problem  string                    `json:"problem,omitempty"` // why credential.Parse refuses it
	Here     string                    `json:"here,omitempty"`    // what this machine lacks for it
	DotNet   string                    `json:"dotNet,omitempty"`  // why the App Authentication library would refuse it on this system
	Migrate  map[string]string         `json:"migrate,omitempty"` // to Azure.Identity, by language
	kind     credential.ConnectionKind // selects the migration
	values   map[string]string         // by key, without secrets
}

// A ConnectionPart is one part of the string, and its purpose.
type ConnectionPart struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"` // left out for secrets
	For   string `json:"for"`
}

// Languages lists the programming languages of a migration.
func Languages() []string { return []string{"Go", "C#", "Python", "JavaScript"} }

// Connection explains a connection string.
func Connection(text string) *ConnectionReport {
	c := credential.Describe(text)
	r := &ConnectionReport{
		Accepted: c.Err == nil, Kind: string(c.Kind), Missing: c.Missing, Parts: []ConnectionPart{}, kind: c.Kind, values: map[string]string{},
	}
	if c.Err != nil {
		r.Problem = c.Err.Error()
	}
	if c.Here != nil {
		r.Here = c.Here.Error()
	}
	if c.DotNet != nil {
		r.DotNet = c.DotNet.Error()
	}
	for _, p := range c.Parts {
		part := ConnectionPart{Key: p.Key, Value: p.Value, For: partPurpose(p.Key)}
		if part.Value != "" && !isPlainValue(part.Value) {
			part.Value = "" // it contains more than it should, perhaps a secret
		}
		r.values[p.Key] = part.Value
		r.Parts = append(r.Parts, part)
	}
	r.Means = r.means()
	r.Migrate = r.migration()
	return r
}

// isPlainValue reports whether a value contains no other part: a forgotten semicolon makes a
// secret part of the value before it.
func isPlainValue(value string) bool {
	folded := strings.ToLower(value)
	return !slices.ContainsFunc([]string{"appkey", "certificatepassword"}, func(key string) bool { return strings.Contains(folded, key) })
}

func partPurpose(key string) string {
	switch key {
	case "RunAs":
		return "who requests tokens: an application, a developer, or the Windows account"
	case "DeveloperTool":
		return "where the developer is signed in"
	case "AppId":
		return "the application, or the managed identity, by its client id"
	case "TenantId":
		return "the tenant of the application"
	case "AppKey":
		return "the application's secret (not shown)"
	case "CertificateThumbprint":
		return "the application's certificate, by its SHA-1 thumbprint"
	case "CertificateSubjectName":
		return "the application's certificate, by its subject name; the newest valid one is used"
	case "CertificateStoreLocation":
		return "where the certificate is; on systems other than Windows, a folder of PEM files"
	case "KeyVaultCertificateSecretIdentifier":
		return "the key vault that the certificate is downloaded from"
	case "KeyVaultUserAssignedManagedIdentityId":
		return "the managed identity that reads the key vault"
	case "MsiRetryTimeout":
		return "for how many seconds requests to a managed identity's endpoint are retried"
	case "CertificateFile":
		return "the file of the application's certificate and key"
	case "CertificatePassword":
		return "the password of that file (not shown)"
	}
	return ""
}

// means says in a sentence whom the string identifies.
func (r *ConnectionReport) means() string {
	app := fmt.Sprintf("The application %s of the tenant %s", orUnknown(r.values["AppId"]), orUnknown(r.values["TenantId"]))
	switch r.kind {
	case credential.ConnectionSecret:
		return app + ", which proves itself by a secret."
	case credential.ConnectionStoreCertificate:
		return app + ", which proves itself by a certificate in a certificate store."
	case credential.ConnectionFileCertificate:
		return app + ", which proves itself by a certificate in a file."
	case credential.ConnectionKeyVault:
		return app + ", which proves itself by a certificate that it downloads from a key vault."
	case credential.ConnectionManagedIdentity:
		if id := r.values["AppId"]; id != "" {
			return "The user-assigned managed identity " + id + " of the host that the program runs on."
		}
		return "The system-assigned managed identity of the host that the program runs on."
	case credential.ConnectionAzureCLI:
		return "The account that is signed in to az on this machine."
	case credential.ConnectionVisualStudio:
		return "The account that is signed in to Visual Studio, on Windows."
	case credential.ConnectionCurrentUser:
		return "The Windows account that the program runs under; this works with .NET Framework only."
	default:
		return "Nobody: parts are missing, or contradict each other."
	}
}

func orUnknown(value string) string {
	if value == "" {
		return "(not given)"
	}
	return value
}
