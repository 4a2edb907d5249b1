package compat;

import com.microsoft.aad.msal4j.ClientCredentialFactory;
import com.microsoft.aad.msal4j.ClientCredentialParameters;
import com.microsoft.aad.msal4j.ConfidentialClientApplication;
import com.microsoft.aad.msal4j.IClientCredential;
import java.util.Set;
import java.util.concurrent.ExecutionException;

/** MSAL for Java: msal4j. */
class Msal4jTest extends Ways {
    Msal4jTest() {
        super("msal4j", Environment.version("com.microsoft.azure", "msal4j"));
    }

    @Override
    String withSecret(String tenant, String clientId, String secret, String scope) throws Exception {
        return token(tenant, clientId, ClientCredentialFactory.createFromSecret(secret), false, scope);
    }

    @Override
    String withCertificate(Environment.Certificate certificate, boolean chain, String scope) throws Exception {
        IClientCredential credential =
                ClientCredentialFactory.createFromCertificateChain(certificate.key(), certificate.certificates());
        return token(Environment.TENANT, Environment.CLIENT_ID, credential, chain, scope);
    }

    private static String token(
            String tenant, String clientId, IClientCredential credential, boolean chain, String scope)
            throws Exception {
        ConfidentialClientApplication app = ConfidentialClientApplication.builder(clientId, credential)
                .authority(Environment.AUTHORITY + "/" + tenant + "/")
                .validateAuthority(false)
                .instanceDiscovery(false)
                .sendX5c(chain)
                .build();
        try {
            return app.acquireToken(ClientCredentialParameters.builder(Set.of(scope)).build())
                    .get()
                    .accessToken();
        } catch (ExecutionException e) {
            throw refusal(e);
        }
    }
}
