"""Users who sign in on a device with MSAL.

Their tokens are not for an API of applications, whatever role they have.
"""

import unittest
from importlib.metadata import version

import msal

import environment as env
from browser import sign_in
from ways import Verified, get_orders, way


def device_code(name):
    """Has MSAL sign a user in who types the code that it shows."""
    app = msal.PublicClientApplication(
        env.APP_ID, authority=f"{env.AUTHORITY}/{env.TENANT}", instance_discovery=False
    )
    flow = app.initiate_device_flow([env.V2.resource + "/Orders.List"])
    sign_in(flow["verification_uri"], flow["user_code"], name)
    return app, app.acquire_token_by_device_flow(flow)


class Users(Verified, unittest.TestCase):
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

    def refused(self, token):
        answer = get_orders(env.V2, token)
        self.assertEqual(answer.status_code, 403, answer.text)
        self.assertEqual(answer.json()["reason"], "caller_kind")


if __name__ == "__main__":
    unittest.main()
