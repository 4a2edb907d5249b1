package compat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What the runner, compat/run, tells this suite through the environment. */
final class Environment {
    static final String AUTHORITY = get("COMPAT_AUTHORITY");
    static final String TENANT = get("COMPAT_TENANT");
    static final String CLIENT_ID = get("COMPAT_CLIENT_ID");
    static final String SECRET = get("COMPAT_SECRET");
    static final String NO_ROLE_ID = get("COMPAT_NOROLE_ID");
    static final String NO_ROLE_SECRET = get("COMPAT_NOROLE_SECRET");
    static final Certificate CERTIFICATE = new Certificate(Path.of(get("COMPAT_CERT")));
    static final Certificate CHAIN = new Certificate(Path.of(get("COMPAT_CHAIN")));
    static final Api V1 = Api.read("1.0", AUTHORITY + "/" + TENANT + "/", "COMPAT_V1");
    static final Api V2 = Api.read("2.0", AUTHORITY + "/" + TENANT + "/v2.0", "COMPAT_V2");


    /** The command, the data folder of the server, and the server's log. */
    static final String ROLECALL = get("COMPAT_ROLECALL");

    static final String DATA = get("COMPAT_DATA");
    /** The data folders of servers that fail once, one for each client. */
    static final List<String> FAULTY = List.of(get("COMPAT_FAULTY").split(":"));

    static final Path LOG = Path.of(get("COMPAT_LOG"));

    /** Whether nothing but this machine can be reached. */
    static final boolean ALONE = !System.getenv().getOrDefault("COMPAT_ALONE", "").isEmpty();

    static final Identity SYSTEM =
            new Identity(get("COMPAT_SYSTEM"), null, get("COMPAT_SYSTEM_OBJECT_ID"), null);
    static final Identity ASSIGNED = new Identity(
            get("COMPAT_ASSIGNED"),
            get("COMPAT_ASSIGNED_CLIENT_ID"),
            get("COMPAT_ASSIGNED_OBJECT_ID"),
            get("COMPAT_ASSIGNED_RESOURCE_ID"));

    /** The client id of an identity that is not for these suites. */
    static final String STRANGER = get("COMPAT_STRANGER_CLIENT_ID");

    /** The program that users sign in to, and the users. */
    static final String APP_ID = get("COMPAT_APP_ID");

    static final String USER = get("COMPAT_USER");
    static final String USER_WITH_ROLE = get("COMPAT_USER_WITH_ROLE");
    static final String PASSWORD = get("COMPAT_PASSWORD");

    private Environment() {}

    /** A managed identity. */
    record Identity(String name, String clientId, String objectId, String resourceId) {}

    /** Adds one row for the runner's table. */
    static void record(String client, String version, String way, String result) {
        String row = String.join("\t", client, version, way, result) + "\n";
        try {
            Files.writeString(
                    Path.of(get("COMPAT_RESULTS")), row, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Tells which version of an artifact is on the class path. */
    static String version(String group, String artifact) {
        return Probe.version(group, artifact);
    }

    private static String get(String name) {
        String value = System.getenv(name);
        if (value == null || value.isEmpty()) {
            throw new IllegalStateException(name + " is not set: start this suite with compat/run java");
        }
        return value;
    }

    /**
     * A resource that wants access tokens of one version, and its Orders server.
     *
     * @param version of the access token: "1.0" or "2.0"
     * @param issuer whose discovery document names the keys
     * @param resource what a client asks for
     * @param audience what the token must say
     * @param url of GetOrders
     */
    record Api(String version, String issuer, String resource, String audience, String url) {
        private static Api read(String version, String issuer, String prefix) {
            return new Api(
                    version, issuer, get(prefix + "_RESOURCE"), get(prefix + "_AUDIENCE"), get(prefix + "_URL"));
        }

        /** The scope that stands for every role granted in the resource. */
        String scope() {
            return resource + "/.default";
        }
    }

    /** A client's key and certificates, leaf first, in one PEM file. */
    record Certificate(Path path) {
        PrivateKey key() throws GeneralSecurityException, IOException {
            Matcher block = Pattern.compile("-----BEGIN PRIVATE KEY-----(.+?)-----END PRIVATE KEY-----", Pattern.DOTALL)
                    .matcher(Files.readString(path));
            if (!block.find()) {
                throw new IOException(path + " holds no private key");
            }
            byte[] der = Base64.getMimeDecoder().decode(block.group(1));
            return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(der));
        }

        List<X509Certificate> certificates() throws GeneralSecurityException, IOException {
            String pem = Files.readString(path);
            String certificates = pem.substring(pem.indexOf("-----BEGIN CERTIFICATE-----"));
            return CertificateFactory.getInstance("X.509")
                    .generateCertificates(new ByteArrayInputStream(certificates.getBytes(StandardCharsets.US_ASCII)))
                    .stream()
                    .map(X509Certificate.class::cast)
                    .toList();
        }
    }
}
