"""Every setting of docs/SETTINGS.md is in the templates, by a parameter of its own, and the reverse."""

import re

from templates import ROOT, app_settings, snapshot, template

# Made from the resources, not from a parameter.
COMPUTED = {"LEDGER_URL", "AzureWebJobsStorage", "AZURE_CLIENT_ID"}
# Only a person can know them.
ASKED_FOR = {"MAIL_FROM", "ALERT_TO"}
# The templates choose another value than the app: a careful admin looks at a report first.
SAFER = {"REPORT_ONLY": True}
# The platform's, not firstpass's.
PLATFORM = {"APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"}


def documented():
    """The rows of the table: name -> (default, meaning)."""
    table, _, _ = (ROOT / "docs/SETTINGS.md").read_text().partition("\n## ")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", table, re.MULTILINE)
    return {name: (default, meaning) for name, default, meaning in rows}


def camel_case(name):
    first, *others = name.lower().split("_")
    return first + "".join(each.title() for each in others)


def in_template():
    return template()["variables"]["settings"]


def names_problems():
    deployed = {name.partition("__")[0] for name in app_settings(snapshot("everything"))} - PLATFORM - {"RUST_LOG"}
    expected = set(documented())
    yield from (f"{name} is not in the templates" for name in sorted(expected - deployed))
    yield from (f"{name} is not in docs/SETTINGS.md" for name in sorted(deployed - expected))


def parameter_problems():
    """Each setting takes its value from the parameter with its name, whose description begins with the name."""
    parameters = template()["parameters"]
    for name, value in in_template().items():
        own, parameter = camel_case(name), parameters.get(camel_case(name))
        if name in COMPUTED:
            continue
        if not parameter or not re.search(rf"parameters\('{own}'\)", value):
            yield f"{name} is {value}, and not the parameter {own}"
        elif not parameter["metadata"]["description"].startswith(f"{name}: "):
            yield f"the description of {own} does not begin with {name}"


def default_problems():
    """A parameter has the default of the app, or is empty: then it is left out, and the app has its own."""
    parameters = template()["parameters"]
    for name, (documented_default, _) in documented().items():
        if name in COMPUTED | ASKED_FOR | SAFER.keys():
            continue
        literals = re.findall(r"`([^`]*)`", documented_default)
        default = parameters[camel_case(name)]["defaultValue"]
        text = str(default).lower() if isinstance(default, bool) else str(default)
        unset = default in ("", 0) and not isinstance(default, bool)
        if not unset and text not in literals and name != "SWEEP_SCHEDULE":
            yield f"{name}: {default} in the template, {documented_default} in docs/SETTINGS.md"
        if isinstance(default, bool) and literals != [text]:
            yield f"{name}: {text} in the template, {documented_default} in docs/SETTINGS.md"
    for name, value in SAFER.items():
        if parameters[camel_case(name)]["defaultValue"] is not value:
            yield f"{name} is not {value} by default"


def range_problems():
    """A number has the limits that the page names."""
    parameters = template()["parameters"]
    for name, (_, meaning) in documented().items():
        each = parameters.get(camel_case(name), {})
        if each.get("type") == "int":
            least = 10 if name == "PASS_LIFETIME_MINUTES" else each.get("minValue")  # 0 means not set.
            if f"{least} to {each.get('maxValue'):,}" not in meaning:
                yield f"{name}: {least} to {each.get('maxValue'):,} is not in docs/SETTINGS.md"


def everything_problems():
    """What the parameter file with everything on gives is what the app gets, and no setting keeps its default."""
    text = (ROOT / "tests/infra/snapshots/everything.bicepparam").read_text()
    given = dict(re.findall(r"^param (\w+) = '?(.*?)'?$", text, re.MULTILINE))
    found = app_settings(snapshot("everything"))
    for name in sorted(set(documented()) - COMPUTED - {"EVENT_GRID_PARTNER_TOPIC"}):
        own = camel_case(name)
        if str(found.get(name)).lower() != str(given.get(own)).lower():
            yield f"{name} is {found.get(name)}, and {own} is {given.get(own)}"
        default = template()["parameters"][own].get("defaultValue")
        if str(default).lower() == str(given.get(own)).lower():
            yield f"{own} has its default"
    if not str(found["EVENT_GRID_PARTNER_TOPIC"]).startswith("EventGrid:?azuresubscriptionid="):
        yield f"EVENT_GRID_PARTNER_TOPIC is {found['EVENT_GRID_PARTNER_TOPIC']}"
