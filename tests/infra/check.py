"""Checks infra/ without Azure. Each check is a sentence and a list of problems."""

import json
import re
import sys
from pathlib import Path

import arm
import workflow
from bicep import Template, unquoted

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
FUNCTIONS = {
    *("concat", "dateTimeAdd", "guid", "loadJsonContent", "resourceGroup", "subscription", "subscriptionResourceId"),
    *("union", "uniqueString", "utcNow"),
    *("allowed", "description", "maxLength", "minLength"),
}

results = []


def check(sentence, problems):
    problems = list(problems)
    results.append(not problems)
    if problems:
        print(f"failed: {sentence}")
        for problem in problems:
            print(f"  {problem}")


def check_template(template):
    name = template.path.relative_to(ROOT)
    check(f"{name} is Bicep", template.syntax_errors())
    described = template.all("param") + template.all("output")
    check(
        f"{name} describes its parameters and outputs",
        (each.name for each in described if not each.decorators.get("description")),
    )
    names, functions = template.references()
    check(
        f"{name} refers only to declared names",
        [f"line {line}: {each}" for each, line in names if not template.symbol(each)]
        + [f"line {line}: {each}()" for each, line in functions if each not in FUNCTIONS],
    )
    used = {each for each, _ in names}
    check(
        f"{name} uses all declarations",
        (each.name for each in template.all("param") + template.all("var") if each.name not in used),
    )
    kept = [each.name for each in template.declarations if each.kind != "output"]
    check(f"{name} has unique names", {each for each in kept if kept.count(each) > 1})
    for resource in template.all("resource"):
        kind, version = template.resource_type(resource)
        body = template.value(resource.value_node)
        check(f"{name}: {resource.name} is a {kind}", arm.problems(kind, version, body, resource.existing))


def check_queue(templates):
    queue, host = "pass-jobs", json.loads((ROOT / "host.json").read_text())
    bindings = [
        binding
        for file in sorted(ROOT.glob("*/function.json"))
        for binding in json.loads(file.read_text())["bindings"]
        if binding["type"] in ("queue", "queueTrigger")
    ]
    check("the functions and the templates have the same queue", {b["queueName"] for b in bindings} - {queue})
    # Event Grid writes base64, and so does the Logic App.
    encoding = host["extensions"]["queues"]["messageEncoding"]
    check("the host expects base64", [] if encoding == "base64" else [encoding])
    for template in templates:
        named = template.symbol("queueName")
        if named:
            value = template.value(named.value_node)
            check(f"{template.path.name} writes to that queue", [] if value == queue else [value])


def check_event_grid(template):
    output = next(each for each in template.all("output") if each.name == "eventGridPartnerTopic")
    url = re.sub(r"\$\{[^}]*\}", "*", unquoted(output.value_node))
    expected = "EventGrid:?azuresubscriptionid=*&resourcegroup=*&partnertopic=*&location=*"
    check("the partner topic URL has the form that Graph requires", [] if url == expected else [url])


def check_logic_app(template):
    definition = json.loads((INFRA / "logic-app/workflow.json").read_text())
    check("the workflow is well-formed", workflow.problems(definition))
    resource = template.symbol("workflow")
    given = template.value(resource.value_node)["properties"]["parameters"]
    check(
        "the template sets exactly the parameters of the workflow",
        set(given) ^ set(definition["parameters"]),
    )
    connections = {
        name
        for text in workflow.expressions(definition)
        for name in re.findall(r"parameters\('\$connections'\)\['(\w+)'\]", text)
    }
    check("the template sets exactly the connections of the workflow", connections ^ set(given["$connections"]["value"]))
    put = definition["actions"]["Only_who_was_added"]["actions"]["Put_a_message_on_pass_jobs"]["inputs"]
    check(
        "the Logic App encodes its messages as the host expects",
        [] if "<MessageText>@{base64(" in put["body"] else [put["body"]],
    )


def check_commands(page, templates):
    """Every deployment command names a template and has its required parameters."""
    by_path = {str(template.path.relative_to(ROOT)): template for template in templates}
    text = page.read_text().replace("\\\n", " ")
    shown = set()
    for line in re.findall(r"^ *\$ (az deployment group create .*)$", text, re.MULTILINE):
        file = re.search(r"--template-file (\S+)", line).group(1)
        shown.add(file)
        if file not in by_path:
            check(f"{page.name} deploys {file}", ["the file does not exist"])
            continue
        parameters = by_path[file].all("param")
        given = set(re.findall(r"(\w+)=", line.partition("--parameters")[2]))
        needed = {each.name for each in parameters if each.value_node is None}
        wrong = [f"unknown: {each}" for each in sorted(given - {each.name for each in parameters})]
        check(f"{page.name} deploys {file}", wrong + [f"not given: {each}" for each in sorted(needed - given)])
    check(f"{page.name} shows how to deploy each template", set(by_path) - shown)


def check_page(page):
    text = page.read_text()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    name = page.relative_to(ROOT)
    check(f"the links of {name} exist", (each for each in links if each and not (page.parent / each).exists()))
    check(f"the examples of {name} are JSON", (each for each in re.findall(r"`(\{\".*?\})`", text) if not is_json(each)))


def is_json(text):
    try:
        json.loads(text)
        return True
    except ValueError:
        return False


def main():
    templates = [Template(path) for path in sorted(INFRA.rglob("*.bicep"))]
    by_name = {str(template.path.relative_to(INFRA)): template for template in templates}
    for template in templates:
        check_template(template)
    check_queue(templates)
    check_event_grid(by_name["event-grid/partner-configuration.bicep"])
    check_logic_app(by_name["logic-app/main.bicep"])
    check_commands(INFRA / "README.md", templates)
    check_page(INFRA / "README.md")
    check_page(ROOT / "docs/ON-DEMAND.md")
    print(f"infra: {sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if all(results) else 1)


main()
