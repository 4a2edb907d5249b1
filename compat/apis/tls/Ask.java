import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Asks for a URL and says why it cannot. */
class Ask {
    public static void main(String[] args) throws InterruptedException {
        var request = HttpRequest.newBuilder(URI.create(args[0])).build();
        try {
            HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding());
        } catch (java.io.IOException refused) {
            System.out.println(refused);
            System.exit(1);
        }
    }
}
