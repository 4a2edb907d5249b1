"""What the runner, compat/run, tells this suite through the environment."""

import os
import re
from dataclasses import dataclass

from cryptography import x509


@dataclass(frozen=True)
class Api:
    """A resource that wants access tokens of one version, and its Orders server."""

    version: str  # of the access token: "1.0" or "2.0"
    issuer: str
    metadata: str  # the discovery document
    resource: str  # what a client asks for
    audience: str  # what the token must say
    url: str  # of GetOrders


@dataclass(frozen=True)
class Certificate:
    """A client's key and certificates, leaf first, in one PEM file."""

    path: str

    @property
    def key(self):
        """The PEM text of the private key."""
        return self._blocks("PRIVATE KEY")[0]

    @property
    def certificates(self):
        """The PEM texts of the certificates."""
        return self._blocks("CERTIFICATE")

    def thumbprint(self, algorithm):
        """The leaf's thumbprint, hexadecimal and in upper case."""
        leaf = x509.load_pem_x509_certificate(self.certificates[0].encode())
        return leaf.fingerprint(algorithm).hex().upper()

    def _blocks(self, label):
        with open(self.path, encoding="ascii") as file:
            pem = file.read()
        return re.findall(f"-----BEGIN {label}-----.+?-----END {label}-----\n", pem, re.DOTALL)


def _get(name):
    try:
        return os.environ[name]
    except KeyError:
        raise SystemExit(f"{name} is not set: start this suite with compat/run python") from None


AUTHORITY = _get("COMPAT_AUTHORITY")
TENANT = _get("COMPAT_TENANT")
CLIENT_ID = _get("COMPAT_CLIENT_ID")
SECRET = _get("COMPAT_SECRET")
NO_ROLE_ID = _get("COMPAT_NOROLE_ID")
NO_ROLE_SECRET = _get("COMPAT_NOROLE_SECRET")
CERTIFICATE = Certificate(_get("COMPAT_CERT"))
CHAIN = Certificate(_get("COMPAT_CHAIN"))

# The rolecall command, the data folder of the server, and the server's log. Where ALONE is
# true nothing but this machine can be reached.
ROLECALL = _get("COMPAT_ROLECALL")
DATA = _get("COMPAT_DATA")
LOG = _get("COMPAT_LOG")
FAULTY = _get("COMPAT_FAULTY").split(":")  # folders of servers that fail once
ALONE = bool(os.environ.get("COMPAT_ALONE"))
ARM = _get("COMPAT_ARM")
GRAPH = _get("COMPAT_GRAPH")
ADMIN_ID = _get("COMPAT_ADMIN_ID")
ADMIN_SECRET = _get("COMPAT_ADMIN_SECRET")


@dataclass(frozen=True)
class Identity:
    """A managed identity."""

    name: str
    object_id: str
    client_id: str = ""
    resource_id: str = ""


SYSTEM = Identity(_get("COMPAT_SYSTEM"), _get("COMPAT_SYSTEM_OBJECT_ID"))
ASSIGNED = Identity(
    _get("COMPAT_ASSIGNED"),
    _get("COMPAT_ASSIGNED_OBJECT_ID"),
    _get("COMPAT_ASSIGNED_CLIENT_ID"),
    _get("COMPAT_ASSIGNED_RESOURCE_ID"),
)
STRANGER = _get("COMPAT_STRANGER_CLIENT_ID")  # not for these suites

# The program that users sign in to, and the users.
APP_ID = _get("COMPAT_APP_ID")
USER = _get("COMPAT_USER")
USER_WITH_ROLE = _get("COMPAT_USER_WITH_ROLE")
PASSWORD = _get("COMPAT_PASSWORD")


def _api(version, issuer, prefix):
    return Api(
        version=version,
        issuer=issuer,
        metadata=issuer.rstrip("/") + "/.well-known/openid-configuration",
        resource=_get(prefix + "_RESOURCE"),
        audience=_get(prefix + "_AUDIENCE"),
        url=_get(prefix + "_URL"),
    )


V1 = _api("1.0", f"{AUTHORITY}/{TENANT}/", "COMPAT_V1")
V2 = _api("2.0", f"{AUTHORITY}/{TENANT}/v2.0", "COMPAT_V2")


def record(client, version, way, result):
    """Adds one row for the runner's table."""
    with open(_get("COMPAT_RESULTS"), "a", encoding="utf-8") as file:
        file.write(f"{client}\t{version}\t{way}\t{result}\n")
