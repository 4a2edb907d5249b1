package explain

import (
	"fmt"
	"strings"

	"github.com/rolecall-auth/rolecall/credential"
)

// migration writes the credential for Azure.Identity, in each language. Secrets come from the
// environment. Credentials that ask an authority do so without instance discovery, for which the
// libraries would first ask Microsoft's cloud whether it knows the authority.
func (r *ConnectionReport) migration() map[string]string {
	tenant, client := quoted(r.values["TenantId"], "TENANT-ID"), quoted(r.values["AppId"], "CLIENT-ID")
	switch r.kind {
	case credential.ConnectionSecret:
		return inLanguages(
			fmt.Sprintf(`cred, err := azidentity.NewClientSecretCredential(%s, %s, os.Getenv("AZURE_CLIENT_SECRET"),
	&azidentity.ClientSecretCredentialOptions{DisableInstanceDiscovery: true})`, tenant, client),
			fmt.Sprintf(`var credential = new ClientSecretCredential(%s, %s, Environment.GetEnvironmentVariable("AZURE_CLIENT_SECRET"),
    new ClientSecretCredentialOptions { DisableInstanceDiscovery = true });`, tenant, client),
			fmt.Sprintf(`credential = ClientSecretCredential(%s, %s, os.environ["AZURE_CLIENT_SECRET"], disable_instance_discovery=True)`, tenant, client),
			fmt.Sprintf(`const credential = new ClientSecretCredential(%s, %s, process.env.AZURE_CLIENT_SECRET, { disableInstanceDiscovery: true });`, tenant, client),
		)
	case credential.ConnectionStoreCertificate, credential.ConnectionKeyVault:
		return r.withCertificate(tenant, client, "client.pem", true)
	case credential.ConnectionFileCertificate:
		return r.withCertificate(tenant, client, r.values["CertificateFile"], false)
	case credential.ConnectionManagedIdentity:
		return r.withManagedIdentity(client)
	case credential.ConnectionAzureCLI, credential.ConnectionVisualStudio, credential.ConnectionCurrentUser:
		sharp := "var credential = new AzureCliCredential();"
		if r.kind == credential.ConnectionVisualStudio {
			sharp = "var credential = new VisualStudioCredential();"
		}
		return inLanguages(
			"cred, err := azidentity.NewAzureCLICredential(nil)", sharp, "credential = AzureCliCredential()", "const credential = new AzureCliCredential();",
		)
	default:
		return nil
	}
}

// withCertificate is for a certificate in a file. One in a store or vault has to be exported
// first; the App Authentication library always sent the chain of such a certificate.
func (r *ConnectionReport) withCertificate(tenant, client, file string, chain bool) map[string]string {
	path := quoted(file, "client.pem")
	var also [4]string
	if chain {
		also = [4]string{", SendCertificateChain: true", ", SendCertificateChain = true", ", send_certificate_chain=True", ", sendCertificateChain: true"}
	}
	options := [4]string{
		"&azidentity.ClientCertificateCredentialOptions{DisableInstanceDiscovery: true" + also[0] + "}",
		", new ClientCertificateCredentialOptions { DisableInstanceDiscovery = true" + also[1] + " }",
		", disable_instance_discovery=True" + also[2],
		", { disableInstanceDiscovery: true" + also[3] + " }",
	}
	password := [2]string{"nil", ""}
	if _, given := r.values["CertificatePassword"]; given {
		password = [2]string{`[]byte(os.Getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD"))`, `, password=os.environ["AZURE_CLIENT_CERTIFICATE_PASSWORD"]`}
	}
	sharp := fmt.Sprintf(`var credential = new ClientCertificateCredential(%s, %s, %s%s);`, tenant, client, path, options[1])
	if thumbprint := r.values["CertificateThumbprint"]; thumbprint != "" && r.kind == credential.ConnectionStoreCertificate {
		sharp = fmt.Sprintf("using var store = new X509Store(StoreLocation.%s);\nstore.Open(OpenFlags.ReadOnly);\n"+
			"var certificate = store.Certificates.Find(X509FindType.FindByThumbprint, %q, false)[0];\n"+
			"var credential = new ClientCertificateCredential(%s, %s, certificate%s);", storeLocation(r.values["CertificateStoreLocation"]), thumbprint, tenant, client, options[1])
	}
	return inLanguages(
		fmt.Sprintf("content, err := os.ReadFile(%s)\ncerts, key, err := azidentity.ParseCertificates(content, %s)\n"+
			"cred, err := azidentity.NewClientCertificateCredential(%s, %s, certs, key, %s)", path, password[0], tenant, client, options[0]),
		sharp,
		fmt.Sprintf("credential = CertificateCredential(%s, %s, %s%s%s)", tenant, client, path, password[1], options[2]),
		fmt.Sprintf("const credential = new ClientCertificateCredential(%s, %s, { certificatePath: %s }%s);", tenant, client, path, options[3]),
	)
}

func storeLocation(text string) string {
	if strings.EqualFold(text, "LocalMachine") {
		return "LocalMachine"
	}
	return "CurrentUser"
}

func (r *ConnectionReport) withManagedIdentity(client string) map[string]string {
	if r.values["AppId"] == "" {
		return inLanguages(
			"cred, err := azidentity.NewManagedIdentityCredential(nil)",
			"var credential = new ManagedIdentityCredential(ManagedIdentityId.SystemAssigned);",
			"credential = ManagedIdentityCredential()",
			"const credential = new ManagedIdentityCredential();",
		)
	}
	return inLanguages(
		fmt.Sprintf("cred, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ID: azidentity.ClientID(%s)})", client),
		fmt.Sprintf("var credential = new ManagedIdentityCredential(ManagedIdentityId.FromUserAssignedClientId(%s));", client),
		fmt.Sprintf("credential = ManagedIdentityCredential(client_id=%s)", client),
		fmt.Sprintf("const credential = new ManagedIdentityCredential({ clientId: %s });", client),
	)
}

// inLanguages pairs code with the languages, and adds the request for a token, which is by
// scope now and was by resource.
func inLanguages(code ...string) map[string]string {
	requests := []string{
		`token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"api://orders/.default"}})`,
		`var token = await credential.GetTokenAsync(new TokenRequestContext(["api://orders/.default"]));`,
		`token = credential.get_token("api://orders/.default")`,
		`const token = await credential.getToken("api://orders/.default");`,
	}
	snippets := map[string]string{}
	for i, language := range Languages() {
		snippets[language] = code[i] + "\n" + requests[i]
	}
	return snippets
}

// quoted is a string literal that all four languages read alike.
func quoted(value, otherwise string) string {
	if value == "" {
		value = otherwise
	}
	return fmt.Sprintf("%q", value)
}
