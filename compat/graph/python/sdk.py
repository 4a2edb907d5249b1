"""Microsoft's Graph SDK for Python, msgraph-sdk, as an administrator's program uses it.

    sdk.py manage NAME MODE   makes an API and a client, grants roles, reads, and prints what came of it
    sdk.py call URI URL       calls an API with a token for it, as whoever this process is

MODE is "here", with Rolecall's Graph as base URL and as allowed host, or "public", without any
option. Each line that manage prints has a way and its result; the last one describes, as JSON,
what it made.
"""

import asyncio
import base64
import json
import os
import sys
import urllib.request
import uuid
from urllib.parse import urlsplit

from azure.identity import DefaultAzureCredential
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.applications.applications_request_builder import ApplicationsRequestBuilder
from msgraph.generated.applications.item.add_password.add_password_post_request_body import AddPasswordPostRequestBody
from msgraph.generated.models.app_role import AppRole
from msgraph.generated.models.app_role_assignment import AppRoleAssignment
from msgraph.generated.models.application import Application
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.password_credential import PasswordCredential
from msgraph.generated.models.service_principal import ServicePrincipal
from msgraph.generated.service_principals.service_principals_request_builder import ServicePrincipalsRequestBuilder
from msgraph_core import PageIterator
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem

ROLE = "Orders.Read"
BULK = 1000  # applications that are there already


def connect(mode):
    if mode == "public":
        return GraphServiceClient(DefaultAzureCredential())
    graph = os.environ["ROLECALL_GRAPH"]
    credential = DefaultAzureCredential(disable_instance_discovery=True)
    provider = AzureIdentityAuthenticationProvider(credential, scopes=[graph + "/.default"], allowed_hosts=[urlsplit(graph).hostname])
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = graph + "/v1.0"
    return GraphServiceClient(request_adapter=adapter)


