package compat;

import static org.junit.jupiter.api.Assertions.assertEquals;

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

/** Whether others than the client like a token: nimbus, and the Orders server. */
final class Verified {
    private static final HttpClient HTTP =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(20)).build();

    private Verified() {}

    /** Checks that nimbus and the Orders server both take the token. */
    static void accepted(Environment.Api api, String token) throws Exception {
        assertEquals(List.of("Orders.Read"), claims(api, token).getStringListClaim("roles"));
        HttpResponse<String> answer = getOrders(api, token);
        assertEquals(200, answer.statusCode(), answer.body());
        assertEquals(5, JSONArrayUtils.parse(answer.body()).size());
    }

    /** Checks that the Orders server, whose callers are applications, refuses a user's token. */
    static void userRefused(Environment.Api api, String token) throws Exception {
        HttpResponse<String> answer = getOrders(api, token);
        assertEquals(403, answer.statusCode(), answer.body());
        assertEquals("caller_kind", JSONObjectUtils.parse(answer.body()).get("reason"));
    }

    /**
     * Has nimbus check signature, type, issuer, audience and expiry. Issuer and keys come from the
     * discovery document.
     */
    static JWTClaimsSet claims(Environment.Api api, String token) throws Exception {
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

    static HttpResponse<String> getOrders(Environment.Api api, String token) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(api.url()))
                .header("Authorization", "Bearer " + token)
                .build();
        return HTTP.send(request, HttpResponse.BodyHandlers.ofString());
    }
}
