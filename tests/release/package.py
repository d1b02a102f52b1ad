"""What is in the package that infra/package.sh makes."""

import hashlib
import subprocess
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXECUTABLE = "firstpass"
# The system that made an entry. Only with this one the mode counts.
UNIX = 3
FILE = 0o100000


def expected():
    """The mode of each file that the host or the app reads."""
    listed = subprocess.run(["git", "ls-files", "--", "host.json", "*/function.json", "templates/*.j2"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.splitlines()
    return {EXECUTABLE: FILE | 0o755, **{name: FILE | 0o644 for name in listed}}


def problems(path, binary):
    """The problems of the package at `path`, which must have the built `binary`."""
    with zipfile.ZipFile(path) as package:
        entries = package.infolist()
        modes = {entry.filename: entry.external_attr >> 16 for entry in entries}
        for name, mode in expected().items():
            if name not in modes:
                yield f"the package lacks {name}"
            elif modes[name] != mode:
                yield f"{name} has the mode {modes[name]:o} in the package, not {mode:o}"
        yield from (f"the package has {name}, which the host does not read" for name in modes.keys() - expected().keys())
        if len(modes) < len(entries):
            yield "the package has a file twice"
        for entry in entries:
            if entry.create_system != UNIX:
                yield f"{entry.filename} is not from Unix, so its mode does not count"
            if entry.date_time != (1980, 1, 1, 0, 0, 0) or entry.extra:
                yield f"{entry.filename} has a time or an owner, so that the same files make other bytes"
            source = binary if entry.filename == EXECUTABLE else ROOT / entry.filename
            if source.is_file() and package.read(entry) != source.read_bytes():
                yield f"{entry.filename} is not {source}"
    checksum = Path(f"{path}.sha256")
    if checksum.read_text() != f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n":
        yield f"{checksum.name} is not the checksum of {path.name} as sha256sum writes it"