class Program:
    def __init__(self, name, mode):
        self.name = name
        self.client = connect(mode)

    async def create(self):
        self.role = uuid.uuid4()
        self.uri = "api://" + self.name
        self.api = await self.client.applications.post(
            Application(
                display_name=self.name + "-api",
                identifier_uris=[self.uri],
                app_roles=[
                    AppRole(
                        id=self.role,
                        allowed_member_types=["Application"],
                        display_name="Read orders",
                        description="Read every order",
                        is_enabled=True,
                        value=ROLE,
                    )
                ],
            )
        )
        self.resource = await self.client.service_principals.post(ServicePrincipal(app_id=self.api.app_id))
        self.app = await self.client.applications.post(Application(display_name=self.name + "-client"))
        self.principal = await self.client.service_principals.post(ServicePrincipal(app_id=self.app.app_id))
        body = AddPasswordPostRequestBody(password_credential=PasswordCredential(display_name="compat"))
        self.secret = await self.client.applications.by_application_id(self.app.id).add_password.post(body)
        expect(self.secret.secret_text, "no secret")
        expect(self.resource.display_name == self.api.display_name, "the service principal has another name")

    async def grant(self):
        query = ServicePrincipalsRequestBuilder.ServicePrincipalsRequestBuilderGetQueryParameters(
            filter=f"displayName eq '{self.name}-identity' and servicePrincipalType eq 'ManagedIdentity'"
        )
        found = await self.client.service_principals.get(request_configuration=RequestConfiguration(query_parameters=query))
        expect(len(found.value) == 1, f"{len(found.value)} managed identities")
        self.identity = found.value[0].id
        for principal in (self.identity, self.principal.id):
            assigned = await self.client.service_principals.by_service_principal_id(self.resource.id).app_role_assigned_to.post(
                AppRoleAssignment(
                    principal_id=uuid.UUID(principal), resource_id=uuid.UUID(self.resource.id), app_role_id=self.role
                )
            )
            expect(assigned.id, "the assignment has no id")

    async def read(self):
        assigned = await self.client.service_principals.by_service_principal_id(self.resource.id).app_role_assigned_to.get()
        expect({str(a.principal_id) for a in assigned.value} == {self.identity, self.principal.id}, "other assignments")
        held = await self.client.service_principals.by_service_principal_id(self.identity).app_role_assignments.get()
        expect([a.app_role_id for a in held.value] == [self.role], "other roles")
        expect(held.value[0].resource_display_name == self.api.display_name, "another resource")
        app = await self.client.applications_with_app_id(self.api.app_id).get()
        expect(app.id == self.api.id and app.app_roles[0].value == ROLE, "another application by its appId")
        expect(app.identifier_uris == [self.uri], "other identifier URIs")

    async def error(self):
        try:
            await self.client.applications.by_application_id(str(uuid.uuid4())).get()
        except ODataError as error:
            expect(error.error.code == "Request_ResourceNotFound", error.error.code)
            expect(error.response_status_code == 404, error.response_status_code)
            expect(error.error.inner_error.request_id, "no request id")
            return
        raise AssertionError("what does not exist was found")

    async def pages(self):
        query = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(
            select=["id", "displayName"], filter="startswith(displayName,'bulk-')", top=100
        )
        first = await self.client.applications.get(request_configuration=RequestConfiguration(query_parameters=query))
        expect(len(first.value) == 100, f"a page of {len(first.value)}")
        seen = set()
        pages = PageIterator(first, self.client.request_adapter)
        await pages.iterate(lambda app: seen.add(app.display_name) or True)
        expect(len(seen) == BULK, f"{len(seen)} applications")

    async def delta(self):
        page = await self.client.applications.delta.get()
        while page.odata_next_link:
            page = await self.client.applications.delta.with_url(page.odata_next_link).get()
        added = await self.client.applications.post(Application(display_name=self.name + "-later"))
        await self.client.applications.by_application_id(added.id).delete()
        added = await self.client.applications.post(Application(display_name=self.name + "-latest"))
        changed, link = {}, page.odata_delta_link
        while link:
            page = await self.client.applications.delta.with_url(link).get()
            changed.update({app.id: app for app in page.value})
            link = page.odata_next_link
        expect(added.id in changed and page.odata_delta_link, f"{len(changed)} changes")
        expect(self.api.id not in changed, "what did not change is among the changes")

    async def batch(self):  # of which the SDK takes the bodies for base64, and so loses those that are JSON
        requests = BatchRequestContent()
        create = BatchRequestItem(self.client.applications.to_post_request_information(Application(display_name=self.name + "-batch")))
        read = BatchRequestItem(self.client.applications.by_application_id(self.api.id).to_get_request_information())
        missing = BatchRequestItem(self.client.applications.by_application_id(str(uuid.uuid4())).to_get_request_information())
        for item in (create, read, missing):
            requests.add_request(item.id, item)
        answer = await self.client.batch.post(requests)
        statuses = [answer.get_response_by_id(item.id).status for item in (create, read, missing)]
        expect(statuses == [201, 200, 404], f"statuses {statuses}")


def expect(condition, otherwise):
    if not condition:
        raise AssertionError(otherwise)


async def manage(name, mode):
    program = Program(name, mode)
    for way in ("create", "grant", "read", "error", "pages", "delta", "batch"):
        try:
            await getattr(program, way)()
            print(way, "ok", sep="\t")
        except Exception as error:  # whatever the SDK raises is a result
            print(way, f"FAIL: {error!r}"[:300].replace("\n", " ").replace("\t", " "), sep="\t")
    made = {"api": program.api.app_id, "uri": program.uri, "client": program.app.app_id, "secret": program.secret.secret_text}
    print(json.dumps(made))


def call(uri, url):
    credential = DefaultAzureCredential(disable_instance_discovery="AZURE_AUTHORITY_HOST" in os.environ)
    token = credential.get_token(uri + "/.default").token
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    expect(claims["roles"] == [ROLE], f"roles {claims.get('roles')}")
    request = urllib.request.Request(url, headers={"Authorization": "Bearer " + token})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request) as response:
        expect(response.status == 200, response.status)


if __name__ == "__main__":
    if sys.argv[1] == "manage":
        asyncio.run(manage(*sys.argv[2:]))
    else:
        call(*sys.argv[2:])
