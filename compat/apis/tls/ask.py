"""Asks for a URL with a library and says why it cannot."""

import sys
import urllib.request

import httpx
import requests

ask = {"urllib": urllib.request.urlopen, "requests": requests.get, "httpx": httpx.get}[sys.argv[1]]
try:
    ask(sys.argv[2])
except Exception as error:
    sys.exit(f"{type(error).__module__}.{type(error).__name__}: {error}")
