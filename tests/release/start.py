"""Unpacks the package into other root folders, starts what host.json names there, and asks for `GET /` as the Functions host does.

    start.py PACKAGE ROOT...

Needs root, for chroot. Each ROOT is a folder; what it has is kept."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

# Longer than any start, and shorter than the host's patience.
PATIENCE = 20
# No invocation runs, so nothing that these name is asked for.
SETTINGS = {
    "SWEEP_SCHEDULE": "0 0 * * * *",
    "MAIL_FROM": "welcome@contoso.example",
    "LEDGER_URL": "https://contoso.blob.core.windows.net/ledger",
}


def unpack(path, root):
    """Where the package is, as seen from `root`."""
    folder = Path("home/site/wwwroot")
    with zipfile.ZipFile(path) as package:
        for entry in package.infolist():
            file = Path(package.extract(entry, root / folder))
            file.chmod(entry.external_attr >> 16 & 0o777)
    return folder


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def first_answer(port, process):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.001)
    return None


def start(root, folder):
    handler = json.loads((root / folder / "host.json").read_text())["customHandler"]["description"]
    port = free_port()
    started = time.monotonic()
    process = subprocess.Popen(
        ["chroot", root, Path("/") / folder / handler["defaultExecutablePath"], *handler["arguments"]],
        env={"PATH": os.environ["PATH"], "FUNCTIONS_CUSTOMHANDLER_PORT": str(port), **SETTINGS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    status = first_answer(port, process)
    took = (time.monotonic() - started) * 1000
    process.kill()
    log = process.communicate()[0]
    if status == 200:
        print(f"{root.name}: GET / answers {took:.0f} ms after the start")
        return True
    print(f"error: in {root.name} the handler does not answer GET / with 200, but {status}. It wrote:\n{log}")
    return False


def main():
    path, *roots = sys.argv[1:]
    started = [start(Path(root), unpack(path, Path(root))) for root in roots]
    sys.exit(0 if all(started) else 1)


main()
