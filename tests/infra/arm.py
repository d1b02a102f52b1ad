"""Checks a resource of a template against Microsoft's models: unknown, missing and read-only properties."""

from azure.mgmt.eventgrid import models as eventgrid
from azure.mgmt.logic import models as logic

from bicep import Computed

# Resource type -> (API version of the package, the package's models, name of the model).
MODELS = {
    "Microsoft.EventGrid/partnerConfigurations": ("2025-02-15", eventgrid, "PartnerConfiguration"),
    "Microsoft.EventGrid/partnerTopics": ("2025-02-15", eventgrid, "PartnerTopic"),
    "Microsoft.EventGrid/partnerTopics/eventSubscriptions": ("2025-02-15", eventgrid, "EventSubscription"),
    "Microsoft.Logic/workflows": ("2019-05-01", logic, "Workflow"),
}

# Resource types without a small package of models -> (API version, allowed properties).
KNOWN = {
    "Microsoft.Authorization/roleAssignments": ("2022-04-01", {"roleDefinitionId", "principalId", "principalType"}),
    "Microsoft.Storage/storageAccounts": ("2023-05-01", set()),
    "Microsoft.Storage/storageAccounts/blobServices": ("2023-05-01", set()),
    "Microsoft.Storage/storageAccounts/blobServices/containers": ("2023-05-01", {"publicAccess"}),
    "Microsoft.Storage/storageAccounts/queueServices": ("2023-05-01", set()),
    "Microsoft.Storage/storageAccounts/queueServices/queues": ("2023-05-01", set()),
    "Microsoft.Web/connections": ("2016-06-01", {"displayName", "api", "parameterValueType"}),
}

# Properties that a model declares as plain text -> their enumeration.
ENUMS = {
    "eventDeliverySchema": eventgrid.EventDeliverySchema,
    "identity.type": eventgrid.EventSubscriptionIdentityType,
    "properties.state": logic.WorkflowState,
}

SIMPLE = {"str": str, "iso-8601": str, "int": int, "bool": bool}


def problems(kind, version, body, existing):
    """The problems of a resource. An existing resource may have a name only."""
    body = {name: value for name, value in body.items() if name not in ("parent", "scope", "dependsOn", "name")}
    if kind in KNOWN:
        expected, properties = KNOWN[kind]
        found = [f"{kind}: no property {name}" for name in sorted(set(body.get("properties", {})) - properties)]
    elif kind in MODELS:
        expected, models, model = MODELS[kind]
        found = [] if existing else list(model_problems(models, getattr(models, model), body, ""))
    else:
        return [f"{kind}: unknown resource type"]
    if existing and body:
        found = [f"{kind} exists already: {', '.join(body)} has no effect"]
    if version != expected:
        found.append(f"{kind}: API version {version} instead of {expected}")
    return found


def model_problems(models, model, value, path):
    model = subtype(models, model, value)
    fields = {}
    for attribute, each in model._attribute_map.items():
        fields[each["key"]] = (each["type"], model._validation.get(attribute, {}))

    given = dict(flattened(value, fields, ""))
    for name, part in given.items():
        where = f"{path}.{name}".lstrip(".")
        if name not in fields:
            yield f"{model.__name__}: no property {where}"
            continue
        kind, rules = fields[name]
        if rules.get("readonly"):
            yield f"{model.__name__}: {where} is read-only"
        yield from type_problems(models, kind, part, where)
    for name, (_, rules) in fields.items():
        if rules.get("required") and not rules.get("readonly") and name not in given:
            yield f"{model.__name__}: {f'{path}.{name}'.lstrip('.')} is missing"


def flattened(value, fields, prefix):
    """The parts of a value by the keys of the model, which joins nested properties with dots."""
    for name, part in value.items():
        whole = f"{prefix}{name}"
        inner = any(each.startswith(f"{whole}.") for each in fields)
        if inner and isinstance(part, dict):
            yield from flattened(part, fields, f"{whole}.")
        else:
            yield whole, part


def subtype(models, model, value):
    for attribute, types in model.__dict__.get("_subtype_map", {}).items():
        named = value.get(model._attribute_map[attribute]["key"])
        if named in types:
            return getattr(models, types[named])
    return model


def type_problems(models, kind, value, where):
    if isinstance(value, Computed):
        return
    enum = next((enum for end, enum in ENUMS.items() if where.endswith(end)), None)
    if enum and value not in [each.value for each in enum]:
        yield f"{where}: {value!r} is not one of {', '.join(each.value for each in enum)}"
    if kind in SIMPLE:
        if not isinstance(value, SIMPLE[kind]):
            yield f"{where}: {value!r} is not of the type {kind}"
    elif kind.startswith("["):
        for each in value if isinstance(value, list) else []:
            yield from type_problems(models, kind[1:-1], each, f"{where}[]")
        if not isinstance(value, list):
            yield f"{where}: {value!r} is not a list"
    elif kind.startswith("{"):
        for name, each in value.items():
            yield from type_problems(models, kind[1:-1], each, f"{where}.{name}")
    elif kind != "object":
        yield from model_problems(models, getattr(models, kind), value, where)
