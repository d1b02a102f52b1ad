"""Holds a resource of a template against Microsoft's own models of it: unknown, missing and read-only properties."""

from azure.mgmt.eventgrid import models as eventgrid
from azure.mgmt.logic import models as logic

from bicep import Computed

# Resource type -> its API version in the package, the package's models, and the model.
MODELS = {
    "Microsoft.EventGrid/partnerConfigurations": ("2025-02-15", eventgrid, "PartnerConfiguration"),
    "Microsoft.EventGrid/partnerTopics": ("2025-02-15", eventgrid, "PartnerTopic"),
    "Microsoft.EventGrid/partnerTopics/eventSubscriptions": ("2025-02-15", eventgrid, "EventSubscription"),
    "Microsoft.Logic/workflows": ("2019-05-01", logic, "Workflow"),
}

# Resources without models in a package of reasonable size, and the properties that they may have here.
KNOWN = {
    "Microsoft.Authorization/roleAssignments": ("2022-04-01", {"roleDefinitionId", "principalId", "principalType"}),
    "Microsoft.Storage/storageAccounts": ("2023-05-01", set()),
    "Microsoft.Storage/storageAccounts/blobServices": ("2023-05-01", set()),
    "Microsoft.Storage/storageAccounts/blobServices/containers": ("2023-05-01", {"publicAccess"}),
    "Microsoft.Storage/storageAccounts/queueServices": ("2023-05-01", set()),
    "Microsoft.Storage/storageAccounts/queueServices/queues": ("2023-05-01", set()),
    "Microsoft.Web/connections": ("2016-06-01", {"displayName", "api", "parameterValueType"}),
}

# Values that a model keeps as plain text, and the enumeration they are of.
ENUMS = {
    "eventDeliverySchema": eventgrid.EventDeliverySchema,
    "identity.type": eventgrid.EventSubscriptionIdentityType,
    "properties.state": logic.WorkflowState,
}

SIMPLE = {"str": str, "iso-8601": str, "int": int, "bool": bool}


def problems(kind, version, body, existing):
    """What is wrong with a resource, as sentences. One that exists already is only named."""
    body = {name: value for name, value in body.items() if name not in ("parent", "scope", "dependsOn", "name")}
    if kind in KNOWN:
        expected, properties = KNOWN[kind]
        found = [f"{kind}: no property {name}" for name in sorted(set(body.get("properties", {})) - properties)]
    elif kind in MODELS:
        expected, models, model = MODELS[kind]
        found = [] if existing else list(of_model(models, getattr(models, model), body, ""))
    else:
        return [f"{kind}: nothing is known about this type"]
    if existing and body:
        found = [f"{kind} exists already: {', '.join(body)} says nothing"]
    if version != expected:
        found.append(f"{kind}: API version {version}, checked is {expected}")
    return found


def of_model(models, model, value, path):
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
        yield from of_type(models, kind, part, where)
    for name, (_, rules) in fields.items():
        if rules.get("required") and not rules.get("readonly") and name not in given:
            yield f"{model.__name__}: {f'{path}.{name}'.lstrip('.')} is missing"


def flattened(value, fields, prefix):
    """The parts of a value by the keys of the model, which leaves out the level that is called properties."""
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


def of_type(models, kind, value, where):
    if isinstance(value, Computed):
        return
    enum = next((enum for end, enum in ENUMS.items() if where.endswith(end)), None)
    if enum and value not in [each.value for each in enum]:
        yield f"{where}: {value!r} is none of {', '.join(each.value for each in enum)}"
    if kind in SIMPLE:
        if not isinstance(value, SIMPLE[kind]):
            yield f"{where}: {value!r} is no {kind}"
    elif kind.startswith("["):
        for each in value if isinstance(value, list) else []:
            yield from of_type(models, kind[1:-1], each, f"{where}[]")
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no list"
    elif kind.startswith("{"):
        for name, each in value.items():
            yield from of_type(models, kind[1:-1], each, f"{where}.{name}")
    elif kind != "object":
        yield from of_model(models, getattr(models, kind), value, where)
