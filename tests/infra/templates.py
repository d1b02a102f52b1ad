"""What the templates deploy: checks of azuredeploy.json, the parameters of azd and the snapshots."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"

# Microsoft's built-in roles.
ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": "Storage Queue Data Message Sender",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}
# Who holds which role, and on what.
APP_ROLES = {
    ("userAssignedIdentities", "storageAccounts", "Storage Blob Data Owner"),
    ("userAssignedIdentities", "storageAccounts", "Storage Queue Data Contributor"),
    ("userAssignedIdentities", "storageAccounts", "Storage Table Data Contributor"),
    ("userAssignedIdentities", "components", "Monitoring Metrics Publisher"),
}
EXPECTED_ROLES = {
    "small": APP_ROLES,
    "private": APP_ROLES,
    "everything": APP_ROLES
    | {
        ("partnerTopics", "queues", "Storage Queue Data Message Sender"),
        ("partnerTopics", "containers", "Storage Blob Data Contributor"),
        ("workflows", "queues", "Storage Queue Data Message Sender"),
    },
}
CONTAINERS = "Microsoft.Storage/storageAccounts/blobServices/containers"
# Shells set LANGUAGE, and azd reads the variables of its shell.
OTHER_VARIABLES = {"LANGUAGE": "FIRSTPASS_LANGUAGE"}
# What Flex Consumption rejects, or ignores.
NOT_ON_FLEX = re.compile(r"FUNCTIONS_|WEBSITE_|SCM_|ENABLE_ORYX_BUILD|TZ$")
FLEX_SITE_CONFIG = {"minTlsVersion"}


def template():
    return json.loads((INFRA / "azuredeploy.json").read_text())


def snapshot(name):
    path = ROOT / f"tests/infra/snapshots/{name}.snapshot.json"
    return json.loads(path.read_text())["predictedResources"]


def of_type(resources, kind):
    return [each for each in resources if each["type"] == kind]


def app_settings(resources):
    """The application settings by their names; computed ones are `None`."""
    config = next(each for each in of_type(resources, "Microsoft.Web/sites/config") if each["name"].endswith("/appsettings"))
    text, string = config["properties"], r"'((?:[^']|'')*)'"
    found = {name: None for name in re.findall(r"'((?:AzureWebJobsStorage__|AZURE_|APPLICATIONINSIGHTS_)\w+)', ", text)}
    found.update({name: None for name in re.findall(r"'key', '(\w+)', 'value'", text)})
    found.update({name: value.replace("''", "'") for name, value in re.findall(rf"'key', '(\w+)', 'value', {string}\)", text)})
    return found


def parameter_problems():
    """Portal, PowerShell and azd ask for parameters that may be null, so each has a default, or is meant to be asked for."""
    for name, each in template()["parameters"].items():
        if not each.get("metadata", {}).get("description"):
            yield f"{name} is not described"
        if each.get("nullable"):
            yield f"{name} may be null"
        if each.get("type", "").lower().startswith("secure"):
            yield f"{name} is a secret"
        if ("defaultValue" in each) == (name in ("mailFrom", "alertTo")):
            yield f"{name}: only mailFrom and alertTo are asked for"


def main_problems():
    """main.bicep declares the parameters of app.bicep with the same types, descriptions and defaults, and passes them on."""
    declared = [
        re.search(r"(@description\('MAIL_FROM.*?)@description\('Prefixes", (INFRA / name).read_text(), re.DOTALL).group(1)
        for name in ("app.bicep", "main.bicep")
    ]
    differing = set(declared[0].splitlines()) ^ set(declared[1].splitlines())
    if declared[0] != declared[1]:
        yield f"the declarations of the parameters differ: {sorted(differing) or 'their order'}"
    passed = set(re.findall(r"^    (\w+): \1$", (INFRA / "main.bicep").read_text(), re.MULTILINE))
    yield from sorted(passed ^ set(template()["parameters"]))


def azd_parameter_problems(camel_case, settings):
    """azd leaves out a parameter whose variable is not set, so the defaults are in the template alone."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    yield from sorted(set(given) ^ (set(template()["parameters"]) - {"tags"} | {"environmentName"}))
    of_settings = {camel_case(name): OTHER_VARIABLES.get(name, name) for name in settings}
    for name, each in given.items():
        variable = re.fullmatch(r"\$\{(\w+)\}", each["value"])
        expected = of_settings.get(name)
        if not variable or (variable[1] != expected if expected else not re.match("AZURE_|FIRSTPASS_", variable[1])):
            yield f"{name} is {each['value']}"


