"""A program as a user of Azure's libraries for Python writes it.

It gets a token as the identity that its environment gives it, and prints it.

    python probe.py identity|msal system
    python probe.py identity|msal client|object|resource ID
    python probe.py identity|msal assertion ID
    python probe.py identity workload|default|az|azd

A refusal that the library reports in its own manner is exit code 3, with the text on
stderr; everything else that goes wrong is 1.
"""

import logging
import os
import sys

import azure.identity
import msal
import requests
from azure.core.exceptions import ClientAuthenticationError

RESOURCE = os.environ["COMPAT_V2_RESOURCE"]
EXCHANGE = "api://AzureADTokenExchange"  # for tokens that prove an application

# What is refused is told once, by us.
logging.getLogger("azure.identity").setLevel(logging.CRITICAL)


class Refused(Exception):
    """What the library says, in its own manner."""


def ask_identity(way, *which):
    """Asks azure-identity."""
    with credential(way, *which) as asked:
        try:
            return asked.get_token(RESOURCE + "/.default").token
        except ClientAuthenticationError as err:
            raise Refused(str(err)) from err


def credential(way, *which):
    """Makes the credential that a user would take for this."""
    match way:
        case "workload":
            return azure.identity.WorkloadIdentityCredential(disable_instance_discovery=True)
        case "default":
            return azure.identity.DefaultAzureCredential()
        case "az":
            return azure.identity.AzureCliCredential()
        case "azd":
            return azure.identity.AzureDeveloperCliCredential()
        case "assertion":
            identity = azure.identity.ManagedIdentityCredential(client_id=which[0])
            return azure.identity.ClientAssertionCredential(
                os.environ["AZURE_TENANT_ID"],
                os.environ["AZURE_CLIENT_ID"],
                lambda: identity.get_token(EXCHANGE + "/.default").token,
                disable_instance_discovery=True,
            )
        case "system":
            return azure.identity.ManagedIdentityCredential()
        case "client":
            return azure.identity.ManagedIdentityCredential(client_id=which[0])
        case kind:
            return azure.identity.ManagedIdentityCredential(identity_config={kind + "_id": which[0]})


def ask_msal(way, *which):
    """Asks MSAL, which raises nothing: its answer says what is wrong."""
    if way == "assertion":
        authority = os.environ["AZURE_AUTHORITY_HOST"].rstrip("/") + "/" + os.environ["AZURE_TENANT_ID"]
        application = msal.ConfidentialClientApplication(
            os.environ["AZURE_CLIENT_ID"],
            authority=authority,
            instance_discovery=False,
            client_credential={"client_assertion": lambda: ask_identity_of_msal(EXCHANGE, "client", *which)},
        )
        return granted(application.acquire_token_for_client([RESOURCE + "/.default"]))
    return ask_identity_of_msal(RESOURCE, way, *which)


def ask_identity_of_msal(resource, way, *which):
    """Has MSAL ask the managed identity itself."""
    if way == "system":
        identity = msal.SystemAssignedManagedIdentity()
    else:
        identity = msal.UserAssignedManagedIdentity(**{way + "_id": which[0]})
    client = msal.ManagedIdentityClient(identity, http_client=requests.Session())
    return granted(client.acquire_token_for_client(resource=resource))


def granted(answer):
    """The token of an answer."""
    if "error" in answer:
        raise Refused(answer["error_description"])
    return answer["access_token"]


if __name__ == "__main__":
    try:
        print({"identity": ask_identity, "msal": ask_msal}[sys.argv[1]](*sys.argv[2:]))
    except Refused as refused:
        print(refused, file=sys.stderr)
        sys.exit(3)
