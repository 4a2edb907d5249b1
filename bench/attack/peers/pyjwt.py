"""PyJWT as a validator: see run."""

import base64
import json
import sys

import jwt

with open(sys.argv[1], encoding="utf-8") as file:
    settings = json.load(file)
keys = jwt.PyJWKSet.from_dict(settings["keys"])


def takes(token: str) -> bool:
    try:
        jwt.decode(
            token,
            keys[jwt.get_unverified_header(token)["kid"]],
            algorithms=["RS256", "ES256"],
            issuer=settings["issuer"],
            audience=settings["audiences"],
            leeway=settings["skew"],
            options={"require": ["exp"]},
        )
    except Exception:
        return False
    return True


for line in sys.stdin:
    raw = base64.b64decode(line)
    print("1" if takes(raw.decode("utf-8", "surrogateescape")) else "0")
