"""Checks the build of tests/release/run: the features of dependencies, the texts in the binary, its size and its shared
libraries, the package, the files that a deployment of this folder would upload, and the actions of the workflows."""

import difflib
import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import package

ROOT = Path(__file__).resolve().parents[2]
FEATURES = ROOT / "tests/release/features.txt"
RELATIVE = "tests/release/features.txt"

# Texts of the sandbox only: its name, its setting, the help of its commands. No dependency contains one. If one does
# later, remove exactly its text before the search, and name the dependency.
FOREIGN = ("sandbox", "simulated tenant", "the whole job")
FOREIGN_COMMANDS = ("demo", "sandbox")

# The largest binary in bytes. The host reads all of it at each cold start. `nm --size-sort` on a build with
# CARGO_PROFILE_RELEASE_STRIP=none says what a dependency costs. Mails in sixteen languages with their check and preview, the ways
# of delivery and the digest are 730 kB of it.
LIMIT = 10_800_000

# The type of the ELF segment that names the loader of shared libraries.
INTERPRETER = 3


def compiled(messages):
    """Cargo's message about each compiled crate, also if it was compiled before."""
    for line in messages.read_text().splitlines():
        message = json.loads(line)
        if message["reason"] == "compiler-artifact":
            yield message


def crate(artifact):
    """The name in an id: `…#name@version`, or `…/name#version` if the folder has the same name."""
    source, _, fragment = artifact["package_id"].partition("#")
    return fragment.partition("@")[0] if "@" in fragment else source.rpartition("/")[2]


def features(artifacts, triple):
    """One line for each library in the binary. Macros, build scripts and their dependencies are compiled into another
    folder."""
    return sorted(
        " ".join([f"{crate(artifact)}:", *sorted(artifact["features"])])
        for artifact in artifacts
        if "lib" in artifact["target"]["kind"] and any(f"/{triple}/" in name for name in artifact["filenames"])
    )


def different_features(lines):
    kept = FEATURES.read_text().splitlines() if FEATURES.exists() else []
    difference = list(difflib.unified_diff(kept, lines, RELATIVE, "this build", lineterm="", n=0))
    if difference:
        yield (
            f"the features of dependencies differ from {RELATIVE}. If that is intended, run `tests/release/run --update` and"
            " commit the file:\n" + "\n".join(difference)
        )


def foreign_words(binary):
    for word in FOREIGN:
        for found in re.finditer(rb"[ -~]{0,60}" + re.escape(word.encode()) + rb"[ -~]{0,60}", binary, re.IGNORECASE):
            yield f"the binary contains {word!r}: …{found[0].decode()}…"


def paths_of_this_machine(binary):
    """They would say who built it, and make other bytes elsewhere."""
    for folder in (ROOT, Path.home()):
        for found in re.finditer(re.escape(str(folder).encode()) + rb"/[ -~]{0,60}", binary):
            yield f"the binary contains a path of this machine: {found[0].decode()}…"
            break


def foreign_commands(path):
    help_text = subprocess.run([path, "--help"], check=True, capture_output=True, text=True).stdout
    for command in FOREIGN_COMMANDS:
        if re.search(rf"^ +{command}\b", help_text, re.MULTILINE):
            yield f"the binary has the command `{command}`"


def shared_libraries(binary):
    table, = struct.unpack_from("<Q", binary, 0x20)
    size, count = struct.unpack_from("<HH", binary, 0x36)
    if any(struct.unpack_from("<I", binary, table + number * size)[0] == INTERPRETER for number in range(count)):
        yield "the binary needs shared libraries"


def too_large(binary):
    if len(binary) > LIMIT:
        yield f"the binary has {len(binary):,} bytes, and {LIMIT:,} are the limit"


def uploaded():
    """Yields the files that the Core Tools would upload and the host does not read."""

    def files(*options):
        result = subprocess.run(
            ["git", "ls-files", "--cached", "--others", *options], cwd=ROOT, check=True, capture_output=True, text=True
        )
        return set(result.stdout.splitlines())

    deployed = files("--exclude-standard") - files("--ignored", "--exclude-from=.funcignore")
    for name in sorted(deployed):
        # The Core Tools exclude .funcignore themselves.
        is_read = name.endswith(("/function.json", ".j2")) or name in ("host.json", ".funcignore")
        if not is_read:
            yield f".funcignore does not exclude {name} from the package"


def unpinned_actions():
    """A tag of an action can be moved to other code; a commit cannot."""
    for workflow in sorted((ROOT / ".github/workflows").glob("*.yml")):
        for action in re.findall(r"uses: *(.*)", workflow.read_text()):
            if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", action):
                yield f"{workflow.name} uses {action}, which is not a commit with its version"


def main():
    zipped, messages, triple, *options = sys.argv[1:]
    artifacts = list(compiled(Path(messages)))
    lines = features(artifacts, triple)
    if "--update" in options:
        FEATURES.write_text("\n".join(lines) + "\n")
        print(f"wrote {len(lines)} lines to {RELATIVE}")
    [path] = [artifact["executable"] for artifact in artifacts if artifact["executable"]]
    binary = Path(path).read_bytes()
    size = Path(zipped).stat().st_size
    print(f"{len(lines)} libraries in a binary of {len(binary):,} bytes, in a package of {size:,} bytes")
    problems = [
        *different_features(lines),
        *foreign_words(binary),
        *foreign_commands(path),
        *shared_libraries(binary),
        *too_large(binary),
        *paths_of_this_machine(binary),
        *package.problems(Path(zipped), Path(path)),
        *uploaded(),
        *unpinned_actions(),
    ]
    for problem in problems:
        print(f"error: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
