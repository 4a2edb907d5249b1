"""The clients down every way in which they can find an identity.

Nothing but the environment of rolecall run tells them where.
"""

import subprocess
import sys
import unittest
from dataclasses import dataclass
from importlib.metadata import version

import environment as env
from ways import UNKNOWN_RESOURCE, Verified, way

# What makes a program find the metadata service by nothing but a proxy.
THROUGH_PROXY = (
    "sh",
    "-c",
    """
    export HTTP_PROXY="$AZURE_POD_IDENTITY_AUTHORITY_HOST" http_proxy="$AZURE_POD_IDENTITY_AUTHORITY_HOST"
    unset AZURE_POD_IDENTITY_AUTHORITY_HOST MSAL_MANAGED_IDENTITY_ENDPOINT
    exec "$@" """,
    "sh",
)


@dataclass(frozen=True)
class Source:
    """How rolecall run is called, what the probe is told, and whose the token is."""

    run: tuple
    ask: tuple = ("system",)
    whose: str | None = env.SYSTEM.object_id
    name: str = env.SYSTEM.name
    wrap: tuple = ()
    data: str = env.DATA
    alone: bool = False  # only where nothing but this machine can be reached

    def probe(self, library):
        """Runs the probe as an identity; returns the finished process."""
        also = () if self.run[0] in ("workload", "cli") else ("--also", env.ASSIGNED.name)
        return subprocess.run(
            [env.ROLECALL, "run", "--data", self.data, "--as", self.name, "--via", *self.run, *also, "--"]
            + [*self.wrap, sys.executable, "-B", "probe.py", library, *self.ask],
            capture_output=True,
            text=True,
            check=False,
        )


SOURCES = {
    "App Service": Source(("app-service",)),
    "client id": Source(("app-service",), ("client", env.ASSIGNED.client_id), env.ASSIGNED.object_id),
    "object id": Source(("app-service",), ("object", env.ASSIGNED.object_id), env.ASSIGNED.object_id),
    "resource id": Source(("app-service",), ("resource", env.ASSIGNED.resource_id), env.ASSIGNED.object_id),
    "IMDS": Source(("imds",), alone=True),
    "IMDS by proxy": Source(("imds",), wrap=THROUGH_PROXY, alone=True),
    "IMDS at its address": Source(("imds", "--netns"), alone=True),
    "Azure ML": Source(("azure-ml",)),
    "Cloud Shell": Source(("cloud-shell",)),
    "Service Fabric": Source(("service-fabric",)),
    "Azure Arc": Source(("arc",), alone=True),
    "workload identity": Source(("workload",), ("workload",)),
    "DefaultAzureCredential": Source(("app-service",), ("default",)),
    "instead of a secret": Source(("identity",), ("assertion", env.ASSIGNED.client_id), None, "orders-client"),
    "az": Source(("cli",), ("az",), None, "orders-client"),
    "azd": Source(("cli",), ("azd",), None, "orders-client"),
}
# What asking again does not help against.
STRANGER = Source(("app-service",), ("client", env.STRANGER))
UNKNOWN_API = Source(("app-service",), wrap=("env", "COMPAT_V2_RESOURCE=" + UNKNOWN_RESOURCE))
WRONG_HEADER = Source(("app-service",), wrap=("env", "IDENTITY_HEADER=wrong", "MSI_SECRET=wrong"))


def refusals():
    """Counts what the server refused processes with managed identities."""
    with open(env.LOG, encoding="utf-8") as log:
        return log.read().count('msg="managed identity"')


class Sources(Verified):
    """The tests of one client. A subclass names the library, and the sources it lacks."""

    client: str
    version: str
    library: str  # as the probe knows it
    lacks: tuple

    def check(self, name):
        """Takes the client down a way."""
        source = SOURCES[name]
        if name in self.lacks:
            return "none"
        if source.alone and not env.ALONE:
            return "skipped"
        done = source.probe(self.library)
        self.assertEqual(done.returncode, 0, done.stderr)
        token = done.stdout.strip()
        self.accepted(env.V2, token)
        if source.whose:
            self.assertEqual(self.verified(env.V2, token)["oid"], source.whose)
        return "ok"

    @way("503 once")
    def test_faulty(self):
        """A server that fails once is asked again."""
        if "503 once" in self.lacks:
            return "none"
        done = Source(("app-service",), data=env.FAULTY[0]).probe(self.library)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.strip())
        return "ok"

    @way("not assigned")
    def test_not_assigned(self):
        """An identity of somebody else."""
        self.refused_once(STRANGER, "Identity not found")

    @way("unknown API")
    def test_unknown_api(self):
        """An API that nobody registered."""
        self.refused_once(UNKNOWN_API, "AADSTS500011:")

    @way("wrong header")
    def test_wrong_header(self):
        """The secret of another process."""
        self.refused_once(WRONG_HEADER, "not the one of this process")

    def refused_once(self, source, says):
        """Checks that a refusal is the library's own error, after one request."""
        before = refusals()
        done = source.probe(self.library)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(says, done.stderr)
        self.assertEqual(refusals() - before, 1)


for each in SOURCES:
    setattr(
        Sources,
        "test_" + each.lower().replace(" ", "_"),
        way(each)(lambda self, each=each: self.check(each)),
    )


class AzureIdentity(Sources, unittest.TestCase):
    client = "azure-identity (Python)"
    version = version("azure-identity")
    library = "identity"
    lacks = ()


class Msal(Sources, unittest.TestCase):
    client = "MSAL Python"
    version = version("msal")
    library = "msal"
    lacks = ("Cloud Shell", "503 once", "workload identity", "DefaultAzureCredential", "az", "azd")


if __name__ == "__main__":
    unittest.main()
