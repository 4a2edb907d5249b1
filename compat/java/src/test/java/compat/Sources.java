package compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Takes a client down every way in which it can find an identity, with nothing but the environment
 * of rolecall run. A subclass names the library, and the sources that it lacks.
 */
abstract class Sources {
    private static final List<String> THROUGH_PROXY = List.of(
            "sh",
            "-c",
            """
            export HTTP_PROXY="$AZURE_POD_IDENTITY_AUTHORITY_HOST" http_proxy="$AZURE_POD_IDENTITY_AUTHORITY_HOST"
            unset AZURE_POD_IDENTITY_AUTHORITY_HOST MSAL_MANAGED_IDENTITY_ENDPOINT
            exec "$@"
            """,
            "sh");

    private final String library;
    private final Set<String> lacks;

    @RegisterExtension
    final Recorder recorder;

    Sources(String client, String version, String library, Set<String> lacks) {
        this.recorder = new Recorder(client, version);
        this.library = library;
        this.lacks = lacks;
    }

    /**
     * A way to a token.
     *
     * @param as whom rolecall runs the probe as
     * @param via further arguments of rolecall run
     * @param ask what the probe is told
     * @param whose object id the token must have, or null
     * @param wrap the program that runs the probe
     * @param alone only where nothing but this machine can be reached
     */
    record Source(
            String way, String as, List<String> via, List<String> ask, String whose, List<String> wrap, boolean alone) {
        static Source of(String way, String... via) {
            return new Source(
                    way,
                    Environment.SYSTEM.name(),
                    List.of(via),
                    List.of("system"),
                    Environment.SYSTEM.objectId(),
                    List.of(),
                    false);
        }

        private Source assigned(String kind, String id) {
            return new Source(way, as, via, List.of(kind, id), Environment.ASSIGNED.objectId(), wrap, alone);
        }

        Source ask(String... words) {
            return new Source(way, as, via, List.of(words), whose, wrap, alone);
        }

        private Source asClient() {
            return new Source(way, "orders-client", via, ask, null, wrap, alone);
        }

        Source asUser() {
            return new Source(way, Environment.USER, via, ask, null, wrap, alone);
        }

        private Source wrap(List<String> program) {
            return new Source(way, as, via, ask, whose, program, alone);
        }

        private Source onlyAlone() {
            return new Source(way, as, via, ask, whose, wrap, true);
        }

        @Override
        public String toString() {
            return way;
        }
    }

    static Stream<Source> sources() {
        Environment.Identity assigned = Environment.ASSIGNED;
        return Stream.of(
                Source.of("App Service", "app-service"),
                Source.of("client id", "app-service").assigned("client", assigned.clientId()),
                Source.of("object id", "app-service").assigned("object", assigned.objectId()),
                Source.of("resource id", "app-service").assigned("resource", assigned.resourceId()),
                Source.of("IMDS", "imds").onlyAlone(),
                Source.of("IMDS by proxy", "imds").wrap(THROUGH_PROXY).onlyAlone(),
                Source.of("IMDS at its address", "imds", "--netns").onlyAlone(),
                Source.of("Azure ML", "azure-ml"),
                Source.of("Cloud Shell", "cloud-shell"),
                Source.of("Service Fabric", "service-fabric"),
                Source.of("Azure Arc", "arc").onlyAlone(),
                Source.of("workload identity", "workload").ask("workload"),
                Source.of("DefaultAzureCredential", "app-service").ask("default"),
                Source.of("az", "cli").ask("az").asClient(),
                Source.of("azd", "cli").ask("azd").asClient());
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("sources")
    void source(Source source) throws Exception {
        Assumptions.assumeFalse(lacks.contains(source.way()), "the library has no such source");
        Assumptions.assumeTrue(Environment.ALONE || !source.alone(), Recorder.NOT_ALONE);
        Probed probed = probe(source);
        assertEquals(0, probed.exitCode(), probed.errors());
        Verified.accepted(Environment.V2, probed.token());
        if (source.whose() != null) {
            assertEquals(
                    source.whose(),
                    Verified.claims(Environment.V2, probed.token()).getStringClaim("oid"));
        }
    }

    /** A server that fails once is asked again. */
    @Way("503 once")
    void faulty() throws Exception {
        int mine = library.equals("msal") ? 1 : 0;
        Probed probed = probe(Environment.FAULTY.get(mine), Source.of("503 once", "app-service"));
        assertEquals(0, probed.exitCode(), probed.errors());
        assertFalse(probed.token().isEmpty());
    }

    /** An identity of somebody else. */
    @Way("not assigned")
    void notAssigned() throws Exception {
        refusedOnce(
                Source.of("not assigned", "app-service").ask("client", Environment.STRANGER), "Identity not found");
    }

    /** An API that nobody registered. */
    @Way("unknown API")
    void unknownApi() throws Exception {
        refusedOnce(
                Source.of("unknown API", "app-service").wrap(List.of("env", "COMPAT_V2_RESOURCE=api://nobody")),
                "AADSTS500011:");
    }

    /** The secret of another process. */
    @Way("wrong header")
    void wrongHeader() throws Exception {
        refusedOnce(
                Source.of("wrong header", "app-service")
                        .wrap(List.of("env", "IDENTITY_HEADER=wrong", "MSI_SECRET=wrong")),
                "not the one of this process");
    }

    /** Checks that a refusal is the library's own error, after one request. */
    private void refusedOnce(Source source, String says) throws Exception {
        long before = refusals();
        Probed probed = probe(source);
        assertEquals(3, probed.exitCode(), probed.errors());
        assertTrue(probed.errors().contains(says), probed.errors());
        assertEquals(1, refusals() - before);
    }

    /** What came of a probe. */
    record Probed(int exitCode, String token, String errors) {}

    Probed probe(Source source) throws IOException, InterruptedException {
        return probe(Environment.DATA, source);
    }

    private Probed probe(String data, Source source) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(
                List.of(Environment.ROLECALL, "run", "--data", data, "--as", source.as(), "--via"));
        command.addAll(source.via());
        if (!Set.of("workload", "cli").contains(source.via().get(0))) {
            command.addAll(List.of("--also", Environment.ASSIGNED.name()));
        }
        command.add("--");
        command.addAll(source.wrap());
        command.addAll(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                Probe.classPath(),
                Probe.class.getName(),
                library));
        command.addAll(source.ask());
        Path errors = Files.createTempFile("probe", ".err");
        try {
            Process process =
                    new ProcessBuilder(command).redirectError(errors.toFile()).start();
            String token = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            return new Probed(process.waitFor(), token, Files.readString(errors));
        } finally {
            Files.delete(errors);
        }
    }

    /** Counts what the server refused processes with managed identities. */
    private static long refusals() throws IOException {
        try (Stream<String> lines = Files.lines(Environment.LOG)) {
            return lines.filter(line -> line.contains("msg=\"managed identity\"")).count();
        }
    }
}
