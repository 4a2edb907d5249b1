package compat;

import java.util.Set;

/** Where Azure Identity for Java finds identities. */
class AzureIdentitySourcesTest extends Sources {
    AzureIdentitySourcesTest() {
        super(
                "azure-identity (Java)",
                Environment.version("com.azure", "azure-identity"),
                "identity",
                Set.of("IMDS by proxy", "Azure ML"));
    }
}
