"""The Azure CLI, unmodified, in a cloud of ours.

Its configuration lies in a folder of each test's own, never in the user's.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import unittest
from importlib.metadata import version

import administration
import environment as env
import page
from browser import sign_in
from ways import Verified, way

SETTINGS = {
    "AZURE_CORE_COLLECT_TELEMETRY": "false",
    "AZURE_CORE_INSTANCE_DISCOVERY": "false",  # or it asks Microsoft's cloud about ours
    "AZURE_CORE_NO_COLOR": "true",
    "AZURE_CORE_OUTPUT": "json",
    "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
}


class AzureCli(Verified, unittest.TestCase):
    client = "Azure CLI"
    version = version("azure-cli")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("AZURE_")}
        self.environ |= SETTINGS | {"AZURE_CONFIG_DIR": folder.name}

    @way("cloud register")
    def test_cloud(self):
        self.register()
        [cloud] = [c for c in self.az("cloud", "list") if c["isActive"]]
        self.assertEqual(cloud["endpoints"]["activeDirectory"], env.AUTHORITY)

    @way("service principal, secret")
    def test_secret(self):
        self.register()
        self.login("--service-principal", "--username", env.CLIENT_ID, "--password", env.SECRET)
        self.gets_orders()

    @way("service principal, certificate")
    def test_certificate(self):
        self.register()
        self.login("--service-principal", "--username", env.CLIENT_ID, "--certificate", env.CERTIFICATE.path)
        self.gets_orders()

    @way("user, device code")
    def test_device_code(self):
        self.register()
        self.sign_in(env.USER)
        claims = self.verified(env.V2, self.token())
        self.assertEqual(claims["scp"], "Orders.List")

    @way("managed identity")
    def test_managed_identity(self):
        self.register()
        by = (env.ROLECALL, "run", "--data", env.DATA, "--as", env.SYSTEM.name, "--via", "app-service", "--")
        self.az("login", "--identity", by=by)
        self.gets_orders(by)

    @way("wrong password")
    def test_wrong_password(self):
        self.register()
        done = self.run_az(
            ("login", "--service-principal", "--username", env.CLIENT_ID, "--password", "not-the-secret")
            + ("--tenant", env.TENANT)
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("AADSTS7000215", done.stderr)

    @way("docs/az.md")
    def test_page(self):
        if not env.ALONE:  # the page names ports, which another may have
            return "skipped"
        path = os.path.dirname(env.ROLECALL) + os.pathsep + self.environ["PATH"]
        page.follow({k: v for k, v in self.environ.items() if not k.startswith("ROLECALL_")} | {"PATH": path})
        return "ok"

    def test_administration(self):
        """Counts the commands of each area that did what they should."""
        self.register()
        self.az("login", "--service-principal", "--username", env.ADMIN_ID, "--password", env.ADMIN_SECRET, "--tenant", env.TENANT)
        for name, area in administration.AREAS.items():
            with self.subTest(name):
                self.administer(name, area)

    def test_signed_in_user(self):
        self.register()
        self.sign_in(env.USER)
        self.administer("ad signed-in-user", administration.signed_in, env.USER)

    def administer(self, name, area, *args):
        result = "FAIL"
        try:
            with tempfile.TemporaryDirectory() as folder:
                administrator = administration.Administrator(self.environ, folder, env.GRAPH)
                area(administrator, *args)
            result = str(administrator.count)
        finally:
            env.record(self.client, self.version, name, result)

    def register(self):
        """Tells az of our cloud, whose endpoints it asks for itself."""
        self.az("cloud", "register", "--name", "rolecall", "--endpoint-resource-manager", env.ARM)
        self.az("cloud", "set", "--name", "rolecall")

    def login(self, *args):
        self.az("login", *args, "--tenant", env.TENANT)

    def sign_in(self, name):
        """Signs a user in who types the code that az shows."""
        command = ["az", "login", "--use-device-code", "--tenant", env.TENANT]
        with subprocess.Popen(
            command, env=self.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as az:
            limit = threading.Timer(60, az.kill)
            self.addCleanup(limit.cancel)
            limit.start()
            told = ""
            for line in az.stderr:
                told += line
                if found := re.search(r"open (https://\S+) .* the code (\w+)", line):
                    sign_in(*found.groups(), name)
            self.assertEqual(az.wait(), 0, told)

    def gets_orders(self, by=()):
        self.accepted(env.V2, self.token(by))

    def token(self, by=()):
        """What az says that a script gets."""
        answer = self.az("account", "get-access-token", "--resource", env.V2.resource, by=by)
        self.assertEqual(answer["tenant"], env.TENANT)
        return answer["accessToken"]

    def az(self, *args, by=()):
        """Runs az and returns what it prints."""
        done = self.run_az(args, by)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout or "null")

    def run_az(self, args, by=()):
        return subprocess.run(
            [*by, "az", *args], env=self.environ, capture_output=True, text=True, check=False, timeout=120
        )


if __name__ == "__main__":
    sys.exit(unittest.main())
