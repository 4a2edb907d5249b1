"""An API that checks tokens with PyJWT."""

import http.server
import os

import jwt

AUTHORITY = os.environ["AZURE_AUTHORITY_HOST"].rstrip("/") + "/" + os.environ["AZURE_TENANT_ID"]
CLIENT_ID = os.environ["AZURE_CLIENT_ID"]

keys = jwt.PyJWKClient(AUTHORITY + "/discovery/v2.0/keys")


def claims_of(token):
    return jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["RS256"],
        issuer=AUTHORITY + "/v2.0",
        audience=CLIENT_ID,
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
        if "scp" in claims or "Orders.Read" not in claims.get("roles", []):
            return 403
        return 200

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Orders)
    print(f"listening http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
