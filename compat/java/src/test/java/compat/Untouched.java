package compat;

import com.azure.core.credential.TokenCredential;
import com.azure.core.credential.TokenRequestContext;
import com.azure.identity.AzureCliCredentialBuilder;
import com.azure.identity.AzureDeveloperCliCredentialBuilder;
import com.azure.identity.ClientCertificateCredentialBuilder;
import com.azure.identity.ClientSecretCredentialBuilder;
import com.azure.identity.DefaultAzureCredentialBuilder;
import com.azure.identity.EnvironmentCredentialBuilder;
import com.azure.identity.ManagedIdentityCredentialBuilder;
import com.azure.identity.WorkloadIdentityCredentialBuilder;
import com.microsoft.aad.msal4j.ClientCredentialFactory;
import com.microsoft.aad.msal4j.ClientCredentialParameters;
import com.microsoft.aad.msal4j.ConfidentialClientApplication;
import com.microsoft.aad.msal4j.IClientCredential;
import com.microsoft.aad.msal4j.ManagedIdentityApplication;
import com.microsoft.aad.msal4j.ManagedIdentityId;
import com.microsoft.aad.msal4j.ManagedIdentityParameters;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;

/**
 * Asks for tokens as programs for Microsoft's cloud do: with the public authority in their source,
 * or none at all, and no option set. Prints what came of each way, for each library that has it:
 *
 * <pre>
 * Untouched WAY...
 * </pre>
 *
 * A line is client, version, way, "token" or "refused" or "error", and the token or what the library
 * said, with tabs between them.
 */
final class Untouched {
    private static final String AUTHORITY = "https://login.microsoftonline.com/";
    private static final String UNKNOWN_TENANT = "5e0f7a31-93c4-4d57-8b2a-1c6d9e4f0a77";
    private static final String WRONG_SECRET = "not-the-secret-of-this-client";

    private static final String TENANT = System.getenv("AZURE_TENANT_ID");
    private static final String CLIENT_ID = System.getenv("AZURE_CLIENT_ID");
    private static final String SECRET = System.getenv("AZURE_CLIENT_SECRET");
    private static final String SCOPE = System.getenv("COMPAT_V2_RESOURCE") + "/.default";
    private static final String SCOPE_V1 = System.getenv("COMPAT_V1_RESOURCE") + "/.default";

    private Untouched() {}

    public static void main(String[] args) {
        say("azure-identity (Java)", Probe.version("com.azure", "azure-identity"), azureIdentity(), args);
        say("msal4j", Probe.version("com.microsoft.azure", "msal4j"), msal(), args);
        System.exit(0);
    }

    private static void say(String client, String version, Map<String, Callable<String>> ways, String[] names) {
        for (String name : names) {
            Callable<String> way = ways.get(name);
            if (way == null) {
                continue;
            }
            String outcome = "token";
            String text;
            try {
                text = way.call();
            } catch (Exception e) {
                outcome = Probe.isOwn(e) ? "refused" : "error";
                StringBuilder told = new StringBuilder();
                for (Throwable cause = e; cause != null; cause = cause.getCause()) {
                    told.append(cause).append(' ');
                }
                text = told.toString();
            }
            System.out.println(String.join("\t", client, version, name, outcome, text.strip().replaceAll("\\s+", " ")));
        }
    }

    private static Map<String, Callable<String>> azureIdentity() {
        Map<String, Callable<String>> ways = new LinkedHashMap<>();
        ways.put("secret", () -> withSecret(TENANT, SECRET, SCOPE));
        ways.put("certificate", () -> withCertificate("COMPAT_CERT", false));
        ways.put("certificate chain", () -> withCertificate("COMPAT_CHAIN", true));
        ways.put("environment", () -> token(new EnvironmentCredentialBuilder().build(), SCOPE));
        ways.put("DefaultAzureCredential", () -> token(new DefaultAzureCredentialBuilder().build(), SCOPE));
        ways.put("v1.0 token", () -> withSecret(TENANT, SECRET, SCOPE_V1));
        ways.put("wrong secret", () -> withSecret(TENANT, WRONG_SECRET, SCOPE));
        ways.put("unknown tenant", () -> withSecret(UNKNOWN_TENANT, SECRET, SCOPE));
        ways.put("managed identity", () -> token(new ManagedIdentityCredentialBuilder().build(), SCOPE));
        ways.put("IMDS", ways.get("managed identity"));
        ways.put("workload identity", () -> token(new WorkloadIdentityCredentialBuilder().build(), SCOPE));
        ways.put("az", () -> token(new AzureCliCredentialBuilder().build(), SCOPE));
        ways.put("azd", () -> token(new AzureDeveloperCliCredentialBuilder().build(), SCOPE));
        return ways;
    }

    private static String withSecret(String tenant, String secret, String scope) {
        ClientSecretCredentialBuilder builder =
                new ClientSecretCredentialBuilder().tenantId(tenant).clientId(CLIENT_ID).clientSecret(secret);
        return token(builder.build(), scope);
    }

    private static String withCertificate(String variable, boolean chain) {
        ClientCertificateCredentialBuilder builder = new ClientCertificateCredentialBuilder()
                .tenantId(TENANT)
                .clientId(CLIENT_ID)
                .pemCertificate(System.getenv(variable))
                .sendCertificateChain(chain);
        return token(builder.build(), SCOPE);
    }

    private static String token(TokenCredential credential, String scope) {
        return credential
                .getTokenSync(new TokenRequestContext().addScopes(scope))
                .getToken();
    }

    private static Map<String, Callable<String>> msal() {
        Map<String, Callable<String>> ways = new LinkedHashMap<>();
        ways.put("secret", () -> msal(TENANT, SECRET, SCOPE));
        ways.put("certificate", () -> msal("COMPAT_CERT", false));
        ways.put("certificate chain", () -> msal("COMPAT_CHAIN", true));
        ways.put("v1.0 token", () -> msal(TENANT, SECRET, SCOPE_V1));
        ways.put("wrong secret", () -> msal(TENANT, WRONG_SECRET, SCOPE));
        ways.put("unknown tenant", () -> msal(UNKNOWN_TENANT, SECRET, SCOPE));
        ways.put("managed identity", Untouched::msalManaged);
        ways.put("IMDS", Untouched::msalManaged);
        return ways;
    }

    private static String msal(String tenant, String secret, String scope) throws Exception {
        return msal(tenant, ClientCredentialFactory.createFromSecret(secret), false, scope);
    }

    private static String msal(String variable, boolean chain) throws Exception {
        Environment.Certificate certificate = new Environment.Certificate(Path.of(System.getenv(variable)));
        IClientCredential credential =
                ClientCredentialFactory.createFromCertificateChain(certificate.key(), certificate.certificates());
        return msal(TENANT, credential, chain, SCOPE);
    }

    private static String msal(String tenant, IClientCredential credential, boolean chain, String scope)
            throws Exception {
        return ConfidentialClientApplication.builder(CLIENT_ID, credential)
                .authority(AUTHORITY + tenant + "/")
                .sendX5c(chain)
                .build()
                .acquireToken(ClientCredentialParameters.builder(Set.of(scope)).build())
                .get()
                .accessToken();
    }

    private static String msalManaged() throws Exception {
        return ManagedIdentityApplication.builder(ManagedIdentityId.systemAssigned())
                .build()
                .acquireTokenForManagedIdentity(ManagedIdentityParameters.builder(System.getenv("COMPAT_V2_RESOURCE"))
                        .build())
                .get()
                .accessToken();
    }
}
