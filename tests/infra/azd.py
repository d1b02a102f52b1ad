"""azure.yaml: what Microsoft's schema says about the keys that it has, and what azd needs beyond the schema."""

import os

import yaml

from templates import ROOT

TOP = {"name", "requiredVersions", "services", "hooks"}
SERVICE = {"project", "language", "host", "dist", "hooks"}
HOOK = {"shell", "run", "interactive"}
SHELLS = {"posix": ("sh", ".sh"), "windows": ("pwsh", ".ps1")}


def document():
    return yaml.safe_load((ROOT / "azure.yaml").read_text())


def problems():
    found = document()
    yield from (f"the key {each} is unknown" for each in sorted(set(found) - TOP))
    service = found["services"]["firstpass"]
    yield from (f"the key {each} of the service is unknown" for each in sorted(set(service) ^ SERVICE))
    if (service["language"], service["host"], service["project"]) != ("custom", "function", "."):
        yield "the service is no custom handler in this folder"
    # azd zips everything else itself, and loses the execute bit on Windows.
    if not service["dist"].endswith(".zip"):
        yield f"dist is {service['dist']}"
    # Azure/azure-dev pull request 6694: JSON in a variable, for a parameter that is an object.
    if found["requiredVersions"] != {"azd": ">= 1.23.4"}:
        yield "FIRSTPASS_ADDITIONAL_SETTINGS needs azd 1.23.4"


def hooks():
    found = document()
    return {**found["hooks"], **found["services"]["firstpass"]["hooks"]}


def hook_problems():
    """A script for Linux and macOS, and one for Windows, for the package and for the permissions."""
    yield from sorted(set(hooks()) ^ {"prepackage", "postprovision"})
    for name, systems in hooks().items():
        yield from (f"{name} has nothing for {each}" for each in sorted(SHELLS.keys() - set(systems)))
        for system, hook in systems.items():
            yield from (f"the key {each} of {name} is unknown" for each in sorted(set(hook) - HOOK))
            shell, end = SHELLS[system]
            if (hook.get("shell"), hook.get("run")) != (shell, f"infra/hooks/{name}{end}"):
                yield f"{name} runs {hook.get('run')} with {hook.get('shell')} on {system}"
            elif not os.access(ROOT / hook["run"], os.X_OK if system == "posix" else os.R_OK):
                yield f"{hook['run']} does not exist, or cannot be executed"
