package compat;

import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/**
 * The one test that needs no server. The runner runs it before the others, so that Maven fetches
 * what it runs tests with while the network is there.
 */
class ReadyTest {
    @Test
    void javaIsNewEnough() {
        assertTrue(Runtime.version().feature() >= 17, "these suites need Java 17");
    }
}
