package quickstart;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Set;

import com.microsoft.aad.msal4j.ClientCredentialFactory;
import com.microsoft.aad.msal4j.ClientCredentialParameters;
import com.microsoft.aad.msal4j.ConfidentialClientApplication;

/**
 * A daemon with Microsoft's names in its source: it gets a token with MSAL, by a client secret,
 * and calls the Orders API at each URL that it is given.
 */
public class Client {
    static final String AUTHORITY = "https://login.microsoftonline.com/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11";
    static final String CLIENT_ID = "c11e0001-5a5a-4c4c-8d8d-000000000001";

    public static void main(String[] urls) throws Exception {
        var secret = ClientCredentialFactory.createFromSecret(System.getenv("AZURE_CLIENT_SECRET"));
        var app = ConfidentialClientApplication.builder(CLIENT_ID, secret).authority(AUTHORITY).build();
        var scopes = ClientCredentialParameters.builder(Set.of("api://orders/.default")).build();
        var token = app.acquireToken(scopes).get().accessToken();
        var http = HttpClient.newHttpClient();
        for (var url : urls) {
            var request = HttpRequest.newBuilder(URI.create(url)).header("Authorization", "Bearer " + token).build();
            System.out.println(http.send(request, BodyHandlers.discarding()).statusCode() + " " + url);
        }
    }
}
