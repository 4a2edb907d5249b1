"""An API that checks tokens with PyJWT and has Microsoft's names in its source.

    python pyjwt_public.py 1.0|2.0
"""

import http.server
import sys

import jwt

TENANT = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"
KEYS = f"https://login.microsoftonline.com/{TENANT}/discovery/v2.0/keys"
ISSUERS = {
    "1.0": f"https://sts.windows.net/{TENANT}/",
    "2.0": f"https://login.microsoftonline.com/{TENANT}/v2.0",
}
AUDIENCES = {
    "1.0": "api://orders-v1",
    "2.0": "a9100002-5a5a-4c4c-8d8d-000000000002",
}

version = sys.argv[1]
keys = jwt.PyJWKClient(KEYS)


def claims_of(token):
    return jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["RS256"],
        issuer=ISSUERS[version],
        audience=AUDIENCES[version],
        options={"require": ["exp", "iss", "aud"]},
    )


class Orders(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(self.status())
        self.send_header("Content-Length", "0")
        self.end_headers()

    def status(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return 401
        try:
            claims = claims_of(token)
        except jwt.PyJWTError:
            return 401
        return 200 if "Orders.Read" in claims.get("roles", []) else 403

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Orders)
    print(f"listening http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
