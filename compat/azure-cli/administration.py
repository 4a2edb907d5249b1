"""What an administrator does with the Azure CLI: commands in their order, each held to what the
service answers.

The cloud is whichever one az is in: one of ours, or, under Microsoft's own names, its default.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

APPLICATION = {
    "deletedDateTime": None, "applicationTemplateId": None, "disabledByMicrosoftStatus": None,
    "description": None, "groupMembershipClaims": None, "identifierUris": [], "isDeviceOnlyAuthSupported": None,
    "isFallbackPublicClient": None, "notes": None, "serviceManagementReference": None,
    "tags": [], "tokenEncryptionKeyId": None, "defaultRedirectUri": None, "certification": None, "optionalClaims": None,
    "addIns": [], "appRoles": [], "keyCredentials": [], "passwordCredentials": [], "requiredResourceAccess": [],
    "parentalControlSettings": {"countriesBlockedForMinors": [], "legalAgeGroupRule": "Allow"},
    "publicClient": {"redirectUris": []}, "spa": {"redirectUris": []},
    "info": {"logoUrl": None, "marketingUrl": None, "privacyStatementUrl": None, "supportUrl": None, "termsOfServiceUrl": None},
    "verifiedPublisher": {"displayName": None, "verifiedPublisherId": None, "addedDateTime": None},
}  # fmt: skip
SERVICE_PRINCIPAL = {
    "deletedDateTime": None, "accountEnabled": True, "alternativeNames": [], "applicationTemplateId": None,
    "appRoleAssignmentRequired": False, "description": None, "disabledByMicrosoftStatus": None, "loginUrl": None,
    "notes": None, "notificationEmailAddresses": [], "preferredSingleSignOnMode": None,
    "preferredTokenSigningKeyThumbprint": None, "servicePrincipalType": "Application", "tokenEncryptionKeyId": None,
    "samlSingleSignOnSettings": None, "addIns": [], "keyCredentials": [], "passwordCredentials": [],
    "resourceSpecificApplicationPermissions": [],
}  # fmt: skip
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z\Z")
GRAPH = "00000003-0000-0000-c000-000000000000"
READ, WRITE = "11111111-5a5a-4c4c-8d8d-000000000001", "11111111-5a5a-4c4c-8d8d-000000000002"


def uri(name):
    """An identifier URI of this run's own: what was deleted keeps its URIs until it is purged."""
    return f"api://{name}-{os.getpid()}"


class Wrong(Exception):
    """A command ended or answered in another way than it should."""


class Administrator:
    """Runs az and counts the commands that did what they should."""

    def __init__(self, environ, folder, graph):
        self.environ, self.folder, self.graph, self.count = environ | {"HOME": folder}, folder, graph, 0

    def az(self, *args):
        """Runs a command that must succeed and returns what it prints."""
        done = self._run(args)
        if done.returncode != 0:
            raise Wrong(f"az {' '.join(args)}: {done.stderr}")
        self.count += 1
        return json.loads(done.stdout or "null")

    def refused(self, words, *args):
        """Runs a command that must fail, in words that say why."""
        done = self._run(args)
        if done.returncode == 0 or not re.search(words, done.stderr):
            raise Wrong(f"az {' '.join(args)}: wanted {words!r}, got {done.returncode}: {done.stdout}{done.stderr}")
        self.count += 1

    def _run(self, args):
        return subprocess.run(
            ["az", *args], env=self.environ, capture_output=True, text=True, check=False, timeout=120
        )

    def file(self, name, content):
        """The argument that has az read the content from a file."""
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return "@" + path


def has(got, **members):
    """Fails unless the members are what they should be: a value, or a pattern of text."""
    for name, want in members.items():
        if name not in got:
            raise Wrong(f"no member {name} in {got}")
        ok = want.match(str(got[name])) if isinstance(want, re.Pattern) else got[name] == want
        if not ok:
            raise Wrong(f"{name} is {got[name]!r}, not {want!r}")
    return got


def same(got, want, what):
    """Fails unless two values are equal."""
    if got != want:
        raise Wrong(f"{what} is {got!r}, not {want!r}")


def one(elements, what):
    """The only element of a list."""
    if len(elements) != 1:
        raise Wrong(f"{what}: {elements}")
    return elements[0]


