package compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.aad.msal4j.DeviceCode;
import com.microsoft.aad.msal4j.DeviceCodeFlowParameters;
import com.microsoft.aad.msal4j.IAuthenticationResult;
import com.microsoft.aad.msal4j.PublicClientApplication;
import com.microsoft.aad.msal4j.RefreshTokenParameters;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.jwt.JWTClaimsSet;
import java.net.CookieManager;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Signs users in on a device with MSAL. Their tokens are not for an API of applications, whatever
 * role they have.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class Msal4jUsersTest {
    @RegisterExtension
    final Recorder recorder = new Recorder("msal4j", Environment.version("com.microsoft.azure", "msal4j"));

    private PublicClientApplication app;
    private IAuthenticationResult user;

    @BeforeAll
    void deviceCode() throws Exception {
        app = app();
        user = deviceCode(app, Environment.USER);
    }

    @Way("device code")
    void deviceCodeGivesAScope() throws Exception {
        JWTClaimsSet claims = Verified.claims(Environment.V2, user.accessToken());
        assertEquals("Orders.List", claims.getStringClaim("scp"));
        assertNull(claims.getClaim("roles"));
    }

    /**
     * Redeems the refresh token that lies in MSAL's cache. acquireTokenSilently, which would do the
     * same, asks the authority's host without its port.
     */
    @Way("refresh")
    void refresh() throws Exception {
        Map<String, Object> kept =
                JSONObjectUtils.getJSONObject(JSONObjectUtils.parse(app.tokenCache().serialize()), "RefreshToken");
        String refreshToken =
                (String) ((Map<?, ?>) kept.values().iterator().next()).get("secret");
        IAuthenticationResult other = app.acquireToken(
                        RefreshTokenParameters.builder(scopes(Environment.V1), refreshToken)
                                .build())
                .get();
        assertEquals(
                "Orders.List",
                Verified.claims(Environment.V1, other.accessToken()).getStringClaim("scp"));
    }

    @Way("user refused")
    void userRefused() throws Exception {
        Verified.userRefused(Environment.V2, user.accessToken());
    }

    @Way("user with the role refused")
    void userWithTheRoleRefused() throws Exception {
        IAuthenticationResult lead = deviceCode(app(), Environment.USER_WITH_ROLE);
        assertEquals(
                List.of("Orders.Read"),
                Verified.claims(Environment.V2, lead.accessToken()).getStringListClaim("roles"));
        Verified.userRefused(Environment.V2, lead.accessToken());
    }

    private static PublicClientApplication app() throws Exception {
        return PublicClientApplication.builder(Environment.APP_ID)
                .authority(Environment.AUTHORITY + "/" + Environment.TENANT + "/")
                .validateAuthority(false)
                .instanceDiscovery(false)
                .build();
    }

    private static Set<String> scopes(Environment.Api api) {
        return Set.of(api.resource() + "/Orders.List");
    }

    /** Has MSAL sign a user in who types the code that it shows. */
    private static IAuthenticationResult deviceCode(PublicClientApplication app, String name) throws Exception {
        CompletableFuture<DeviceCode> shown = new CompletableFuture<>();
        CompletableFuture<IAuthenticationResult> result = app.acquireToken(
                DeviceCodeFlowParameters.builder(scopes(Environment.V2), shown::complete)
                        .build());
        signIn(CompletableFuture.anyOf(shown, result).thenApply(DeviceCode.class::cast).get(), name);
        return result.get();
    }

    /**
     * Does what a user does in a browser without script: type the code, sign in, and say that the
     * device is theirs.
     */
    private static void signIn(DeviceCode device, String name) throws Exception {
        HttpClient browser = HttpClient.newBuilder()
                .cookieHandler(new CookieManager())
                .followRedirects(HttpClient.Redirect.NORMAL)
                .build();
        String shown = open(browser, HttpRequest.newBuilder(URI.create(device.verificationUri())));
        for (Map<String, String> typed : List.of(
                Map.of("user_code", device.userCode()),
                Map.of("username", name, "password", Environment.PASSWORD, "action", "signin"),
                Map.of("action", "continue"))) {
            String form = typed.entrySet().stream()
                    .map(field -> field.getKey() + "=" + escape(field.getValue()))
                    .collect(Collectors.joining("&", "", "&form="));
            form += escape(found(shown, "name=\"form\" value=\"([^\"]+)\""));
            String action = found(shown, "<form method=\"post\" action=\"([^\"]+)\"");
            shown = open(
                    browser,
                    HttpRequest.newBuilder(URI.create(Environment.AUTHORITY + action))
                            .header("Content-Type", "application/x-www-form-urlencoded")
                            .POST(HttpRequest.BodyPublishers.ofString(form)));
        }
        found(shown, "(You are signed in)");
    }

    private static String open(HttpClient browser, HttpRequest.Builder request) throws Exception {
        return browser.send(request.build(), HttpResponse.BodyHandlers.ofString()).body();
    }

    private static String escape(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }

    private static String found(String page, String pattern) {
        Matcher match = Pattern.compile(pattern).matcher(page);
        assertTrue(match.find(), () -> "the page has no " + pattern + ": " + page);
        return match.group(1);
    }
}
