"""A program that knows nothing of tokens, behind `rolecall guard`."""

import base64
import json
import os

import uvicorn
from fastapi import FastAPI, Request

app = FastAPI()


def caller(request: Request):
    """Who calls, as the guard says: the headers of App Service Authentication."""
    principal = json.loads(base64.b64decode(request.headers["x-ms-client-principal"]))
    roles = [claim["val"] for claim in principal["claims"] if claim["typ"] == "roles"]
    return request.headers["x-ms-client-principal-id"], roles


@app.get("/api/GetOrders")
def orders(request: Request):
    print("orders for %s with %s" % caller(request), flush=True)
    return []


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="error")
