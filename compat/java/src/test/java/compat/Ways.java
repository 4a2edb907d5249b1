package compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.aad.msal4j.MsalServiceException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.util.JSONArrayUtils;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.extension.TestWatcher;

/** The tests of one client. A subclass names the library and says how it gets a token. */
abstract class Ways {
    private static final String UNKNOWN_TENANT = "5e0f7a31-93c4-4d57-8b2a-1c6d9e4f0a77";
    private static final String UNKNOWN_SCOPE = "api://nobody/.default";
    private static final String WRONG_SECRET = "not-the-secret-of-this-client";
    private static final HttpClient HTTP =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(20)).build();

    private final String client;
    private final String version;

    Ways(String client, String version) {
        this.client = client;
        this.version = version;
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

    @RegisterExtension
    final TestWatcher recorder = new TestWatcher() {
        @Override
        public void testSuccessful(ExtensionContext test) {
            record(test, "ok");
        }

        @Override
        public void testFailed(ExtensionContext test, Throwable cause) {
            record(test, "FAIL");
        }

        @Override
        public void testAborted(ExtensionContext test, Throwable cause) {
            record(test, "none");
        }

        private void record(ExtensionContext test, String result) {
            String way = test.getRequiredTestMethod().getAnnotation(Way.class).value();
            Environment.record(client, version, way, result);
        }
    };

    @Way("secret")
    void secret() throws Exception {
        accepted(Environment.V2, secretFor(Environment.V2));
    }

    @Way("certificate")
    void certificate() throws Exception {
        accepted(Environment.V2, withCertificate(Environment.CERTIFICATE, false, Environment.V2.scope()));
    }

    @Way("certificate chain")
    void certificateChain() throws Exception {
        accepted(Environment.V2, withCertificate(Environment.CHAIN, true, Environment.V2.scope()));
    }

    @Way("environment")
    void environment() {
        Assumptions.abort("msal4j reads no variables, and Azure Identity's EnvironmentCredential"
                + " cannot be told to leave instance discovery out");
    }

    @Way("v1.0 token")
    void versionOneToken() throws Exception {
        accepted(Environment.V1, secretFor(Environment.V1));
    }

    @Way("no role")
    void noRole() throws Exception {
        String token = withSecret(
                Environment.TENANT, Environment.NO_ROLE_ID, Environment.NO_ROLE_SECRET, Environment.V2.scope());
        assertNull(verified(Environment.V2, token).getClaim("roles"));
        HttpResponse<String> answer = getOrders(Environment.V2, token);
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

    /** Checks that nimbus and the Orders server both take the token. */
    private static void accepted(Environment.Api api, String token) throws Exception {
        assertEquals(List.of("Orders.Read"), verified(api, token).getStringListClaim("roles"));
        HttpResponse<String> answer = getOrders(api, token);
        assertEquals(200, answer.statusCode(), answer.body());
        assertEquals(5, JSONArrayUtils.parse(answer.body()).size());
    }

    private void refused(String code, String tenant, String secret, String scope) {
        Refused refused =
                assertThrows(Refused.class, () -> withSecret(tenant, Environment.CLIENT_ID, secret, scope));
        assertTrue(refused.getMessage().contains(code + ":"), refused.getMessage());
    }

    /**
     * Has nimbus check signature, type, issuer, audience and expiry. Issuer and keys come from the
     * discovery document.
     */
    private static JWTClaimsSet verified(Environment.Api api, String token) throws Exception {
        Map<String, Object> metadata = JSONObjectUtils.parse(
                get(api.issuer().replaceFirst("/$", "") + "/.well-known/openid-configuration"));
        assertEquals(api.issuer(), metadata.get("issuer"));
        JWKSet keys = JWKSet.parse(get(JSONObjectUtils.getString(metadata, "jwks_uri")));

        DefaultJWTProcessor<?> processor = new DefaultJWTProcessor<>();
        processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(JOSEObjectType.JWT));
        processor.setJWSKeySelector(new JWSVerificationKeySelector<>(JWSAlgorithm.RS256, new ImmutableJWKSet<>(keys)));
        processor.setJWTClaimsSetVerifier(new DefaultJWTClaimsVerifier<>(
                api.audience(),
                new JWTClaimsSet.Builder().issuer(api.issuer()).claim("ver", api.version()).build(),
                Set.of("exp", "nbf", "iat")));
        return processor.process(token, null);
    }

    private static String get(String url) throws Exception {
        HttpResponse<String> answer = HTTP.send(
                HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString());
        assertEquals(200, answer.statusCode(), url);
        return answer.body();
    }

    private static HttpResponse<String> getOrders(Environment.Api api, String token) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(api.url()))
                .header("Authorization", "Bearer " + token)
                .build();
        return HTTP.send(request, HttpResponse.BodyHandlers.ofString());
    }
}
