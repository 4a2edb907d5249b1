package compat;

import java.util.Set;

/** Where MSAL for Java finds identities. */
class Msal4jSourcesTest extends Sources {
    Msal4jSourcesTest() {
        super(
                "msal4j",
                Environment.version("com.microsoft.azure", "msal4j"),
                "msal",
                Set.of("IMDS by proxy", "Azure ML", "workload identity", "DefaultAzureCredential", "az", "azd"));
    }
}
