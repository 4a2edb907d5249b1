"""Users who sign in on a device with MSAL, or are signed in with the developer tools.

Their tokens are not for an API of applications, whatever role they have.
"""

import unittest
from importlib.metadata import version

import msal

import environment as env
from browser import sign_in
from test_sources import Source
from ways import Verified, get_orders, way


def device_code(name):
    """Has MSAL sign a user in who types the code that it shows."""
    app = msal.PublicClientApplication(
        env.APP_ID, authority=f"{env.AUTHORITY}/{env.TENANT}", instance_discovery=False
    )
    flow = app.initiate_device_flow([env.V2.resource + "/Orders.List"])
    sign_in(flow["verification_uri"], flow["user_code"], name)
    return app, app.acquire_token_by_device_flow(flow)


class Refused(Verified):
    """The tests of tokens that are not for an API of applications."""

    def refused(self, token):
        answer = get_orders(env.V2, token)
        self.assertEqual(answer.status_code, 403, answer.text)
        self.assertEqual(answer.json()["reason"], "caller_kind")


class Users(Refused, unittest.TestCase):
    client = "MSAL Python"
    version = version("msal")

    @classmethod
    def setUpClass(cls):
        cls.app, cls.user = device_code(env.USER)

    @way("device code")
    def test_device_code(self):
        claims = self.verified(env.V2, self.user["access_token"])
        self.assertEqual(claims["scp"], "Orders.List")
        self.assertNotIn("roles", claims)

    @way("refresh")
    def test_refresh(self):
        [account] = self.app.get_accounts()
        answer = self.app.acquire_token_silent([env.V1.resource + "/Orders.List"], account)
        self.assertEqual(self.verified(env.V1, answer["access_token"])["scp"], "Orders.List")

    @way("user refused")
    def test_user(self):
        self.refused(self.user["access_token"])

    @way("user with the role refused")
    def test_user_with_role(self):
        _, lead = device_code(env.USER_WITH_ROLE)
        self.assertEqual(self.verified(env.V2, lead["access_token"])["roles"], ["Orders.Read"])
        self.refused(lead["access_token"])


class UsersOfTools(Refused, unittest.TestCase):
    client = "azure-identity (Python)"
    version = version("azure-identity")

    def check(self, ask):
        """Gets a token of the user who is signed in with the tools."""
        done = Source(("cli",), (ask,), name=env.USER).probe("identity")
        self.assertEqual(done.returncode, 0, done.stderr)
        token = done.stdout.strip()
        self.assertEqual(self.verified(env.V2, token)["scp"], "Orders.List")
        self.refused(token)

    @way("az as user")
    def test_az(self):
        self.check("az")

    @way("azd as user")
    def test_azd(self):
        self.check("azd")

    @way("DefaultAzureCredential as user")
    def test_default(self):
        self.check("default")


if __name__ == "__main__":
    unittest.main()
