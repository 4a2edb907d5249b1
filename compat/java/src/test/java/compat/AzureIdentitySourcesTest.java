package compat;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Set;

/** Where Azure Identity for Java finds identities, and the user of the developer tools. */
class AzureIdentitySourcesTest extends Sources {
    AzureIdentitySourcesTest() {
        super(
                "azure-identity (Java)",
                Environment.version("com.azure", "azure-identity"),
                "identity",
                Set.of("IMDS by proxy", "Azure ML"));
    }

    @Way("az as user")
    void azAsUser() throws Exception {
        userRefused("az");
    }

    @Way("azd as user")
    void azdAsUser() throws Exception {
        userRefused("azd");
    }

    @Way("DefaultAzureCredential as user")
    void defaultAsUser() throws Exception {
        userRefused("default");
    }

    private void userRefused(String ask) throws Exception {
        Probed probed = probe(Source.of(ask, "cli").ask(ask).asUser());
        assertEquals(0, probed.exitCode(), probed.errors());
        assertEquals(
                "Orders.List",
                Verified.claims(Environment.V2, probed.token()).getStringClaim("scp"));
        Verified.userRefused(Environment.V2, probed.token());
    }
}
