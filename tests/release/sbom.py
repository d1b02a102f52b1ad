"""Checks that dist/firstpass.cdx.json lists every crate of features.txt, and no folder of this machine."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
text = (ROOT / "dist/firstpass.cdx.json").read_text()
bom = json.loads(text)
listed = {component["name"] for component in (*bom["components"], bom["metadata"]["component"])}
built = {line.partition(":")[0] for line in (ROOT / "tests/release/features.txt").read_text().splitlines()}
problems = [f"{name} is in the binary and not in the list" for name in sorted(built - listed)]
problems += [f"the list names the folder {folder}" for folder in (ROOT, Path.home()) if f"{folder}/" in text or f"{folder}#" in text]
for problem in problems:
    print(f"error: {problem}")
print(f"{len(bom['components'])} components in CycloneDX {bom['specVersion']}")
sys.exit(1 if problems else 0)
