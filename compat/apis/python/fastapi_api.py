"""An API that checks tokens with fastapi-azure-auth."""

import os
import socket

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi_azure_auth.auth import AzureAuthorizationCodeBearerBase

AUTHORITY = os.environ["AZURE_AUTHORITY_HOST"].rstrip("/") + "/" + os.environ["AZURE_TENANT_ID"]

azure = AzureAuthorizationCodeBearerBase(
    app_client_id=os.environ["AZURE_CLIENT_ID"],
    tenant_id=os.environ["AZURE_TENANT_ID"],
    openid_config_url=AUTHORITY + "/v2.0/.well-known/openid-configuration",
)


def reader(caller=Depends(azure)):
    if "scp" in caller.claims or "Orders.Read" not in caller.roles:
        raise HTTPException(403)


app = FastAPI()


@app.get("/", dependencies=[Depends(reader)])
def orders():
    return []


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.run(app, fd=listener.fileno(), log_level="error")
