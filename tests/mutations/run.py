#!/usr/bin/env python3
"""Proves that the tests notice: applies one-line mistakes, one at a time, and expects the named command to fail.

    tests/mutations/run.py tests/mutations/flow.toml [--only NAME]... [--list]

Each entry of the list says which text of which file becomes which other text, what to run, and what the output must
then contain. It works on a copy of the tree; the build is shared between entries, and kept under target/mutations.
Needs Python 3.11 and nothing else.
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
SCRATCH = ROOT / "target" / "mutations"
FIELDS = {"name", "file", "find", "replace", "command", "expect", "caught_by"}


def read_list(path):
    """The entries, or an exit with everything that is wrong with them."""
    entries = tomllib.loads(path.read_text())["mutation"]
    problems = []
    for entry in entries:
        name = entry.get("name", "?")
        if set(entry) != FIELDS:
            problems.append(f"{name}: the fields must be {', '.join(sorted(FIELDS))}")
            continue
        file = ROOT / entry["file"]
        found = file.read_text().count(entry["find"]) if file.is_file() else 0
        if found != 1:
            problems.append(f"{name}: the text to find stands {found} times in {entry['file']}, not once")
    names = [entry.get("name") for entry in entries]
    problems += [f"{name}: there are two of that name" for name in names if names.count(name) > 1]
    if problems:
        sys.exit("\n".join(problems))
    return entries


def copy_tree():
    """A copy in a place that stays the same, so that cargo builds anew only what has changed."""
    tree = SCRATCH / "tree"
    wanted = set()
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, tree / name
        if not source.is_file():
            continue
        wanted.add(target)
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            # With the time of now: cargo goes by that.
            shutil.copyfile(source, target)
    for path in list(tree.rglob("*")):
        if path.is_file() and path not in wanted:
            path.unlink()
    return tree


def run(tree, entry):
    """Whether the mistake was noticed, in how many seconds, and what the output said about it."""
    file = tree / entry["file"]
    sound = file.read_text()
    file.write_text(sound.replace(entry["find"], entry["replace"]))
    environment = dict(os.environ, CARGO_TARGET_DIR=str(SCRATCH / "target"), CARGO_TERM_COLOR="never")
    start = time.monotonic()
    try:
        done = subprocess.run(
            ["cargo", *entry["command"]], cwd=tree, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
    finally:
        file.write_text(sound)
    output, seconds = done.stdout, time.monotonic() - start
    (SCRATCH / f"{entry['name']}.log").write_text(output)
    if "could not compile" in output:
        return False, seconds, "does not compile"
    if done.returncode == 0:
        return False, seconds, "nobody noticed"
    missing = [words for words in entry["expect"] if words not in output]
    if missing:
        return False, seconds, f"failed, but without the words {missing}"
    first = re.search(r"^seed (\d+): (invariant \d)", output, re.MULTILINE)
    return True, seconds, f"{first[2]} at seed {first[1]}" if first else "as expected"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list", type=pathlib.Path, help="the list of mistakes, a TOML file")
    parser.add_argument("--only", metavar="NAME", action="append", help="only the mistake of this name; can be repeated")
    parser.add_argument("--list", dest="show", action="store_true", help="name the mistakes and make none")
    arguments = parser.parse_args()
    entries = read_list(arguments.list)
    if arguments.only:
        unknown = set(arguments.only) - {entry["name"] for entry in entries}
        if unknown:
            sys.exit(f"there is no mistake called {', '.join(sorted(unknown))}")
        entries = [entry for entry in entries if entry["name"] in arguments.only]
    width = max(len(entry["name"]) for entry in entries)
    if arguments.show:
        for entry in entries:
            print(f"{entry['name']:{width}}  {entry['file']}  caught by {entry['caught_by']}")
        return
    tree = copy_tree()
    unnoticed = 0
    for entry in entries:
        noticed, seconds, how = run(tree, entry)
        unnoticed += not noticed
        print(f"{entry['name']:{width}}  {'noticed' if noticed else 'MISSED '}  {seconds:5.0f} s  {how}", flush=True)
    print(f"sabotage: {len(entries) - unnoticed} noticed, {unnoticed} missed")
    sys.exit(1 if unnoticed else 0)


if __name__ == "__main__":
    main()