def list_problems():
    """Lists are read as the app reads them (src/settings/reader.rs, `list`): separators, blanks, empty and repeated items."""
    everything, private = snapshot("everything"), snapshot("private")
    (group,) = of_type(everything, "Microsoft.Insights/actionGroups")
    auth = next(each for each in of_type(everything, "Microsoft.Web/sites/config") if each["name"].endswith("/authsettingsV2"))
    validation = auth["properties"]["identityProviders"]["azureActiveDirectory"]["validation"]
    (account,) = of_type(private, "Microsoft.Storage/storageAccounts")
    for wanted, found in (
        (["it-alerts@contoso.com", "identity@contoso.com"], [each["emailAddress"] for each in group["properties"]["emailReceivers"]]),
        (
            ["7a4c2e90-1d3b-4f6a-8e21-5b9d0c7f3a11", "04b07795-8ddb-461a-bbee-02f9e1bf7b46"],
            validation["defaultAuthorizationPolicy"]["allowedApplications"],
        ),
        (["203.0.113.10", "203.0.113.11"], [each["value"] for each in account["properties"]["networkAcls"]["ipRules"]]),
    ):
        if found != wanted:
            yield f"{found}, and not {wanted}"
    for file in sorted(INFRA.rglob("*.bicep")):
        if "split(" in file.read_text() and file.name != "types.bicep":
            yield f"{file.name} splits a list in its own way: types.bicep has `list`"


def role_problems(name):
    found = set()
    for each in of_type(snapshot(name), "Microsoft.Authorization/roleAssignments"):
        role = each["properties"]["roleDefinitionId"].rsplit("/", 1)[1]
        scope = each["id"].split("/providers/Microsoft.Authorization")[0].rsplit("/", 2)[1]
        principal = re.search(r"/(\w+)/[\w-]+', '", each["properties"]["principalId"])[1]
        found.add((principal, scope, ROLES.get(role, role)))
    yield from sorted(map(str, found ^ EXPECTED_ROLES[name]))


def flex_problems(name):
    (app,) = of_type(snapshot(name), "Microsoft.Web/sites")
    (plan,) = of_type(snapshot(name), "Microsoft.Web/serverfarms")
    properties = app["properties"]
    if plan["sku"] != {"name": "FC1", "tier": "FlexConsumption"}:
        yield f"the plan is {plan['sku']}"
    if properties["functionAppConfig"]["runtime"] != {"name": "custom", "version": "1.0"}:
        yield "the runtime is not custom 1.0"
    yield from sorted(set(properties["siteConfig"]) - FLEX_SITE_CONFIG)
    yield from filter(NOT_ON_FLEX.match, app_settings(snapshot(name)))
    if app["tags"].get("azd-service-name") != "firstpass":
        yield "azd does not find the app"


def hardening_problems(name):
    resources = snapshot(name)
    (account,), (insights,) = (
        of_type(resources, "Microsoft.Storage/storageAccounts"),
        of_type(resources, "Microsoft.Insights/components"),
    )
    (workspace,) = of_type(resources, "Microsoft.OperationalInsights/workspaces")
    for property, wanted in (
        ("allowSharedKeyAccess", False),
        ("allowBlobPublicAccess", False),
        ("allowCrossTenantReplication", False),
        ("supportsHttpsTrafficOnly", True),
    ):
        if account["properties"][property] != wanted:
            yield f"the storage account has {property} {account['properties'][property]}"
    if not insights["properties"]["DisableLocalAuth"] or not workspace["properties"]["features"]["disableLocalAuth"]:
        yield "telemetry is accepted without an identity"
    policies = of_type(resources, "Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    if [each["properties"]["allow"] for each in policies] != [False, False]:
        yield "packages can be deployed with a password"
    if name == "private" and account["properties"]["networkAcls"]["defaultAction"] != "Deny":
        yield "the private storage account is open"


def lifecycle_problems(name):
    """One policy replaces all rules of the account. It deletes records of joiners, nothing else of the ledger, and undelivered events."""
    folder = re.search(r'const FOLDER: &str = "(\w+/)"', (ROOT / "src/ledger/blob.rs").read_text())[1]
    ledger = re.search(r"'\{0\}/(\w+)'", template()["variables"]["settings"]["LEDGER_URL"])[1]
    (policy,) = of_type(snapshot(name), "Microsoft.Storage/storageAccounts/managementPolicies")
    prefixes = [each for rule in policy["properties"]["policy"]["rules"] for each in rule["definition"]["filters"]["prefixMatch"]]
    undelivered = re.search(r"^var undeliveredContainerName = '(.*)'$", (INFRA / "modules/event-grid-subscription.bicep").read_text(), re.MULTILINE)
    if prefixes != [f"{ledger}/{folder}", f"{undelivered[1]}/"]:
        yield f"the rules are for {prefixes}, the records in {ledger}/{folder}, the events in {undelivered[1]}/"
    if not any(each["name"].endswith(f"/{ledger}") for each in of_type(snapshot(name), CONTAINERS)):
        yield f"there is no container {ledger}"
