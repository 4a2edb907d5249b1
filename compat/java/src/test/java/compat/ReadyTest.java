package compat;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/**
 * The tests that need no server. The runner runs them before the others, so that Maven fetches
 * what it runs tests with while the network is there.
 */
class ReadyTest {
    @Test
    void javaIsNewEnough() {
        assertTrue(Runtime.version().feature() >= 17, "these suites need Java 17");
    }

    /** Tells the runner where the probe and the libraries are. */
    @Test
    void classPathIsTold() throws IOException {
        Files.writeString(Path.of(System.getenv("COMPAT_CLASS_PATH")), Probe.classPath());
    }
}
