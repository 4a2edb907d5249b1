"""Asks for tokens as programs for Microsoft's cloud do.

They have the public authority in their source, or none at all, and no option set. Prints
what came of each way, for each library that has it:

    python untouched.py WAY...

A line is client, version, way, "token" or "refused" or "error", and the token or what the
library said, with tabs between them.
"""

import asyncio
import logging
import os
import re
import sys
from importlib.metadata import version

import adal
import azure.identity
import azure.identity.aio
import msal
import requests
from azure.core.exceptions import ClientAuthenticationError
from cryptography import x509
from cryptography.hazmat.primitives import hashes

AUTHORITY = "https://login.microsoftonline.com/"
UNKNOWN_TENANT = "5e0f7a31-93c4-4d57-8b2a-1c6d9e4f0a77"
WRONG_SECRET = "not-the-secret-of-this-client"

TENANT = os.environ["AZURE_TENANT_ID"]
CLIENT_ID = os.environ.get("AZURE_CLIENT_ID")
SECRET = os.environ.get("AZURE_CLIENT_SECRET")
API = os.environ["COMPAT_V2_RESOURCE"]
API_V1 = os.environ["COMPAT_V1_RESOURCE"]

# What is refused is told once, by us.
logging.getLogger("azure.identity").setLevel(logging.CRITICAL)


class Refused(Exception):
    """What the library says, in its own manner."""


def told(err):
    """All that an error and the errors behind it say."""
    words = []
    while err is not None:
        words.append(str(err))
        err = err.__cause__ or err.__context__
    return " ".join(words)


def blocks(path, label):
    """The PEM texts of one kind in a file."""
    with open(path, encoding="ascii") as file:
        return re.findall(f"-----BEGIN {label}-----.+?-----END {label}-----\n", file.read(), re.DOTALL)


def thumbprint(path):
    """The leaf's SHA-1 thumbprint, hexadecimal and in upper case."""
    leaf = x509.load_pem_x509_certificate(blocks(path, "CERTIFICATE")[0].encode())
    return leaf.fingerprint(hashes.SHA1()).hex().upper()


class AzureIdentity:
    """azure-identity, by whichever of its two modules."""

    client = "azure-identity (Python)"
    version = version("azure-identity")
    module = azure.identity

    def token(self, credential, api=API):
        """Gets a token from a credential."""
        with credential:
            try:
                return credential.get_token(api + "/.default").token
            except ClientAuthenticationError as err:
                raise Refused(told(err)) from err

    def with_certificate(self, variable, **more):
        """Gets a token by the certificate in a file."""
        return self.token(self.module.CertificateCredential(TENANT, CLIENT_ID, os.environ[variable], **more))

    def ways(self):
        """What this client has, by name."""
        module, token = self.module, self.token
        return {
            "secret": lambda: token(module.ClientSecretCredential(TENANT, CLIENT_ID, SECRET)),
            "certificate": lambda: self.with_certificate("COMPAT_CERT"),
            "certificate chain": lambda: self.with_certificate("COMPAT_CHAIN", send_certificate_chain=True),
            "environment": lambda: token(module.EnvironmentCredential()),
            "DefaultAzureCredential": lambda: token(module.DefaultAzureCredential()),
            "v1.0 token": lambda: token(module.ClientSecretCredential(TENANT, CLIENT_ID, SECRET), API_V1),
            "wrong secret": lambda: token(module.ClientSecretCredential(TENANT, CLIENT_ID, WRONG_SECRET)),
            "unknown tenant": lambda: token(module.ClientSecretCredential(UNKNOWN_TENANT, CLIENT_ID, SECRET)),
            "managed identity": lambda: token(module.ManagedIdentityCredential()),
            "IMDS": lambda: token(module.ManagedIdentityCredential()),
            "workload identity": lambda: token(module.WorkloadIdentityCredential()),
            "az": lambda: token(module.AzureCliCredential()),
            "azd": lambda: token(module.AzureDeveloperCliCredential()),
        }


class AzureIdentityAio(AzureIdentity):
    """azure-identity for asyncio, with aiohttp under it."""

    client = "azure-identity.aio"
    module = azure.identity.aio

    def token(self, credential, api=API):
        async def get():
            async with credential:
                return (await credential.get_token(api + "/.default")).token

        try:
            return asyncio.run(get())
        except ClientAuthenticationError as err:
            raise Refused(told(err)) from err


