"""A daemon with Microsoft's names in its source: it gets a token with MSAL, by a client secret,
and calls the Orders API at each URL that it is given."""

import os
import sys

import msal
import requests

app = msal.ConfidentialClientApplication(
    "c11e0001-5a5a-4c4c-8d8d-000000000001",
    authority="https://login.microsoftonline.com/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11",
    client_credential=os.environ["AZURE_CLIENT_SECRET"],
)
result = app.acquire_token_for_client(["api://orders/.default"])
if "access_token" not in result:
    sys.exit(result["error_description"])
for url in sys.argv[1:]:
    response = requests.get(url, headers={"Authorization": "Bearer " + result["access_token"]}, timeout=30)
    print(response.status_code, url)
