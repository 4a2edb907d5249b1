"""google-auth's workload federation, as the file has it that Google's tools write for Azure.

It asks the metadata service of Azure's virtual machines, at its own address, for a token, and
exchanges that. Google's token service is outside: a stand-in on the loopback interface gives
back what it was sent.

    python federation.py
"""

import http.server
import json
import os
import threading
import urllib.parse
from importlib.metadata import version

import google.auth.identity_pool
import google.auth.transport.requests


class TokenService(http.server.BaseHTTPRequestHandler):
    """Answers a token exchange (RFC 8693) with the subject's own token."""

    def do_POST(self):
        """Answers."""
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:token-exchange"]
        answer = {
            "access_token": form["subject_token"][0],
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": 3600,
        }
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *args):
        """Says nothing."""


def main():
    """Prints the token that is exchanged."""
    service = http.server.HTTPServer(("127.0.0.1", 0), TokenService)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    resource = urllib.parse.quote(os.environ["COMPAT_V2_RESOURCE"], safe="")
    pool = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/azure"
    credentials = google.auth.identity_pool.Credentials.from_info(
        {
            "type": "external_account",
            "audience": pool,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"http://127.0.0.1:{service.server_port}/v1/token",
            "credential_source": {
                "url": "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=" + resource,
                "headers": {"Metadata": "True"},
                "format": {"type": "json", "subject_token_field_name": "access_token"},
            },
        }
    ).with_scopes(["https://www.googleapis.com/auth/cloud-platform"])
    credentials.refresh(google.auth.transport.requests.Request())
    print("google-auth", version("google-auth"), "workload federation", "token", credentials.token, sep="\t")


if __name__ == "__main__":
    main()
