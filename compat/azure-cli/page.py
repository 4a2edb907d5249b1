"""Runs docs/az.md as it is printed, in one shell, and compares what it prints."""

import os
import re
import subprocess
import tempfile

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "az.md")
MARK = "-- the output above is that of a block --"


def follow(environ):
    """Fails unless every command of the page succeeds and prints what the page says."""
    with open(PAGE, encoding="utf-8") as file:
        blocks = re.findall(r"```(sh|text)\n(.*?)```", file.read(), re.DOTALL)
    script, wanted = "set -euo pipefail\n", []
    for kind, block in blocks:
        if kind == "sh":
            script += f"{block}echo '{MARK}'\n"
            wanted.append(None)
        else:
            wanted[-1] = block
    with tempfile.TemporaryDirectory() as folder:
        script = f"trap 'kill $(jobs -p) 2>/dev/null || true; wait || true' EXIT\n{script}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=300
        )
    printed = done.stdout.split(MARK + "\n")
    if done.returncode != 0 or len(printed) != len(wanted) + 1:
        raise AssertionError(f"the page ended in block {len(printed)} with {done.returncode}: {done.stdout}{done.stderr}")
    for got, want in zip(printed, wanted):
        if want is not None and got != want:
            raise AssertionError(f"the page says {want!r}, and this was printed: {got!r}")
