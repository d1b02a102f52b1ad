"""The pages about deploying: their links, and the commands in them."""

import json
import re
import urllib.parse

from templates import INFRA, ROOT

# What the hooks read.
HOOKS = {"FIRSTPASS_PERMISSIONS", "FIRSTPASS_MODE", "FIRSTPASS_ADMINISTRATIVE_UNIT", "FIRSTPASS_RELEASES", "FIRSTPASS_PACKAGE_SHA256"}
PAGES = [INFRA / "README.md", *(ROOT / f"docs/{name}.md" for name in ("DEPLOY", "REMOVE", "ON-DEMAND", "OPERATE", "MIGRATE"))]


def all_link_problems():
    for page in {*PAGES, *ROOT.glob("*.md"), *ROOT.glob("docs/*.md")}:
        yield from (f"{page.name}: {link}" for link in link_problems(page))


def link_problems(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if "://" in link:
            continue
        if not target.exists():
            yield link
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield link


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def json_problems(page):
    for each in re.findall(r"`(\{\".*?\})`", page.read_text()):
        try:
            json.loads(each)
        except ValueError:
            yield each


def command_problems(page):
    """Commands name templates that exist, and parameters that they have."""
    text = page.read_text().replace("\\\n", " ")
    for line in re.findall(r"^ *\$ (az deployment \w+ create .*)$", text, re.MULTILINE):
        # The admin's copy.
        file = ROOT / re.search(r"(?:--template-file|--parameters) (\S+\.bicep(?:param)?)", line)[1].replace("/my.", "/app.")
        if not file.exists():
            yield f"{file} does not exist"
        if not file.exists() or file.suffix == ".bicepparam":
            continue
        declared = set(re.findall(r"^param (\w+)", file.read_text(), re.MULTILINE))
        asked = set(re.findall(r"^param (\w+) string$", file.read_text(), re.MULTILINE))
        given = set(re.findall(r"(\w+)=", line.partition("--parameters")[2]))
        yield from (f"{file.name} has no parameter {each}" for each in sorted(given - declared))
        yield from (f"{file.name} asks for {each}" for each in sorted(asked - given))


def variable_problems(page):
    """`azd env set NAME` names variables that main.parameters.json reads."""
    parameters = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    known = {each["value"][2:-1] for each in parameters.values()} | HOOKS
    for name in re.findall(r"\$ azd env set (\w+)", page.read_text()):
        if name not in known:
            yield f"azd env set {name}"


def button_problems():
    """The button opens the compiled template of a repository that the portal can read."""
    links = re.findall(r"portal\.azure\.com/#create/Microsoft\.Template/uri/([^)]+)\)", (ROOT / "docs/DEPLOY.md").read_text())
    for link in map(urllib.parse.unquote, links):
        if not re.fullmatch(r"https://raw\.githubusercontent\.com/[\w-]+/firstpass/main/infra/azuredeploy\.json", link):
            yield link
    if not links:
        yield "there is none"
