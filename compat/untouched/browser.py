"""What a user does in a browser without script, at the pages that a program sends them to.

    python browser.py URL

The program may also have the page of a device's code.
"""

import html
import os
import re
import sys
import urllib.parse

import requests

USER = "dev@contoso.test"


def sign_in(page, code=None):
    """Types a device's code, if there is one, signs in, and goes on to the end."""
    with requests.Session() as browser:
        shown = browser.get(page, timeout=20)
        forms = [
            {"username": USER, "password": os.environ["COMPAT_PASSWORD"], "action": "signin"},
            {"action": "continue"},
        ]
        if code:
            forms.insert(0, {"user_code": code})
        for typed in forms:
            if not (form := re.search('name="form" value="([^"]+)"', shown.text)):
                break  # it is over
            action = re.search('<form method="post" action="([^"]+)"', shown.text)
            assert action, f"the page has no form: {shown.text}"
            typed["form"] = form[1]
            shown = browser.post(urllib.parse.urljoin(shown.url, action[1]), data=typed, timeout=20)
        if 'name="code"' in shown.text:  # the page that a script would send on
            action = re.search('action="([^"]+)"', shown.text)[1]
            fields = re.findall('name="([^"]+)" value="([^"]*)"', shown.text)
            shown = browser.post(html.unescape(action), data={n: html.unescape(v) for n, v in fields}, timeout=20)
        assert shown.status_code == 200, shown.text


if __name__ == "__main__":
    sign_in(sys.argv[1])
