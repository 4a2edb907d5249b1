package compat;

import com.azure.core.credential.TokenCredential;
import com.azure.core.credential.TokenRequestContext;
import com.azure.core.exception.ClientAuthenticationException;
import com.azure.identity.AzureCliCredentialBuilder;
import com.azure.identity.AzureDeveloperCliCredentialBuilder;
import com.azure.identity.CredentialUnavailableException;
import com.azure.identity.DefaultAzureCredentialBuilder;
import com.azure.identity.ManagedIdentityCredentialBuilder;
import com.azure.identity.WorkloadIdentityCredentialBuilder;
import com.microsoft.aad.msal4j.ManagedIdentityApplication;
import com.microsoft.aad.msal4j.ManagedIdentityId;
import com.microsoft.aad.msal4j.ManagedIdentityParameters;
import com.microsoft.aad.msal4j.MsalException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Properties;

/**
 * A program as a user of Azure's libraries for Java writes it: it gets a token as the identity that
 * its environment gives it, and prints it.
 *
 * <pre>
 * Probe identity|msal system
 * Probe identity|msal client|object|resource ID
 * Probe identity workload|default|az|azd
 * </pre>
 *
 * A refusal that the library reports in an error of its own is exit code 3, with the text on stderr;
 * everything else that goes wrong is 1.
 */
final class Probe {
    private static final String RESOURCE = System.getenv("COMPAT_V2_RESOURCE");

    private Probe() {}

    /** Tells where this program and its libraries are, within a test. */
    static String classPath() {
        return System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    }

    /** Tells which version of an artifact is on the class path. */
    static String version(String group, String artifact) {
        String path = "/META-INF/maven/" + group + "/" + artifact + "/pom.properties";
        try (InputStream in = Probe.class.getResourceAsStream(path)) {
            Properties properties = new Properties();
            properties.load(in);
            return properties.getProperty("version");
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    public static void main(String[] args) {
        String id = args.length > 2 ? args[2] : null;
        try {
            System.out.println(args[0].equals("msal") ? msal(args[1], id) : identity(args[1], id));
            System.exit(0);
        } catch (Exception e) {
            boolean own = isOwn(e);
            if (own) { // the reason is in an error behind it
                for (Throwable told = e; told != null; told = told.getCause()) {
                    System.err.println(told.getMessage());
                }
            } else {
                e.printStackTrace();
            }
            System.exit(own ? 3 : 1);
        }
    }

    private static String msal(String way, String id) throws Exception {
        ManagedIdentityId identity =
                switch (way) {
                    case "client" -> ManagedIdentityId.userAssignedClientId(id);
                    case "object" -> ManagedIdentityId.userAssignedObjectId(id);
                    case "resource" -> ManagedIdentityId.userAssignedResourceId(id);
                    default -> ManagedIdentityId.systemAssigned();
                };
        return ManagedIdentityApplication.builder(identity)
                .build()
                .acquireTokenForManagedIdentity(
                        ManagedIdentityParameters.builder(RESOURCE).build())
                .get()
                .accessToken();
    }

    private static String identity(String way, String id) {
        return credential(way, id)
                .getTokenSync(new TokenRequestContext().addScopes(RESOURCE + "/.default"))
                .getToken();
    }

    private static TokenCredential credential(String way, String id) {
        ManagedIdentityCredentialBuilder managed = new ManagedIdentityCredentialBuilder();
        return switch (way) {
            case "workload" -> new WorkloadIdentityCredentialBuilder()
                    .disableInstanceDiscovery()
                    .build();
            case "default" -> new DefaultAzureCredentialBuilder().build();
            case "az" -> new AzureCliCredentialBuilder().build();
            case "azd" -> new AzureDeveloperCliCredentialBuilder().build();
            case "client" -> managed.clientId(id).build();
            case "object" -> managed.objectId(id).build();
            case "resource" -> managed.resourceId(id).build();
            default -> managed.build();
        };
    }

    static boolean isOwn(Throwable error) {
        for (Throwable e = error; e != null; e = e.getCause()) {
            if (e instanceof CredentialUnavailableException
                    || e instanceof ClientAuthenticationException
                    || e instanceof MsalException) {
                return true;
            }
        }
        return false;
    }
}
