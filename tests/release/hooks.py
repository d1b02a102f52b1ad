"""Runs infra/hooks/prepackage.sh and .ps1 as a machine without Rust does, against releases on this machine.

    hooks.py PACKAGE"""

import functools
import hashlib
import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSION = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
WITHOUT_RUST = ("cargo", "rustc", "rustup", "zip")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def path_without_rust(folder):
    """A folder with links to every program but those that build, and one with programs in their place that fail."""
    rust = folder.with_name("rust")
    rust.mkdir()
    for name in WITHOUT_RUST:
        (rust / name).write_text("#!/bin/sh\nexit 99\n")
        (rust / name).chmod(0o755)
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).glob("*"):
            link = folder / program.name
            if program.name not in WITHOUT_RUST and not link.exists():
                link.symlink_to(program)
    return str(folder)


class Machine:
    """A copy of what a hook reads."""

    def __init__(self, folder, command, path):
        self.folder, self.command, self.path = folder, command, path
        shutil.copytree(ROOT / "infra/hooks", folder / "infra/hooks")
        shutil.copy(ROOT / "Cargo.toml", folder)

    @property
    def package(self):
        return self.folder / "dist/firstpass.zip"

    def run(self, has_rust=False, **settings):
        path = os.pathsep.join([str(Path(self.path).with_name("rust"))] * has_rust + [self.path])
        environment = {"PATH": path, "HOME": str(self.folder), **settings}
        return subprocess.run([*self.command], cwd="/", env=environment, capture_output=True, text=True)


def problems(machine, package, releases, url):
    """What a hook does otherwise than it should."""
    content = package.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    release = releases / f"v{VERSION}"
    shutil.rmtree(release, ignore_errors=True)
    release.mkdir(parents=True)

    def expect(case, result, *words, succeeds):
        output = result.stdout + result.stderr
        if (result.returncode == 0) != succeeds:
            yield f"{case}: exit code {result.returncode}\n{output}"
        yield from (f"{case}: it does not say {word!r}\n{output}" for word in words if word not in output)
        if list((machine.folder / "dist").glob("*.part*")):
            yield f"{case}: a part is left"

    yield from expect("no repository", machine.run(), "FIRSTPASS_RELEASES", succeeds=False)
    yield from expect("no release", machine.run(FIRSTPASS_RELEASES=url), f"v{VERSION}/firstpass.zip", succeeds=False)
    (release / "firstpass.zip").write_bytes(content)
    yield from expect("no checksum", machine.run(FIRSTPASS_RELEASES=url), "firstpass.zip.sha256", succeeds=False)
    (release / "firstpass.zip.sha256").write_text(f"{'0' * 64}  firstpass.zip\n")
    yield from expect("a changed package", machine.run(FIRSTPASS_RELEASES=url), digest, "0" * 64, succeeds=False)
    if machine.package.exists():
        yield "a package that was not checked is in dist/"
    (release / "firstpass.zip.sha256").write_text(f"{digest}  firstpass.zip\n")
    yield from expect("a good package", machine.run(FIRSTPASS_RELEASES=url), digest, VERSION, succeeds=True)
    if machine.package.exists() and machine.package.read_bytes() != content:
        yield "the package in dist/ is another one"
    written = Path(f"{machine.package}.sha256")
    if not written.exists() or written.read_text() != f"{digest}  firstpass.zip\n":
        yield "the checksum in dist/ is missing or has another form"
    pinned = machine.run(FIRSTPASS_RELEASES=url, FIRSTPASS_PACKAGE_SHA256="1" * 64)
    yield from expect("another package than the pinned one", pinned, "1" * 64, succeeds=False)
    if not machine.package.exists():
        yield "a refused package removes the one before"
    cargo = machine.folder / "Cargo.toml"
    cargo.write_text(cargo.read_text().replace("[workspace.package]\n", f'[workspace.package]\nrepository = "{url}"\n'))
    (releases / "releases").mkdir(exist_ok=True)
    shutil.copytree(release, releases / f"releases/download/v{VERSION}", dirs_exist_ok=True)
    yield from expect("the repository of Cargo.toml", machine.run(), digest, succeeds=True)
    # Get-FileHash prints capitals.
    for wanted in ({"FIRSTPASS_RELEASES": url}, {"FIRSTPASS_PACKAGE_SHA256": digest}, {"FIRSTPASS_PACKAGE_SHA256": digest.upper()}):
        fetched = machine.run(has_rust=True, **wanted)
        yield from expect(f"{list(wanted)} with Rust", fetched, "is the release", succeeds=True)
    yield from expect("Rust", machine.run(has_rust=True), "package.sh", succeeds=False)


def main():
    package = Path(sys.argv[1]).resolve()
    commands = {"prepackage.sh": ["sh"], "prepackage.ps1": ["pwsh", "-NoProfile", "-NonInteractive", "-File"]}
    failed = False
    for name, shell in commands.items():
        if not shutil.which(shell[0]):
            print(f"NOT CHECKED: infra/hooks/{name}. {shell[0]} is not installed.")
            continue
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            releases = folder / "releases"
            url = serve(releases)
            command = [*shell, str(folder / "machine/infra/hooks" / name)]
            found = list(problems(Machine(folder / "machine", command, path_without_rust(folder / "bin")), package, releases, url))
        for problem in found:
            print(f"error: infra/hooks/{name}: {problem}")
        failed |= bool(found)
        if not found:
            print(f"infra/hooks/{name} fetches and checks a release")
    sys.exit(1 if failed else 0)


main()
