"""Microsoft's clients for Python, unmodified, against a Rolecall authority."""

import logging
import unittest
from importlib.metadata import version

import adal
import azure.identity
import msal
from azure.core.exceptions import ClientAuthenticationError
from cryptography.hazmat.primitives import hashes

import environment as env
from ways import Refused, Ways

# The tests look at the errors; the library would also print them.
logging.getLogger("azure.identity").setLevel(logging.CRITICAL)


def told(err):
    """All that an error and the errors behind it say.

    MSAL answers a failed discovery with a sentence of its own and keeps the
    authority's answer in the exception before it.
    """
    words = []
    while err is not None:
        words.append(str(err))
        err = err.__cause__ or err.__context__
    return "\n".join(words)


class AzureIdentity(Ways, unittest.TestCase):
    client = "azure-identity (Python)"
    version = version("azure-identity")
    options = {"authority": env.AUTHORITY, "disable_instance_discovery": True}

    def with_secret(self, tenant, client_id, secret, resource):
        return self._get(azure.identity.ClientSecretCredential(tenant, client_id, secret, **self.options), resource)

    def with_certificate(self, certificate, chain, resource):
        credential = azure.identity.CertificateCredential(
            env.TENANT, env.CLIENT_ID, certificate.path, send_certificate_chain=chain, **self.options
        )
        return self._get(credential, resource)

    def with_environment(self, resource):
        return self._get(azure.identity.EnvironmentCredential(disable_instance_discovery=True), resource)

    def _get(self, credential, resource):
        with credential:
            try:
                return credential.get_token(resource + "/.default").token
            except ClientAuthenticationError as err:
                raise Refused(told(err)) from err


class Msal(Ways, unittest.TestCase):
    client = "MSAL Python"
    version = version("msal")

    def with_secret(self, tenant, client_id, secret, resource):
        return self._get(tenant, client_id, secret, resource)

    def with_certificate(self, certificate, chain, resource):
        credential = {"private_key": certificate.key}
        if chain:  # MSAL takes the SHA-256 thumbprint from the certificate
            credential["public_certificate"] = "".join(certificate.certificates)
        else:
            credential["thumbprint"] = certificate.thumbprint(hashes.SHA1())
        return self._get(env.TENANT, env.CLIENT_ID, credential, resource)

    def _get(self, tenant, client_id, credential, resource):
        try:
            app = msal.ConfidentialClientApplication(
                client_id,
                client_credential=credential,
                authority=f"{env.AUTHORITY}/{tenant}",
                instance_discovery=False,
            )
        except ValueError as err:  # what MSAL raises for a tenant without discovery document
            raise Refused(told(err)) from err
        answer = app.acquire_token_for_client([resource + "/.default"])
        if "error" in answer:
            raise Refused(answer["error_description"])
        return answer["access_token"]


class Adal(Ways, unittest.TestCase):
    client = "ADAL Python"
    version = version("adal")

    def with_secret(self, tenant, client_id, secret, resource):
        return self._get(tenant, "acquire_token_with_client_credentials", resource, client_id, secret)

    def with_certificate(self, certificate, chain, resource):
        return self._get(
            env.TENANT,
            "acquire_token_with_client_certificate",
            resource,
            env.CLIENT_ID,
            certificate.key,
            certificate.thumbprint(hashes.SHA1()),
            "".join(certificate.certificates) if chain else None,
        )

    def _get(self, tenant, method, *args):
        context = adal.AuthenticationContext(f"{env.AUTHORITY}/{tenant}", validate_authority=False)
        try:
            return getattr(context, method)(*args)["accessToken"]
        except adal.AdalError as err:
            raise Refused(err.error_response["error_description"]) from err


if __name__ == "__main__":
    unittest.main()
