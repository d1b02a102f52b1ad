"""What came out of the build of tests/release/run: features of dependencies, words in the binary, libraries, size; and
what goes into the package with the binary."""

import difflib
import json
import re
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FEATURES = ROOT / "tests/release/features.txt"
RELATIVE = "tests/release/features.txt"

# What only the sandbox says: its name, that of its setting, and the help of its commands. No dependency has such a word
# today. If one comes with it, take exactly its text out before the search, and write down whose it is.
FOREIGN = ("sandbox", "simulated tenant", "the whole job")
FOREIGN_COMMANDS = ("demo", "sandbox")

# In an ELF file: the kind of segment that names the program which loads shared libraries.
INTERPRETER = 3


def compiled(messages):
    """What cargo says about each crate that it compiled, or had compiled before."""
    for line in messages.read_text().splitlines():
        message = json.loads(line)
        if message["reason"] == "compiler-artifact":
            yield message


def package(artifact):
    """The name in an id: `…#name@version`, or `…/name#version` where the folder has the same name."""
    source, _, fragment = artifact["package_id"].partition("#")
    return fragment.partition("@")[0] if "@" in fragment else source.rpartition("/")[2]


def features(artifacts, triple):
    """A line for each library that is linked into the binary; two for a crate that is there in two versions. What only
    runs while it is built (macros, build scripts and what they use) is compiled into another folder."""
    return sorted(
        " ".join([f"{package(artifact)}:", *sorted(artifact["features"])])
        for artifact in artifacts
        if "lib" in artifact["target"]["kind"] and any(f"/{triple}/" in name for name in artifact["filenames"])
    )


def different_features(lines):
    kept = FEATURES.read_text().splitlines() if FEATURES.exists() else []
    difference = list(difflib.unified_diff(kept, lines, RELATIVE, "this build", lineterm="", n=0))
    if difference:
        yield (
            f"dependencies have the features of {RELATIVE}. If this is meant, run `tests/release/run --update` and commit"
            " the file:\n" + "\n".join(difference)
        )


def foreign_words(binary):
    for word in FOREIGN:
        for found in re.finditer(rb"[ -~]{0,60}" + re.escape(word.encode()) + rb"[ -~]{0,60}", binary, re.IGNORECASE):
            yield f"the binary does not know {word!r}: it has …{found[0].decode()}…"


def foreign_commands(path):
    said = subprocess.run([path, "--help"], check=True, capture_output=True, text=True).stdout
    for command in FOREIGN_COMMANDS:
        if re.search(rf"^ +{command}\b", said, re.MULTILINE):
            yield f"the binary has no command `{command}`"


def shared_libraries(binary):
    table, = struct.unpack_from("<Q", binary, 0x20)
    size, count = struct.unpack_from("<HH", binary, 0x36)
    if any(struct.unpack_from("<I", binary, table + number * size)[0] == INTERPRETER for number in range(count)):
        yield "the binary needs no library of the machine that it runs on"


def packaged():
    """The files of this tree that are deployed: the host's, which are the functions and what they share."""

    def files(*options):
        said = subprocess.run(
            ["git", "ls-files", "--cached", "--others", *options], cwd=ROOT, check=True, capture_output=True, text=True
        )
        return set(said.stdout.splitlines())

    deployed = files("--exclude-standard") - files("--ignored", "--exclude-from=.funcignore")
    for name in sorted(deployed):
        # The last one the Core Tools leave out by themselves.
        if not name.endswith("/function.json") and name not in ("host.json", ".funcignore"):
            yield f".funcignore keeps {name} out of the package"


def main():
    messages, triple, *options = sys.argv[1:]
    artifacts = list(compiled(Path(messages)))
    lines = features(artifacts, triple)
    if "--update" in options:
        FEATURES.write_text("\n".join(lines) + "\n")
        print(f"wrote {len(lines)} lines to {RELATIVE}")
    [path] = [artifact["executable"] for artifact in artifacts if artifact["executable"]]
    binary = Path(path).read_bytes()
    print(f"{len(lines)} libraries in a binary of {len(binary):,} bytes")
    problems = [
        *different_features(lines),
        *foreign_words(binary),
        *foreign_commands(path),
        *shared_libraries(binary),
        *packaged(),
    ]
    for problem in problems:
        print(f"not so: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
