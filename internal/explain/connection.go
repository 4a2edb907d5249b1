package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/credential"
)

// A ConnectionReport explains a connection string of the App Authentication library. It
// never holds a secret.
type ConnectionReport struct {
	Accepted bool                      `json:"accepted"` // credential.Parse takes it
	Kind     string                    `json:"kind"`
	Means    string                    `json:"means"`
	Parts    []ConnectionPart          `json:"parts"`
	Missing  []string                  `json:"missing,omitempty"`
	Problem  string                    `json:"problem,omitempty"`
	Migrate  map[string]string         `json:"migrate,omitempty"` // to Azure.Identity, by language
	kind     credential.ConnectionKind // decides on the migration
	values   map[string]string         // by key, without secrets
}

// A ConnectionPart is one part and what it is for.
type ConnectionPart struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"` // not of secrets
	For   string `json:"for"`
}

// Languages lists those that a migration is written in.
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
	for _, p := range c.Parts {
		part := ConnectionPart{Key: p.Key, Value: p.Value, For: partPurpose(p.Key)}
		if part.Value != "" && !isPlainValue(part.Value) {
			part.Value = "" // more than such a value holds: a secret may have slipped in
		}
		r.values[p.Key] = part.Value
		r.Parts = append(r.Parts, part)
	}
	r.Means = r.means()
	r.Migrate = r.migration()
	return r
}

// isPlainValue reports whether a value is nothing but what it should be: a forgotten
// semicolon makes a secret part of whichever value comes before it.
func isPlainValue(value string) bool {
	folded := strings.ToLower(value)
	return !slices.ContainsFunc([]string{"appkey", "certificatepassword"}, func(key string) bool { return strings.Contains(folded, key) })
}

func partPurpose(key string) string {
	switch key {
	case "RunAs":
		return "who asks for tokens: an application, a developer, or the Windows account"
	case "DeveloperTool":
		return "where the developer is signed in"
	case "AppId":
		return "the application, or the managed identity, by its client id"
	case "TenantId":
		return "the directory that the application is in"
	case "AppKey":
		return "the application's secret (not shown)"
	case "CertificateThumbprint":
		return "the application's certificate, by its SHA-1"
	case "CertificateSubjectName":
		return "the application's certificate, by its name; the newest that is valid"
	case "CertificateStoreLocation":
		return "where the certificate is; away from Windows, a folder of PEM files"
	case "KeyVaultCertificateSecretIdentifier":
		return "the key vault that the certificate is downloaded from"
	case "KeyVaultUserAssignedManagedIdentityId":
		return "the managed identity that may read the key vault"
	case "MsiRetryTimeout":
		return "how many seconds a managed identity's endpoint is asked again"
	case "CertificateFile":
		return "the file of the application's certificate and key"
	case "CertificatePassword":
		return "the password of that file (not shown)"
	}
	return ""
}

// means says in a sentence who the string stands for.
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
		return "Whoever is signed in with az on this machine."
	case credential.ConnectionVisualStudio:
		return "Whoever is signed in to Visual Studio, on Windows."
	case credential.ConnectionCurrentUser:
		return "The Windows account that the program runs under, with .NET Framework only."
	default:
		return "Nobody: the string says too little, or too much."
	}
}

func orUnknown(value string) string {
	if value == "" {
		return "(not given)"
	}
	return value
}