class Msal:
    """MSAL for Python, which raises nothing: its answer says what is wrong."""

    client = "MSAL Python"
    version = version("msal")

    def token(self, credential, tenant=TENANT, api=API):
        """Gets a token of an application."""
        try:
            app = msal.ConfidentialClientApplication(
                CLIENT_ID, client_credential=credential, authority=AUTHORITY + tenant
            )
        except ValueError as err:  # what MSAL raises for a tenant without discovery document
            raise Refused(told(err)) from err
        return self.granted(app.acquire_token_for_client([api + "/.default"]))

    def managed(self):
        """Gets a token of the managed identity."""
        identity = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(), http_client=requests.Session())
        return self.granted(identity.acquire_token_for_client(resource=API))

    def granted(self, answer):
        """The token of an answer."""
        if "error" in answer:
            raise Refused(answer["error_description"])
        return answer["access_token"]

    def with_certificate(self):
        """Gets a token by a certificate that MSAL names by its thumbprint."""
        path = os.environ["COMPAT_CERT"]
        return self.token({"private_key": blocks(path, "PRIVATE KEY")[0], "thumbprint": thumbprint(path)})

    def with_chain(self):
        """Gets a token by certificates that MSAL sends along."""
        path = os.environ["COMPAT_CHAIN"]
        certificates = "".join(blocks(path, "CERTIFICATE"))
        return self.token({"private_key": blocks(path, "PRIVATE KEY")[0], "public_certificate": certificates})

    def ways(self):
        """What this client has, by name."""
        return {
            "secret": lambda: self.token(SECRET),
            "certificate": self.with_certificate,
            "certificate chain": self.with_chain,
            "v1.0 token": lambda: self.token(SECRET, api=API_V1),
            "wrong secret": lambda: self.token(WRONG_SECRET),
            "unknown tenant": lambda: self.token(SECRET, tenant=UNKNOWN_TENANT),
            "managed identity": self.managed,
            "IMDS": self.managed,
        }


class Adal:
    """ADAL for Python, which validates the authority unless it is told not to."""

    client = "ADAL Python"
    version = version("adal")

    def token(self, method, *args, tenant=TENANT, api=API):
        """Gets a token by one of ADAL's methods."""
        context = adal.AuthenticationContext(AUTHORITY + tenant, cache=adal.TokenCache())
        try:
            return getattr(context, method)(api, *args)["accessToken"]
        except adal.AdalError as err:
            raise Refused((err.error_response or {}).get("error_description") or str(err)) from err

    def with_secret(self, secret, **where):
        """Gets a token by a secret."""
        return self.token("acquire_token_with_client_credentials", CLIENT_ID, secret, **where)

    def with_certificate(self, variable, chain):
        """Gets a token by the certificate in a file; with chain, the certificates go along."""
        path = os.environ[variable]
        certificates = "".join(blocks(path, "CERTIFICATE")) if chain else None
        proof = (blocks(path, "PRIVATE KEY")[0], thumbprint(path), certificates)
        return self.token("acquire_token_with_client_certificate", CLIENT_ID, *proof)

    def ways(self):
        """What this client has, by name."""
        return {
            "secret": lambda: self.with_secret(SECRET),
            "certificate": lambda: self.with_certificate("COMPAT_CERT", chain=False),
            "certificate chain": lambda: self.with_certificate("COMPAT_CHAIN", chain=True),
            "v1.0 token": lambda: self.with_secret(SECRET, api=API_V1),
            "wrong secret": lambda: self.with_secret(WRONG_SECRET),
            "unknown tenant": lambda: self.with_secret(SECRET, tenant=UNKNOWN_TENANT),
        }


def main():
    """Prints what came of each way."""
    for client in (AzureIdentity(), AzureIdentityAio(), Msal(), Adal()):
        ways = client.ways()
        for way in (name for name in sys.argv[1:] if name in ways):
            try:
                outcome = ("token", ways[way]())
            except Refused as err:
                outcome = ("refused", str(err))
            except Exception as err:  # whatever else a library raises is a row, too
                outcome = ("error", repr(err))
            print(client.client, client.version, way, *(re.sub(r"\s+", " ", part) for part in outcome), sep="\t")


if __name__ == "__main__":
    main()
