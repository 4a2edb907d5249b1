"""An API that checks tokens with fastapi-azure-auth's class for one tenant, which has Microsoft's
names built in."""

import socket

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi_azure_auth import SingleTenantAzureAuthorizationCodeBearer

azure = SingleTenantAzureAuthorizationCodeBearer(
    app_client_id="a9100002-5a5a-4c4c-8d8d-000000000002",
    tenant_id="7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11",
    scopes={"api://orders/Orders.List": "List your orders"},
)


def reader(caller=Depends(azure)):
    if "Orders.Read" not in caller.roles:
        raise HTTPException(403)


app = FastAPI()


@app.get("/", dependencies=[Depends(reader)])
def orders():
    return []


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.run(app, fd=listener.fileno(), log_level="error")
