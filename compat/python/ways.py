"""The ways that every client is taken down, and what must come of each."""

import functools

import jwt
import requests

import environment as env

UNKNOWN_TENANT = "5e0f7a31-93c4-4d57-8b2a-1c6d9e4f0a77"
UNKNOWN_RESOURCE = "api://nobody"
WRONG_SECRET = "not-the-secret-of-this-client"


class Refused(Exception):
    """The authority's answer, taken from the error that the library itself raised."""


def way(name):
    """Makes a test record its outcome under the name of a way.

    A test returns "none" when the client has no such way.
    """

    def wrap(test):
        @functools.wraps(test)
        def run(self):
            result = "FAIL"
            try:
                result = test(self) or "ok"
            finally:
                env.record(self.client, self.version, name, result)

        return run

    return wrap


class Verified:
    """Whether others than the client like a token: PyJWT, and the Orders server."""

    def accepted(self, api, token):
        """Checks that PyJWT and the Orders server both take the token."""
        self.assertEqual(self.verified(api, token)["roles"], ["Orders.Read"])
        answer = get_orders(api, token)
        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertEqual(len(answer.json()), 5)

    def verified(self, api, token):
        """Has PyJWT check signature, issuer, audience and expiry; returns the claims.

        Issuer and keys come from the discovery document.
        """
        metadata = requests.get(api.metadata, timeout=20).json()
        self.assertEqual(metadata["issuer"], api.issuer)
        keys = jwt.PyJWKSet.from_dict(requests.get(metadata["jwks_uri"], timeout=20).json())
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(
            token,
            key.key,
            algorithms=["RS256"],
            issuer=metadata["issuer"],
            audience=api.audience,
            options={"require": ["exp", "nbf", "iat", "iss", "aud"]},
        )
        self.assertEqual(claims["ver"], api.version)
        return claims


class Ways(Verified):
    """The tests of one client.

    A subclass names the library and says how it gets a token: with_secret,
    with_certificate and with_environment return the access token or raise Refused.
    with_environment takes everything from the variables of rolecall env.
    """

    client: str
    version: str

    def with_secret(self, tenant, client_id, secret, resource):
        raise NotImplementedError

    def with_certificate(self, certificate, chain, resource):
        raise NotImplementedError

    with_environment = None

    @way("secret")
    def test_secret(self):
        self.accepted(env.V2, self.with_secret(env.TENANT, env.CLIENT_ID, env.SECRET, env.V2.resource))

    @way("certificate")
    def test_certificate(self):
        self.accepted(env.V2, self.with_certificate(env.CERTIFICATE, False, env.V2.resource))

    @way("certificate chain")
    def test_certificate_chain(self):
        self.accepted(env.V2, self.with_certificate(env.CHAIN, True, env.V2.resource))

    @way("environment")
    def test_environment(self):
        if self.with_environment is None:
            return "none"
        self.accepted(env.V2, self.with_environment(env.V2.resource))
        return "ok"

    @way("v1.0 token")
    def test_v1_token(self):
        self.accepted(env.V1, self.with_secret(env.TENANT, env.CLIENT_ID, env.SECRET, env.V1.resource))

    @way("no role")
    def test_no_role(self):
        token = self.with_secret(env.TENANT, env.NO_ROLE_ID, env.NO_ROLE_SECRET, env.V2.resource)
        self.assertNotIn("roles", self.verified(env.V2, token))
        answer = get_orders(env.V2, token)
        self.assertEqual(answer.status_code, 403, answer.text)
        self.assertEqual(answer.json()["reason"], "role_missing")

    @way("wrong secret")
    def test_wrong_secret(self):
        with self.assertRaisesRegex(Refused, "AADSTS7000215:"):
            self.with_secret(env.TENANT, env.CLIENT_ID, WRONG_SECRET, env.V2.resource)

    @way("unknown tenant")
    def test_unknown_tenant(self):
        with self.assertRaisesRegex(Refused, "AADSTS90002:"):
            self.with_secret(UNKNOWN_TENANT, env.CLIENT_ID, env.SECRET, env.V2.resource)

    @way("unknown resource")
    def test_unknown_resource(self):
        with self.assertRaisesRegex(Refused, "AADSTS500011:"):
            self.with_secret(env.TENANT, env.CLIENT_ID, env.SECRET, UNKNOWN_RESOURCE)


def get_orders(api, token):
    """Calls the Orders server with the token."""
    return requests.get(api.url, headers={"Authorization": f"Bearer {token}"}, timeout=20)