def role(id_, value):
    """An app role as az sends it and the service gives it back."""
    return {
        "allowedMemberTypes": ["Application"], "description": value, "displayName": value, "id": id_,
        "isEnabled": True, "value": value,
    }  # fmt: skip


def given(role_):
    return role_ | {"origin": "Application"}


# --- the areas, each of which begins with nothing and leaves nothing ----------------


def applications(a):
    """az ad app"""
    roles = a.file("roles.json", [role(READ, "Orders.Read"), role(WRITE, "Orders.Write")])
    create = ("ad", "app", "create", "--display-name", "az-orders", "--identifier-uris", uri("az-orders"), "--app-roles", roles)
    app = a.az(*create, "--sign-in-audience", "AzureADMyOrg")
    expected = APPLICATION | {"appRoles": app["appRoles"], "identifierUris": [uri("az-orders")]}
    has(app, **expected, id=GUID, appId=GUID, createdDateTime=DATE, displayName="az-orders", signInAudience="AzureADMyOrg")
    same(sorted(app["appRoles"], key=lambda r: r["id"]), [given(role(READ, "Orders.Read")), given(role(WRITE, "Orders.Write"))], "appRoles")
    has(app["api"], acceptMappedClaims=None, knownClientApplications=[], oauth2PermissionScopes=[], preAuthorizedApplications=[])
    has(
        app["web"], homePageUrl=None, logoutUrl=None, redirectUris=[],
        implicitGrantSettings={"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False},
    )  # fmt: skip
    app_id = app["appId"]
    same(a.az(*create)["appId"], app_id, "the application that was created again")
    by_uri = a.az("ad", "app", "show", "--id", uri("az-orders"))
    same({k: v for k, v in by_uri.items() if k != "@odata.context"}, {k: v for k, v in a.az("ad", "app", "show", "--id", app_id).items() if k != "@odata.context"}, "the application by its URI")
    same(a.az("ad", "app", "show", "--id", app["id"])["appId"], app_id, "the application by its object id")
    for listed in (("--display-name", "az-ord"), ("--app-id", app_id), ("--identifier-uri", uri("az-orders")), ("--filter", "displayname eq 'az-orders'")):
        has(one(a.az("ad", "app", "list", *listed), listed), appId=app_id)
    same(a.az("ad", "app", "list", "--display-name", "nobody"), [], "applications called nobody")
    a.az("ad", "app", "update", "--id", app_id, "--display-name", "az-orders 2", "--web-redirect-uris", "https://orders.test/a", "https://orders.test/b",
         "--public-client-redirect-uris", "http://localhost", "--web-home-page-url", "https://orders.test", "--requested-access-token-version", "2",
         "--enable-id-token-issuance", "true", "--is-fallback-public-client", "true")  # fmt: skip
    a.az("ad", "app", "update", "--id", app_id, "--set", "notes=kept", "tags=[\"a\",\"b\"]")
    claims = {"idToken": [], "accessToken": [{"name": "idtyp", "source": None, "essential": False, "additionalProperties": []}], "saml2Token": []}
    a.az("ad", "app", "update", "--id", app_id, "--optional-claims", a.file("claims.json", claims))
    app = has(a.az("ad", "app", "show", "--id", app_id), displayName="az-orders 2", notes="kept", tags=["a", "b"], isFallbackPublicClient=True)
    same(sorted(app["web"]["redirectUris"]), ["https://orders.test/a", "https://orders.test/b"], "redirect URIs")
    has(app["web"], homePageUrl="https://orders.test", implicitGrantSettings={"enableAccessTokenIssuance": False, "enableIdTokenIssuance": True})
    same((app["publicClient"]["redirectUris"], app["api"]["requestedAccessTokenVersion"]), (["http://localhost"], 2), "the public client and the version")
    same([c["name"] for c in app["optionalClaims"]["accessToken"]], ["idtyp"], "optional claims")
    a.refused("cannot be deleted or updated unless disabled first", "ad", "app", "update", "--id", app_id, "--app-roles", a.file("roles.json", [role(READ, "Orders.Read")]))
    a.az("ad", "app", "update", "--id", app_id, "--app-roles", a.file("roles.json", [role(READ, "Orders.Read"), role(WRITE, "Orders.Write") | {"isEnabled": False}]))
    a.az("ad", "app", "update", "--id", app_id, "--app-roles", a.file("roles.json", [role(READ, "Orders.Read")]))
    same(a.az("ad", "app", "show", "--id", app_id)["appRoles"], [given(role(READ, "Orders.Read"))], "appRoles")
    a.refused("already exists", "ad", "app", "create", "--display-name", "az-another", "--identifier-uris", uri("az-orders"))
    a.refused("(?i)insufficient|invalid|not", "ad", "app", "create", "--display-name", "az-third", "--identifier-uris", "no uri")
    a.az("ad", "app", "delete", "--id", app_id)
    a.refused("does(n't| not) exist", "ad", "app", "show", "--id", app_id)


def service_principals(a):
    """az ad sp"""
    app_id = a.az("ad", "app", "create", "--display-name", "az-client", "--identifier-uris", uri("az-client"))["appId"]
    principal = a.az("ad", "sp", "create", "--id", app_id)
    has(principal, **SERVICE_PRINCIPAL, id=GUID, appId=app_id, appDisplayName="az-client", displayName="az-client", createdDateTime=DATE)
    same(sorted(principal["servicePrincipalNames"]), sorted([app_id, uri("az-client")]), "servicePrincipalNames")
    for ref in (app_id, uri("az-client"), principal["id"]):
        has(a.az("ad", "sp", "show", "--id", ref), id=principal["id"])
    for listed in (("--display-name", "az-client"), ("--spn", uri("az-client")), ("--filter", f"appId eq '{app_id}'")):
        has(one(a.az("ad", "sp", "list", *listed), listed), id=principal["id"])
    a.az("ad", "sp", "update", "--id", app_id, "--set", "appRoleAssignmentRequired=true", "notes=kept")
    has(a.az("ad", "sp", "show", "--id", app_id), appRoleAssignmentRequired=True, notes="kept", accountEnabled=True)
    has(a.az("ad", "sp", "show", "--id", GRAPH), displayName="Microsoft Graph", servicePrincipalType="Application")
    a.refused("(?i)already|conflict|in use", "ad", "sp", "create", "--id", app_id)
    a.az("ad", "sp", "owner", "list", "--id", app_id)
    a.az("ad", "sp", "delete", "--id", app_id)
    a.refused("does(n't| not) exist", "ad", "sp", "show", "--id", app_id)
    made = has(a.az("ad", "sp", "create-for-rbac", "--name", "az-rbac"), appId=GUID, displayName="az-rbac", password=re.compile(".{16,}"))
    a.az("ad", "app", "delete", "--id", made["appId"])
    a.az("ad", "app", "delete", "--id", app_id)


def credentials(a):
    """az ad app credential, az ad sp credential"""
    app_id = a.az("ad", "app", "create", "--display-name", "az-secretive")["appId"]
    a.az("ad", "sp", "create", "--id", app_id)
    reset = ("ad", "app", "credential", "reset", "--id", app_id)
    first = has(a.az(*reset, "--display-name", "first"), appId=app_id, tenant=GUID, password=re.compile(".{16,}"))
    second = a.az(*reset, "--append", "--years", "1")
    listed = a.az("ad", "app", "credential", "list", "--id", app_id)
    same((len(listed), first["password"] == second["password"]), (2, False), "secrets")
    kept = one([c for c in listed if c["displayName"] == "first"], "secrets called first")
    has(kept, keyId=GUID, startDateTime=DATE, endDateTime=DATE, hint=first["password"][3:6], secretText=None, customKeyIdentifier=None)
    a.az("ad", "app", "credential", "delete", "--id", app_id, "--key-id", kept["keyId"])
    same(len(a.az("ad", "app", "credential", "list", "--id", app_id)), 1, "secrets that are left")
    a.refused("No password credential found", "ad", "app", "credential", "delete", "--id", app_id, "--key-id", kept["keyId"])
    made = a.az(*reset, "--create-cert", "--append")
    with open(made["fileWithCertAndPrivateKey"], encoding="ascii") as file:
        certificate = re.search(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", file.read(), re.DOTALL).group()
    key = one(a.az("ad", "app", "credential", "list", "--id", app_id, "--cert"), "certificates")
    has(key, keyId=GUID, type="AsymmetricX509Cert", usage="Verify", key=None, customKeyIdentifier=re.compile("[0-9A-F]{40}$"), startDateTime=DATE, endDateTime=DATE)
    a.az("ad", "app", "credential", "delete", "--id", app_id, "--key-id", key["keyId"], "--cert")
    same(a.az("ad", "app", "credential", "list", "--id", app_id, "--cert"), [], "certificates that are left")
    a.az(*reset, "--cert", a.file("cert.pem", certificate), "--append")
    own = has(a.az("ad", "sp", "credential", "reset", "--id", app_id), appId=app_id, password=re.compile(".{16,}"))
    one(a.az("ad", "sp", "credential", "list", "--id", app_id), "secrets of the service principal")
    for id_, secret in ((app_id, second["password"]), (app_id, own["password"])):
        folder = tempfile.mkdtemp(dir=a.folder)
        shutil.copytree(a.environ["AZURE_CONFIG_DIR"], folder, dirs_exist_ok=True)  # the cloud, too
        other = Administrator(a.environ | {"AZURE_CONFIG_DIR": folder}, folder, a.graph)
        other.az("login", "--service-principal", "--username", id_, "--password", secret, "--tenant", first["tenant"])
        a.count += 1
    key_id = one(a.az("ad", "sp", "credential", "list", "--id", app_id), "secrets")["keyId"]
    a.az("ad", "sp", "credential", "delete", "--id", app_id, "--key-id", key_id)
    same(a.az("ad", "sp", "credential", "list", "--id", app_id), [], "secrets of the service principal")
    a.az("ad", "app", "delete", "--id", app_id)


def federated_credentials(a):
    """az ad app federated-credential"""
    app_id = a.az("ad", "app", "create", "--display-name", "az-federated")["appId"]
    of = ("ad", "app", "federated-credential")
    wanted = {
        "name": "pipeline", "issuer": "https://token.actions.githubusercontent.com", "description": "of the pipeline",
        "subject": "repo:contoso/orders:ref:refs/heads/main", "audiences": ["api://AzureADTokenExchange"],
    }  # fmt: skip
    made = a.az(*of, "create", "--id", app_id, "--parameters", a.file("fic.json", wanted))
    has(made, id=GUID, **wanted)
    same([f["id"] for f in a.az(*of, "list", "--id", app_id)], [made["id"]], "federated credentials")
    for ref in (made["id"], "pipeline"):
        has(a.az(*of, "show", "--id", app_id, "--federated-credential-id", ref), **wanted, id=made["id"])
    a.refused("(?i)already", *of, "create", "--id", app_id, "--parameters", a.file("fic.json", wanted))
    changed = wanted | {"subject": "repo:contoso/orders:environment:production"}
    a.az(*of, "update", "--id", app_id, "--federated-credential-id", "pipeline", "--parameters", a.file("fic.json", changed))
    has(a.az(*of, "show", "--id", app_id, "--federated-credential-id", "pipeline"), **changed)
    a.az(*of, "delete", "--id", app_id, "--federated-credential-id", "pipeline")
    same(a.az(*of, "list", "--id", app_id), [], "federated credentials that are left")
    a.az("ad", "app", "delete", "--id", app_id)


def permissions(a):
    """az ad app permission"""
    scope = "22222222-5a5a-4c4c-8d8d-000000000001"
    api = a.az("ad", "app", "create", "--display-name", "az-api", "--identifier-uris", uri("az-api"), "--app-roles", a.file("roles.json", [role(READ, "Orders.Read")]))["appId"]
    scopes = {"oauth2PermissionScopes": [{
        "id": scope, "value": "Orders.List", "type": "User", "isEnabled": True, "adminConsentDisplayName": "List",
        "adminConsentDescription": "List orders", "userConsentDisplayName": None, "userConsentDescription": None,
    }]}  # fmt: skip
    a.az("ad", "app", "update", "--id", api, "--set", f"api={json.dumps(scopes)}")
    client = a.az("ad", "app", "create", "--display-name", "az-asking")["appId"]
    api_sp, client_sp = (a.az("ad", "sp", "create", "--id", id_) for id_ in (api, client))
    of = ("ad", "app", "permission")
    a.az(*of, "add", "--id", client, "--api", api, "--api-permissions", f"{READ}=Role", f"{scope}=Scope")
    wanted = [{"id": READ, "type": "Role"}, {"id": scope, "type": "Scope"}]
    asked = one(a.az(*of, "list", "--id", client), "APIs that it asks permissions of")
    same((asked["resourceAppId"], sorted(asked["resourceAccess"], key=lambda x: x["id"])), (api, wanted), "requested permissions")
    grant = a.az(*of, "grant", "--id", client, "--api", api, "--scope", "Orders.List")
    has(grant, clientId=client_sp["id"], resourceId=api_sp["id"], consentType="AllPrincipals", principalId=None)
    same(grant["scope"].split(), ["Orders.List"], "the scope")
    again = a.az(*of, "grant", "--id", client, "--api", uri("az-api"), "--scope", "Orders.List")
    listed = one(a.az(*of, "list-grants", "--id", client, "--show-resource-name"), "grants")
    has(listed, id=again["id"], resourceDisplayName="az-api")
    assigned = f"{a.graph}/v1.0/servicePrincipals/{client_sp['id']}/appRoleAssignments"
    if a.environ.get("COMPAT_DEFAULT_CLOUD"):
        a.az(*of, "admin-consent", "--id", client)
        has(one(a.az("rest", "--url", assigned)["value"], "assignments"), appRoleId=READ, resourceId=api_sp["id"], principalId=client_sp["id"], resourceDisplayName="az-api")
        a.az(*of, "admin-consent", "--id", client)
        one(a.az("rest", "--url", assigned)["value"], "assignments after another consent")
    else:
        a.refused("not yet supported", *of, "admin-consent", "--id", client)
        same(a.az("rest", "--url", assigned)["value"], [], "assignments")
    a.az(*of, "delete", "--id", client, "--api", api, "--api-permissions", READ)
    same(one(a.az(*of, "list", "--id", client), "APIs")["resourceAccess"], wanted[1:], "requested permissions that are left")
    a.az(*of, "delete", "--id", client, "--api", api)
    same(a.az(*of, "list", "--id", client), [], "requested permissions that are left")
    for id_ in (client, api):
        a.az("ad", "app", "delete", "--id", id_)


def owners(a):
    """az ad app owner"""
    app_id = a.az("ad", "app", "create", "--display-name", "az-owned")["appId"]
    owner = a.az("ad", "sp", "create", "--id", a.az("ad", "app", "create", "--display-name", "az-owner")["appId"])
    of = ("ad", "app", "owner")
    before = {o["id"] for o in a.az(*of, "list", "--id", app_id)}
    a.az(*of, "add", "--id", app_id, "--owner-object-id", owner["id"])
    a.az(*of, "add", "--id", app_id, "--owner-object-id", owner["id"])  # which az finds done
    listed = a.az(*of, "list", "--id", app_id)
    same({o["id"] for o in listed}, before | {owner["id"]}, "owners")
    added = one([o for o in listed if o["id"] == owner["id"]], "the new owner")
    same(added["@odata.type"], "#microsoft.graph.servicePrincipal", "the type of the owner")
    a.az(*of, "remove", "--id", app_id, "--owner-object-id", owner["id"])
    same({o["id"] for o in a.az(*of, "list", "--id", app_id)}, before, "owners that are left")
    for id_ in (app_id, owner["appId"]):
        a.az("ad", "app", "delete", "--id", id_)


def users(a):
    """az ad user"""
    name = "azuser@contoso.test"
    made = a.az("ad", "user", "create", "--display-name", "Az User", "--user-principal-name", name, "--password", "A-long-password-0123456789")
    has(made, id=GUID, displayName="Az User", userPrincipalName=name)
    for ref in (name, made["id"]):
        has(a.az("ad", "user", "show", "--id", ref), id=made["id"], userPrincipalName=name, displayName="Az User")
    for listed in (("--upn", name), ("--display-name", "Az Us"), ("--filter", f"userPrincipalName eq '{name}'")):
        has(one(a.az("ad", "user", "list", *listed), listed), id=made["id"])
    a.az("ad", "user", "update", "--id", name, "--display-name", "Another")
    has(a.az("ad", "user", "show", "--id", name), displayName="Another")
    same(a.az("ad", "user", "get-member-groups", "--id", name), [], "groups")
    a.az("ad", "user", "delete", "--id", name)
    a.refused("does(n't| not) exist", "ad", "user", "show", "--id", name)
    a.refused("(?i)group", "ad", "group", "list")


def managed_identities(a):
    """az identity"""
    of, named = ("identity",), ("--name", "az-mi", "--resource-group", "rolecall")
    made = a.az(*of, "create", *named, "--tags", "env=prod")
    has(made, name="az-mi", resourceGroup="rolecall", location="local", tags={"env": "prod"}, principalId=GUID, clientId=GUID, tenantId=GUID,
        type="Microsoft.ManagedIdentity/userAssignedIdentities", id=re.compile("(?i)/subscriptions/[0-9a-f-]{36}/resourcegroups/rolecall/providers/Microsoft.ManagedIdentity/userAssignedIdentities/az-mi$"))  # fmt: skip
    same(a.az(*of, "show", *named), made, "the identity that is shown")
    same(a.az(*of, "show", "--ids", made["id"]), made, "the identity by its id")
    same(a.az(*of, "create", *named, "--tags", "env=prod")["principalId"], made["principalId"], "the identity that was created again")
    for scope in ((), ("--resource-group", "rolecall")):
        one([i for i in a.az(*of, "list", *scope) if i["name"] == "az-mi"], "identities called az-mi")
    principal = a.az("ad", "sp", "show", "--id", made["clientId"])
    has(principal, id=made["principalId"], servicePrincipalType="ManagedIdentity", displayName="az-mi", appOwnerOrganizationId=None)
    same(sorted(principal["alternativeNames"]), sorted(["isExplicit=True", made["id"]]), "alternativeNames")
    same(a.az(*of, "list-resources", *named), [], "hosts of the identity")
    fic, about = (*of, "federated-credential"), ("--name", "k8s", "--identity-name", "az-mi", "--resource-group", "rolecall")
    trusted = ("--issuer", "https://issuer.test", "--audiences", "api://AzureADTokenExchange")
    credential = a.az(*fic, "create", *about, *trusted, "--subject", "system:serviceaccount:shop:orders")
    has(credential, name="k8s", issuer="https://issuer.test", subject="system:serviceaccount:shop:orders", audiences=["api://AzureADTokenExchange"],
        type="Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials", id=made["id"] + "/federatedIdentityCredentials/k8s")  # fmt: skip
    same(a.az(*fic, "show", *about), credential, "the credential that is shown")
    same(a.az(*fic, "list", *about[2:]), [credential], "the credentials")
    has(a.az(*fic, "update", *about, *trusted, "--subject", "system:serviceaccount:shop:billing"), subject="system:serviceaccount:shop:billing")
    a.az(*fic, "delete", *about, "--yes")
    same(a.az(*fic, "list", *about[2:]), [], "the credentials that are left")
    a.az(*of, "delete", *named)
    a.refused("ResourceNotFound", *of, "show", *named)
    a.refused("does(n't| not) exist", "ad", "sp", "show", "--id", made["clientId"])
    a.refused("ResourceGroupNotFound", *of, "create", "--name", "az-mi", "--resource-group", "nowhere", "--location", "local")


def resource_groups(a):
    """az group, az account"""
    has(a.az("group", "show", "--name", "rolecall"), name="rolecall", location="local", type="Microsoft.Resources/resourceGroups", properties={"provisioningState": "Succeeded"})
    same(a.az("group", "exists", "--name", "az-shop"), False, "whether there is a group")
    made = a.az("group", "create", "--name", "az-shop", "--location", "West Europe", "--tags", "env=prod")
    has(made, name="az-shop", location="westeurope", tags={"env": "prod"})
    same(a.az("group", "exists", "--name", "AZ-shop"), True, "whether there is a group")
    same(sorted(g["name"] for g in a.az("group", "list") if g["name"] in ("az-shop", "rolecall")), ["az-shop", "rolecall"], "groups")
    has(a.az("group", "update", "--name", "az-shop", "--set", "tags.env=test"), tags={"env": "test"})
    identity = a.az("identity", "create", "--name", "az-grouped", "--resource-group", "az-shop")
    has(identity, location="westeurope", resourceGroup="az-shop")
    a.az("group", "delete", "--name", "az-shop", "--yes")
    a.refused("ResourceGroupNotFound", "group", "show", "--name", "az-shop")
    a.refused("does(n't| not) exist", "ad", "sp", "show", "--id", identity["clientId"])
    has(a.az("account", "show"), state="Enabled", isDefault=True, tenantId=GUID)
    has(one([s for s in a.az("account", "list") if s["isDefault"]], "default subscriptions"), state="Enabled")
    has(one(a.az("account", "list-locations"), "locations"), name="local")


def rest(a):
    """az rest: a role for a managed identity"""
    api = a.az("ad", "app", "create", "--display-name", "az-called", "--app-roles", a.file("roles.json", [role(READ, "Orders.Read")]))["appId"]
    api_sp = a.az("ad", "sp", "create", "--id", api)["id"]
    identity = a.az("identity", "create", "--name", "az-caller", "--resource-group", "rolecall")
    assigned = f"{a.graph}/v1.0/servicePrincipals/{api_sp}/appRoleAssignedTo"
    triple = {"principalId": identity["principalId"], "resourceId": api_sp, "appRoleId": READ}
    made = a.az("rest", "--method", "POST", "--url", assigned, "--body", json.dumps(triple))
    has(made, **triple, id=re.compile("[A-Za-z0-9_-]+$"), principalType="ServicePrincipal", principalDisplayName="az-caller", resourceDisplayName="az-called", createdDateTime=DATE)
    has(one(a.az("rest", "--url", assigned)["value"], "assignments"), id=made["id"])
    has(one(a.az("rest", "--url", f"{a.graph}/v1.0/servicePrincipals(appId='{identity['clientId']}')/appRoleAssignments")["value"], "assignments"), id=made["id"])
    a.refused("(?i)already exists", "rest", "--method", "POST", "--url", assigned, "--body", json.dumps(triple))
    a.az("rest", "--method", "DELETE", "--url", f"{assigned}/{made['id']}")
    same(a.az("rest", "--url", assigned)["value"], [], "assignments that are left")
    organization = one(a.az("rest", "--url", f"{a.graph}/v1.0/organization")["value"], "organizations")
    has(organization, displayName="contoso")
    a.az("identity", "delete", "--name", "az-caller", "--resource-group", "rolecall")
    a.az("ad", "app", "delete", "--id", api)


def rbac(a):
    """az role, which is refused"""
    words = "no role assignments of Azure"
    a.refused(words, "role", "definition", "list")
    a.refused(words, "role", "assignment", "list")
    a.refused(words, "role", "assignment", "create", "--assignee-object-id", READ, "--assignee-principal-type", "ServicePrincipal", "--role", "Reader",
              "--scope", a.az("group", "show", "--name", "rolecall")["id"])  # fmt: skip


AREAS = {
    "ad app": applications, "ad sp": service_principals, "credentials": credentials, "federated credentials": federated_credentials,
    "permissions": permissions, "owners": owners, "ad user": users, "identity": managed_identities, "group, account": resource_groups,
    "rest": rest, "role (refused)": rbac,
}  # fmt: skip


def signed_in(a, name):
    """az ad signed-in-user, which only a user has"""
    me = has(a.az("ad", "signed-in-user", "show"), userPrincipalName=name, id=GUID)
    has(a.az("ad", "user", "show", "--id", me["id"]), userPrincipalName=name)
    same(a.az("ad", "signed-in-user", "list-owned-objects"), [], "what the user owns")
    a.refused("(?i)insufficient privileges", "ad", "app", "create", "--display-name", "az-not-allowed")
    a.refused("AuthorizationFailed", "identity", "create", "--name", "az-not-allowed", "--resource-group", "rolecall")


def main():
    """Does all of it, or the areas that are named, in the cloud that az is in."""
    graph = os.environ.get("COMPAT_GRAPH", "https://graph.microsoft.com")
    with tempfile.TemporaryDirectory() as folder:
        a = Administrator(dict(os.environ), folder, graph)
        for name in sys.argv[1:] or AREAS:
            before = a.count
            try:
                AREAS[name](a)
            except Wrong as wrong:
                sys.exit(f"{name}, after {a.count - before} commands: {wrong}")
            print(f"{name}: {a.count - before}")


if __name__ == "__main__":
    main()
