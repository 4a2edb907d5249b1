"""What a user does in a browser without script."""

import re

import requests

import environment as env


def sign_in(page, code, name):
    """Types a device's code, signs in, and says that the device is the user's own."""
    with requests.Session() as browser:
        shown = browser.get(page, timeout=20).text
        for typed in (
            {"user_code": code},
            {"username": name, "password": env.PASSWORD, "action": "signin"},
            {"action": "continue"},
        ):
            typed["form"] = found(shown, 'name="form" value="([^"]+)"')
            action = found(shown, '<form method="post" action="([^"]+)"')
            shown = browser.post(env.AUTHORITY + action, data=typed, timeout=20).text
        found(shown, "(You are signed in)")


def found(page, pattern):
    """What the pattern finds in the page, which must have it."""
    match = re.search(pattern, page)
    assert match, f"the page has no {pattern}: {page}"
    return match[1]
