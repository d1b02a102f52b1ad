"""The rules of a Logic App's definition that can be held against the file alone."""

import re

STATUSES = {"Succeeded", "Failed", "Skipped", "TimedOut"}
ACTIONS = {"If", "Http", "ApiConnection", "Foreach", "Scope", "Compose"}
FUNCTIONS = {"base64", "empty", "parameters", "string", "triggerBody", "utcNow"}
CLOSES = {")": "(", "]": "[", "}": "{"}


def problems(definition):
    for name in ("$schema", "contentVersion", "triggers", "actions"):
        if name not in definition:
            yield f"{name} is missing"
    yield from of_actions(definition.get("actions", {}))
    used = set()
    for text in expressions(definition):
        yield from of_expression(text)
        used |= set(re.findall(r"\bparameters\('([^']*)'\)", text))
    declared = set(definition.get("parameters", {}))
    yield from (f"the parameter {name} is not declared" for name in sorted(used - declared))
    yield from (f"the parameter {name} is not used" for name in sorted(declared - used))


def of_actions(actions):
    if actions and all(action.get("runAfter") for action in actions.values()):
        yield "no action comes first"
    for name, action in actions.items():
        if action.get("type") not in ACTIONS:
            yield f"{name}: the type {action.get('type')} is not known"
        for before, statuses in action.get("runAfter", {}).items():
            if before not in actions:
                yield f"{name} runs after {before}, which is not there"
            if not statuses or set(statuses) - STATUSES:
                yield f"{name} runs after {before} on {statuses}"
        if waits_for_itself(actions, name):
            yield f"{name} waits for itself"
        yield from of_actions(action.get("actions", {}))
        yield from of_actions(action.get("else", {}).get("actions", {}))


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
    """Every expression in the definition: a text that begins with @, or what stands in @{...}."""
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
    """What stands in @{...}: up to the brace that closes it, or to the end if none does."""
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


def of_expression(text):
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
            yield f"the function {name} is not known: {text}"
