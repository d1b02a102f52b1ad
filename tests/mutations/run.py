#!/usr/bin/env python3
"""Checks that the tests detect mistakes: applies mutations one at a time, and expects a command to fail for each.

    tests/mutations/run.py tests/mutations/flow.toml [--only NAME]... [--list]

An entry of the list gives the file, the text to find, its replacement, the command, and what the command's output must
contain. It can also give a command to run before, `build`, which must succeed. The mutations are applied to a copy of
the tree; builds are kept in target/mutations and shared by all entries. Needs Python 3.11, without packages.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK_DIR = ROOT / "target" / "mutations"
FIELDS = {"name", "file", "find", "replace", "command", "expect", "caught_by"}
OPTIONAL = {"build"}


def read_list(path):
    """Returns the entries, or exits with all errors in them."""
    entries = tomllib.loads(path.read_text())["mutation"]
    errors = []
    for entry in entries:
        name = entry.get("name", "?")
        if set(entry) - OPTIONAL != FIELDS:
            errors.append(f"{name}: the fields must be {', '.join(sorted(FIELDS))}; optional: {', '.join(OPTIONAL)}")
            continue
        file = ROOT / entry["file"]
        count = file.read_text().count(entry["find"]) if file.is_file() else 0
        if count != 1:
            errors.append(f"{name}: the text to find occurs {count} times in {entry['file']}; it must occur once")
    names = [entry.get("name") for entry in entries]
    errors += [f"{name}: the name is not unique" for name in sorted(set(map(str, names))) if names.count(name) > 1]
    if errors:
        sys.exit("\n".join(errors))
    return entries


def copy_tree():
    """Copies the changed files to a fixed directory, so that cargo rebuilds only what has changed."""
    tree = WORK_DIR / "tree"
    copied = set()
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, tree / name
        if not source.is_file():
            continue
        copied.add(target)
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            # copyfile sets a new modification time, which makes cargo rebuild.
            shutil.copyfile(source, target)
    for path in list(tree.rglob("*")):
        if path.is_file() and path not in copied:
            path.unlink()
    return tree


def run(tree, entry):
    """Applies one mutation. Returns whether the command noticed it, the time in seconds, and a description."""
    file = tree / entry["file"]
    original = file.read_text()
    file.write_text(original.replace(entry["find"], entry["replace"]))
    environment = dict(os.environ, CARGO_TARGET_DIR=str(WORK_DIR / "target"), CARGO_TERM_COLOR="never")
    commands = [entry[field] for field in ("build", "command") if field in entry]
    start = time.monotonic()
    output = ""
    try:
        for command in commands:
            process = subprocess.run(
                ["cargo", *command], cwd=tree, env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
            output += process.stdout
            if process.returncode != 0:
                break
    finally:
        file.write_text(original)
    seconds = time.monotonic() - start
    (WORK_DIR / f"{entry['name']}.log").write_text(output)
    if "could not compile" in output:
        return False, seconds, "does not compile"
    if command is not commands[-1]:
        return False, seconds, "the build failed"
    if process.returncode == 0:
        return False, seconds, "the command succeeded"
    missing = [text for text in entry["expect"] if text not in output]
    if missing:
        return False, seconds, f"the command failed, but its output does not contain {missing}"
    first = re.search(r"^seed (\d+): (invariant \d)", output, re.MULTILINE)
    return True, seconds, f"{first[2]} at seed {first[1]}" if first else "as expected"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list", type=pathlib.Path, help="the list of mutations, a TOML file")
    parser.add_argument("--only", metavar="NAME", action="append", help="run only this mutation; can be repeated")
    parser.add_argument("--list", dest="show", action="store_true", help="print the mutations and run none")
    arguments = parser.parse_args()
    entries = read_list(arguments.list)
    if arguments.only:
        unknown = set(arguments.only) - {entry["name"] for entry in entries}
        if unknown:
            sys.exit(f"there is no mutation named {', '.join(sorted(unknown))}")
        entries = [entry for entry in entries if entry["name"] in arguments.only]
    width = max(len(entry["name"]) for entry in entries)
    if arguments.show:
        for entry in entries:
            print(f"{entry['name']:{width}}  {entry['file']}  caught by {entry['caught_by']}")
        return
    tree = copy_tree()
    missed = 0
    for entry in entries:
        noticed, seconds, description = run(tree, entry)
        missed += not noticed
        print(f"{entry['name']:{width}}  {'noticed' if noticed else 'MISSED '}  {seconds:5.0f} s  {description}", flush=True)
    print(f"mutations: {len(entries) - missed} noticed, {missed} missed")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
