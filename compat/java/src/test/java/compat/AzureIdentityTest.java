package compat;

import com.azure.core.credential.TokenCredential;
import com.azure.core.credential.TokenRequestContext;
import com.azure.identity.AadCredentialBuilderBase;
import com.azure.identity.ClientCertificateCredentialBuilder;
import com.azure.identity.ClientSecretCredentialBuilder;

/** Azure Identity for Java. Its errors wrap the one of the MSAL underneath. */
class AzureIdentityTest extends Ways {
    AzureIdentityTest() {
        super("azure-identity (Java)", Environment.version("com.azure", "azure-identity"));
    }

    @Override
    String withSecret(String tenant, String clientId, String secret, String scope) throws Exception {
        ClientSecretCredentialBuilder builder = new ClientSecretCredentialBuilder().clientSecret(secret);
        return token(at(builder, tenant, clientId).build(), scope);
    }

    @Override
    String withCertificate(Environment.Certificate certificate, boolean chain, String scope) throws Exception {
        ClientCertificateCredentialBuilder builder = new ClientCertificateCredentialBuilder()
                .pemCertificate(certificate.path().toString())
                .sendCertificateChain(chain);
        return token(at(builder, Environment.TENANT, Environment.CLIENT_ID).build(), scope);
    }

    private static <T extends AadCredentialBuilderBase<T>> T at(T builder, String tenant, String clientId) {
        return builder.authorityHost(Environment.AUTHORITY)
                .tenantId(tenant)
                .clientId(clientId)
                .disableInstanceDiscovery();
    }

    private static String token(TokenCredential credential, String scope) throws Exception {
        try {
            return credential.getTokenSync(new TokenRequestContext().addScopes(scope)).getToken();
        } catch (RuntimeException e) {
            throw refusal(e);
        }
    }
}
