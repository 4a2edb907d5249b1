package compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.aad.msal4j.MsalServiceException;
import com.nimbusds.jose.util.JSONObjectUtils;
import java.net.http.HttpResponse;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The tests of one client. A subclass names the library and says how it gets a token. */
abstract class Ways {
    private static final String UNKNOWN_TENANT = "5e0f7a31-93c4-4d57-8b2a-1c6d9e4f0a77";
    private static final String UNKNOWN_SCOPE = "api://nobody/.default";
    private static final String WRONG_SECRET = "not-the-secret-of-this-client";

    @RegisterExtension
    final Recorder recorder;

    Ways(String client, String version) {
        this.recorder = new Recorder(client, version);
    }

    /** The authority's answer, taken from the error that the library itself raised. */
    static final class Refused extends Exception {
        Refused(Throwable cause) {
            super(cause.getMessage(), cause);
        }
    }

    /** Finds MSAL's own error behind another; an error that hides none is returned as it is. */
    static Exception refusal(Exception error) {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof MsalServiceException) {
                return new Refused(cause);
            }
        }
        return error;
    }

    /** Returns an access token, or throws Refused for the library's own error. */
    abstract String withSecret(String tenant, String clientId, String secret, String scope) throws Exception;

    /** Returns an access token; with chain the certificates go along (x5c). */
    abstract String withCertificate(Environment.Certificate certificate, boolean chain, String scope)
            throws Exception;

    @Way("secret")
    void secret() throws Exception {
        Verified.accepted(Environment.V2, secretFor(Environment.V2));
    }

    @Way("certificate")
    void certificate() throws Exception {
        Verified.accepted(Environment.V2, withCertificate(Environment.CERTIFICATE, false, Environment.V2.scope()));
    }

    @Way("certificate chain")
    void certificateChain() throws Exception {
        Verified.accepted(Environment.V2, withCertificate(Environment.CHAIN, true, Environment.V2.scope()));
    }

    @Way("environment")
    void environment() {
        Assumptions.abort("msal4j reads no variables, and Azure Identity's EnvironmentCredential"
                + " cannot be told to leave instance discovery out");
    }

    @Way("v1.0 token")
    void versionOneToken() throws Exception {
        Verified.accepted(Environment.V1, secretFor(Environment.V1));
    }

    @Way("no role")
    void noRole() throws Exception {
        String token = withSecret(
                Environment.TENANT, Environment.NO_ROLE_ID, Environment.NO_ROLE_SECRET, Environment.V2.scope());
        assertNull(Verified.claims(Environment.V2, token).getClaim("roles"));
        HttpResponse<String> answer = Verified.getOrders(Environment.V2, token);
        assertEquals(403, answer.statusCode(), answer.body());
        assertEquals("role_missing", JSONObjectUtils.parse(answer.body()).get("reason"));
    }

    @Way("wrong secret")
    void wrongSecret() {
        refused("AADSTS7000215", Environment.TENANT, WRONG_SECRET, Environment.V2.scope());
    }

    @Way("unknown tenant")
    void unknownTenant() {
        refused("AADSTS90002", UNKNOWN_TENANT, Environment.SECRET, Environment.V2.scope());
    }

    @Way("unknown resource")
    void unknownResource() {
        refused("AADSTS500011", Environment.TENANT, Environment.SECRET, UNKNOWN_SCOPE);
    }

    private String secretFor(Environment.Api api) throws Exception {
        return withSecret(Environment.TENANT, Environment.CLIENT_ID, Environment.SECRET, api.scope());
    }

    private void refused(String code, String tenant, String secret, String scope) {
        Refused refused =
                assertThrows(Refused.class, () -> withSecret(tenant, Environment.CLIENT_ID, secret, scope));
        assertTrue(refused.getMessage().contains(code + ":"), refused.getMessage());
    }
}
