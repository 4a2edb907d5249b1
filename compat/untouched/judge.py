"""Judges what the programs of this suite were told under Microsoft's own host names.

    python judge.py < LINES > RESULTS

A line is the way in, client, version, way, outcome and text, with tabs between them; a result
is the same with "ok" or "FAIL" in place of the last two. PyJWT verifies each token as an API in
Azure would: with the public issuers and the keys that are published under them.
"""

import base64
import hashlib
import json
import os
import re
import sys

import jwt
import requests

TENANT = os.environ["AZURE_TENANT_ID"]
CLIENT_ID = os.environ["COMPAT_CLIENT_ID"]
SYSTEM = os.environ["COMPAT_SYSTEM_OBJECT_ID"]
AUTHORITY = f"https://login.microsoftonline.com/{TENANT}"

# What each way must come to: whose token of which version, or the words of a refusal. All
# others are the client's, of version 2.0.
IDENTITY = {"managed identity", "IMDS", "workload identity", "workload federation", "msi", "workloadidentity"}
LEGACY = {"spn, legacy", "spn certificate, legacy", "devicecode, legacy"}
VERSION_ONE = {"v1.0 token"} | LEGACY
REFUSED = {"wrong secret": "AADSTS7000215:", "unknown tenant": "AADSTS90002:"}
USER = {"devicecode", "devicecode, legacy", "interactive", "ropc"}


class Keys:
    """The issuers of a version and their keys, as the public authority publishes them."""

    def __init__(self, metadata, issuer, audience):
        document = requests.get(metadata, timeout=20).json()
        assert document["issuer"] == issuer, f"the issuer is {document['issuer']}, want {issuer}"
        assert document["jwks_uri"].startswith(AUTHORITY), f"the keys are at {document['jwks_uri']}"
        self.keys = jwt.PyJWKSet.from_dict(requests.get(document["jwks_uri"], timeout=20).json())
        self.issuer, self.audience = issuer, audience

    def claims(self, token, audience=None):
        """The claims of a token that is in order."""
        return jwt.decode(
            token,
            self.keys[jwt.get_unverified_header(token)["kid"]].key,
            algorithms=["RS256"],
            issuer=self.issuer,
            audience=audience or self.audience,
            options={"require": ["exp", "nbf", "iat", "iss", "aud"]},
        )


def unwrapped(text):
    """The token in a proof of possession, and the thumbprint of the key that signed the proof."""
    key = jwt.decode(text, options={"verify_signature": False})["cnf"]["jwk"]
    proof = jwt.decode(text, jwt.PyJWK(key | {"alg": "RS256"}).key, algorithms=["RS256"])
    members = json.dumps({name: key[name] for name in ("e", "kty", "n")}, separators=(",", ":"))
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest())
    return proof["at"], thumbprint.decode().rstrip("=")


def check(keys, way, outcome, text):
    """Raises what is wrong with a line."""
    if way in REFUSED:
        assert outcome == "refused" and REFUSED[way] in text, f"{outcome}: {text}, want a refusal with {REFUSED[way]}"
        return
    assert outcome == "token", f"{outcome}: {text}"
    if way == "spn, PoP":
        text, bound = unwrapped(text)
    one = way in VERSION_ONE
    claims = keys["1.0" if one else "2.0"].claims(text, "spn:" + os.environ["COMPAT_V1_APP_ID"] if way in LEGACY else None)
    assert claims["ver"] == ("1.0" if one else "2.0"), claims
    if way in USER:
        assert claims["scp"] == "Orders.List" and "roles" not in claims, claims
        return
    if way == "spn, PoP":
        assert claims["cnf"]["kid"] == bound, claims
    assert claims["roles"] == ["Orders.Read"], claims
    if way in IDENTITY:
        assert claims["oid"] == SYSTEM, claims
    else:
        assert claims["appid" if one else "azp"] == CLIENT_ID, claims


def main():
    """Writes a result for every line."""
    keys = {
        "2.0": Keys(
            AUTHORITY + "/v2.0/.well-known/openid-configuration",
            AUTHORITY + "/v2.0",
            os.environ["COMPAT_V2_AUDIENCE"],
        ),
        "1.0": Keys(
            AUTHORITY + "/.well-known/openid-configuration",
            f"https://sts.windows.net/{TENANT}/",
            os.environ["COMPAT_V1_AUDIENCE"],
        ),
    }
    for line in sys.stdin:
        by, client, version, way, outcome, text = line.rstrip("\n").split("\t", 5)
        result = "ok"
        try:
            check(keys, way, outcome, text)
        except Exception as err:  # whatever PyJWT says, it is this line's
            result = "FAIL"
            said = re.sub(r"eyJ[\w.-]+", "(a token)", f"{type(err).__name__}: {err}")
            print(f"{by}, {client}, {way}: {said}", file=sys.stderr)
        print(by, client, version, way, result, sep="\t")


if __name__ == "__main__":
    main()
