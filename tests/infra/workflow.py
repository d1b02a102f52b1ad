"""Checks the definition of a Logic App's workflow."""

import re

STATUSES = {"Succeeded", "Failed", "Skipped", "TimedOut"}
ACTIONS = {"If", "Http", "ApiConnection", "Foreach", "Scope", "Compose"}
FUNCTIONS = {"base64", "empty", "parameters", "string", "triggerBody", "utcNow"}
CLOSES = {")": "(", "]": "[", "}": "{"}


def problems(definition):
    for name in ("$schema", "contentVersion", "triggers", "actions"):
        if name not in definition:
            yield f"{name} is missing"
    yield from action_problems(definition.get("actions", {}))
    used = set()
    for text in expressions(definition):
        yield from expression_problems(text)
        used |= set(re.findall(r"\bparameters\('([^']*)'\)", text))
    declared = set(definition.get("parameters", {}))
    yield from (f"the parameter {name} is not declared" for name in sorted(used - declared))
    yield from (f"the parameter {name} is not used" for name in sorted(declared - used))


def action_problems(actions):
    if actions and all(action.get("runAfter") for action in actions.values()):
        yield "no action runs first"
    for name, action in actions.items():
        if action.get("type") not in ACTIONS:
            yield f"{name}: the type {action.get('type')} is unknown"
        for before, statuses in action.get("runAfter", {}).items():
            if before not in actions:
                yield f"{name} runs after {before}, which does not exist"
            if not statuses or set(statuses) - STATUSES:
                yield f"{name} runs after {before} with the statuses {statuses}"
        if waits_for_itself(actions, name):
            yield f"{name} waits for itself"
        yield from action_problems(action.get("actions", {}))
        yield from action_problems(action.get("else", {}).get("actions", {}))


def waits_for_itself(actions, name):
    seen, next_up = set(), list(actions[name].get("runAfter", {}))
    while next_up:
        before = next_up.pop()
        if before == name:
            return True
        if before in actions and before not in seen:
            seen.add(before)
            next_up += actions[before].get("runAfter", {})
    return False


def expressions(value):
    """The expressions in the definition: strings that begin with @, and the contents of @{...}."""
    if isinstance(value, dict):
        for each in value.values():
            yield from expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from expressions(each)
    elif isinstance(value, str):
        if value.startswith("@") and not value.startswith(("@@", "@{")):
            yield value[1:]
        else:
            yield from interpolated(value)


def interpolated(text):
    """The contents of @{...}, up to the closing brace or the end of the text."""
    for start in (match.end() for match in re.finditer(r"@\{", text)):
        depth, quoted = 1, False
        for position in range(start, len(text)):
            character = text[position]
            quoted ^= character == "'"
            depth += 0 if quoted else (character == "{") - (character == "}")
            if depth == 0:
                yield text[start:position]
                break
        else:
            yield text[start:] + "{"


def expression_problems(text):
    bare = re.sub(r"'[^']*'", "''", text)
    if bare.count("'") % 2:
        yield f"a quote is not closed: {text}"
    stack = []
    for character in bare:
        if character in CLOSES.values():
            stack.append(character)
        elif character in CLOSES and (not stack or stack.pop() != CLOSES[character]):
            yield f"not balanced: {text}"
            return
    if stack:
        yield f"not balanced: {text}"
    for name in re.findall(r"([A-Za-z]\w*)\s*\(", bare):
        if name not in FUNCTIONS:
            yield f"the function {name} is unknown: {text}"
