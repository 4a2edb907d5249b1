package compat;

import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.TestWatcher;

/** Adds a row to the runner's table for every way that a test took a client down. */
record Recorder(String client, String version) implements TestWatcher {
    /** The reason of tests that are aborted because they could reach more than this machine. */
    static final String NOT_ALONE = "other networks can be reached from here";

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
        record(test, String.valueOf(cause.getMessage()).contains(NOT_ALONE) ? "skipped" : "none");
    }

    private void record(ExtensionContext test, String result) {
        Way way = test.getRequiredTestMethod().getAnnotation(Way.class);
        Environment.record(client, version, way == null ? test.getDisplayName() : way.value(), result);
    }
}
