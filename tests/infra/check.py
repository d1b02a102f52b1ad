"""Checks infra/ and azure.yaml without Azure and without a compiler. Each check is a sentence and a list of problems."""

import json
import re
import sys

import azd
import pages
import settings
import templates
import workflow
from templates import INFRA, ROOT, of_type, snapshot

results = []


def check(sentence, problems):
    problems = list(problems)
    results.append(not problems)
    if problems:
        print(f"failed: {sentence}")
        for problem in problems:
            print(f"  {problem}")


def queue_problems():
    """The functions, the storage account and whatever writes to the queue name the same one, and encode alike."""
    host = json.loads((ROOT / "host.json").read_text())
    named = {
        binding["queueName"]
        for file in sorted(ROOT.glob("*/function.json"))
        for binding in json.loads(file.read_text())["bindings"]
        if binding["type"] in ("queue", "queueTrigger")
    }
    for file in sorted(INFRA.glob("modules/*.bicep")):
        named.update(re.findall(r"^var queueName = '(.*)'$", file.read_text(), re.MULTILINE))
    if named != {"pass-jobs"}:
        yield f"{sorted(named)}"
    # Event Grid writes base64, and so does the Logic App.
    if host["extensions"]["queues"]["messageEncoding"] != "base64":
        yield "the host does not expect base64"


def logic_app_problems():
    (deployed,) = of_type(snapshot("everything"), "Microsoft.Logic/workflows")
    definition, given = deployed["properties"]["definition"], deployed["properties"]["parameters"]
    yield from workflow.problems(definition)
    yield from sorted(set(given) ^ set(definition["parameters"]))
    connections = {
        name
        for text in workflow.expressions(definition)
        for name in re.findall(r"parameters\('\$connections'\)\['(\w+)'\]", text)
    }
    yield from sorted(connections ^ set(given["$connections"]["value"]))
    put = definition["actions"]["Only_who_was_added"]["actions"]["Put_a_message_on_pass_jobs"]["inputs"]
    if "<MessageText>@{base64(" not in put["body"]:
        yield put["body"]


def query_problems():
    """Each alert query is a rule that runs as the head of the query says, and asks for events that the app logs."""
    events = set(re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs/LOGGING.md").read_text(), re.MULTILINE))
    rules = {}
    for rule in of_type(snapshot("everything"), "Microsoft.Insights/scheduledQueryRules"):
        (criterion,) = rule["properties"]["criteria"]["allOf"]
        rules[criterion["query"]] = {**rule["properties"], **criterion}
    for file in sorted(INFRA.glob("queries/alert-*.kql")):
        rule = rules.pop(file.read_text(), None)
        if not rule:
            yield f"no rule has {file.name}"
            continue
        measure = "number of rows > 0" if rule["timeAggregation"] == "Count" else f"`{rule['metricMeasureColumn']}` < {rule['threshold']}"
        head = f"// Rule: evaluationFrequency {rule['evaluationFrequency']}, windowSize {rule['windowSize']}, {measure}"
        if head not in file.read_text().splitlines():
            yield f"{file.name} does not say: {head}"
        # What came while a rule was mute is in the first window after it.
        if mute := rule.get("muteActionsDuration"):
            if mute != rule["windowSize"]:
                yield f"{file.name} is mute for {mute}, and sees {rule['windowSize']}"
    yield from (f"no file has the query {query}" for query in rules)
    for file in sorted(INFRA.glob("queries/*.kql")):
        named = re.findall(r'event == "([\w.]+)"', file.read_text())
        yield from (f"{file.name}: the app logs no {each}" for each in named if each not in events)


def sampling_problems():
    """The lines of a handler are traces: a sampled alert would be lost."""
    sampling = json.loads((ROOT / "host.json").read_text())["logging"]["applicationInsights"]["samplingSettings"]
    if "Trace" not in sampling["excludedTypes"].split(";"):
        yield sampling["excludedTypes"]


def feature_problems():
    """The features that the templates name are those that the scripts grant for."""
    known = json.loads((INFRA / "permissions.json").read_text())["features"]
    text = (INFRA / "app.bicep").read_text()
    computed = re.search(r"^var features = union\((.*?)^\)", text, re.MULTILINE | re.DOTALL)[1]
    optional = re.search(r"Further features of permissions.json [^:]*: (.*)\.'", text)[1].split(", ")
    named = set(re.findall(r"'([\w-]+)'[\],]", computed)) - {"methods')"} | set(optional)
    yield from sorted(named - set(known))
    yield from (f"{each} can be granted by nobody" for each in sorted(set(known) - named))


def lint_problems():
    rules = json.loads((INFRA / "bicepconfig.json").read_text())["analyzers"]["core"]["rules"]
    yield from (name for name, rule in rules.items() if rule["level"] != "error")


def main():
    check("each parameter is described, no secret, and has a default or is asked for", templates.parameter_problems())
    check("main.bicep has the parameters of app.bicep, and passes them on", templates.main_problems())
    names = set(settings.in_template())
    check("azd knows each parameter by its variable", templates.azd_parameter_problems(settings.camel_case, names))
    check("the settings of docs/SETTINGS.md are those of the templates", settings.names_problems())
    check("each setting is its parameter", settings.parameter_problems())
    check("the defaults of the templates are those of docs/SETTINGS.md", settings.default_problems())
    check("the limits of numbers are those of docs/SETTINGS.md", settings.range_problems())
    check("what a parameter file says is what the app gets", settings.everything_problems())
    check("lists are read as the app reads them", templates.list_problems())
    for name in templates.EXPECTED_ROLES:
        check(f"{name}: who may do what in Azure", templates.role_problems(name))
        check(f"{name}: Flex Consumption takes the app", templates.flex_problems(name))
        check(f"{name}: no keys, no passwords", templates.hardening_problems(name))
        check(f"{name}: records of joiners expire, undelivered events, and nothing else", templates.lifecycle_problems(name))
    check("one queue, one encoding", queue_problems())
    check("the Logic App is well-formed", logic_app_problems())
    check("the alert rules ask for events of docs/LOGGING.md", query_problems())
    check("the workbook is JSON", [] if json.loads((INFRA / "workbook.json").read_text())["items"] else ["no items"])
    check("no alert is lost by sampling", sampling_problems())
    check("the features are those of permissions.json", feature_problems())
    check("every rule of the linter is an error", lint_problems())
    check("azure.yaml is what azd expects", azd.problems())
    check("azure.yaml has its hooks for every system", azd.hook_problems())
    check("the button deploys azuredeploy.json", pages.button_problems())
    check("the links of all pages exist", pages.all_link_problems())
    for page in pages.PAGES:
        check(f"the examples of {page.name} are JSON", pages.json_problems(page))
        check(f"the deployments of {page.name} fit the templates", pages.command_problems(page))
        check(f"the variables of {page.name} are parameters", pages.variable_problems(page))
    print(f"infra: {sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if all(results) else 1)


main()
