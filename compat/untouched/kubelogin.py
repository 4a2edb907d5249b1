"""Has kubelogin get a token in each of its login modes, as kubectl would.

    python kubelogin.py KUBELOGIN WAY...

Where a user has to sign in, the browser is a program beside this one. A line is "kubelogin",
version, way, "token" or "error", and the token or what kubelogin said, with tabs between them.
"""

import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading

from browser import sign_in

TENANT = os.environ["AZURE_TENANT_ID"]
SERVER = os.environ["COMPAT_V2_AUDIENCE"]
SERVER_V1 = os.environ["COMPAT_V1_APP_ID"]
USER = "dev@contoso.test"
MODES = {
    "spn, secret": ("spn",),
    "spn, certificate": ("spn", "--client-certificate", os.environ["COMPAT_CERT"]),
    "spn, legacy": ("spn", "--legacy", "--server-id", SERVER_V1),
    "spn certificate, legacy": ("spn", "--legacy", "--server-id", SERVER_V1, "--client-certificate", os.environ["COMPAT_CERT"]),
    "spn, PoP": ("spn", "--pop-enabled", "--pop-claims", "u=/subscriptions/s/resourceGroups/g/providers/p/clusters/c"),
    "devicecode, legacy": ("devicecode", "--legacy", "--server-id", SERVER_V1),
    "ropc": ("ropc", "--username", USER, "--password", os.environ["COMPAT_PASSWORD"]),
}
# The modes in which a user signs in to kubelogin itself, which has an application of its own.
OF_USERS = ("devicecode", "devicecode, legacy", "interactive", "ropc")


class Pipeline(http.server.BaseHTTPRequestHandler):
    """Stands for Azure Pipelines, which tells a job's assertion to the job."""

    def do_POST(self):
        """Answers with the assertion that rolecall run keeps in a file."""
        with open(os.environ["AZURE_FEDERATED_TOKEN_FILE"], encoding="ascii") as file:
            body = json.dumps({"oidcToken": file.read()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Says nothing."""


def environment(way):
    """What kubelogin finds in its environment."""
    environ = dict(os.environ)
    if way in OF_USERS:
        environ = {k: v for k, v in environ.items() if not k.startswith("AZURE_CLIENT_")}
        environ["AZURE_CLIENT_ID"] = "80faf920-1908-4b52-b5ef-a8e7bedfc67a"  # as kubeconfigs of AKS have it
    if way == "interactive":
        environ["PATH"] = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin") + ":" + environ["PATH"]
    if "--client-certificate" in MODES.get(way, ()):
        del environ["AZURE_CLIENT_SECRET"]
    if way == "azurepipelines":
        server = http.server.HTTPServer(("127.0.0.1", 0), Pipeline)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environ |= {
            "SYSTEM_OIDCREQUESTURI": f"http://127.0.0.1:{server.server_port}/",
            "SYSTEM_ACCESSTOKEN": "of-the-job",
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "connection",
            "AZURESUBSCRIPTION_CLIENT_ID": os.environ["AZURE_CLIENT_ID"],
            "AZURESUBSCRIPTION_TENANT_ID": TENANT,
        }
    return environ


def get_token(kubelogin, way):
    """Runs kubelogin and returns what came of it."""
    mode, *more = MODES.get(way, (way,))
    with tempfile.TemporaryDirectory() as cache:
        command = [kubelogin, "get-token", "--login", mode, "--tenant-id", TENANT, "--server-id", SERVER, "--cache-dir", cache]
        with subprocess.Popen(
            [*command, *more], env=environment(way), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            limit = threading.Timer(60, process.kill)
            limit.start()
            told = ""
            for line in process.stderr:
                told += line
                if found := re.search(r"open the page (https://\S+) and enter the code (\w+)", line):
                    sign_in(found[1], found[2])
                elif found := re.search(r"(https://\S+) .* the code (\w+)", line):
                    sign_in(found[1], found[2])
            out = process.stdout.read()
            limit.cancel()
            if process.wait() != 0:
                return "error", told + out
    return "token", json.loads(out)["status"]["token"]


def version(kubelogin):
    """The version of the module that kubelogin was built from."""
    told = subprocess.run(["go", "version", "-m", kubelogin], capture_output=True, text=True, check=True).stdout
    return re.search(r"\tmod\tgithub.com/Azure/kubelogin\tv(\S+)|\tdep\tgithub.com/Azure/kubelogin\tv(\S+)", told)[1]


def main():
    """Prints what came of each way."""
    kubelogin, *ways = sys.argv[1:]
    of = version(kubelogin)
    for way in ways:
        try:
            outcome = get_token(kubelogin, way)
        except Exception as err:  # whatever goes wrong is a row, too
            outcome = ("error", repr(err))
        print("kubelogin", of, way, *(re.sub(r"\s+", " ", part).strip() for part in outcome), sep="\t")


if __name__ == "__main__":
    main()
