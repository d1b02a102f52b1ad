"""Parses a Bicep file: its declarations, and their values unless they are computed."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import tree_sitter
import tree_sitter_bicep

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))

DECLARATIONS = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "output_declaration": "output",
}


@dataclass
class Computed:
    """A value that is computed at deployment; `text` is its source."""

    text: str


@dataclass
class Declaration:
    kind: str
    name: str
    node: tree_sitter.Node
    decorators: dict = field(default_factory=dict)

    @property
    def existing(self):
        return any(child.type == "existing" for child in self.node.children)

    @property
    def value_node(self):
        """The node after the equals sign; `None` for a parameter without a default."""
        types = [child.type for child in self.node.children]
        return self.node.children[types.index("=") + 1] if "=" in types else None


class Template:
    def __init__(self, path: Path):
        self.path = path
        self.tree = PARSER.parse(path.read_bytes())
        self.declarations = []
        decorators = {}
        for node in self.tree.root_node.named_children:
            if node.type == "decorators":
                decorators = dict(decorator(child) for child in node.named_children)
            elif node.type in DECLARATIONS:
                name = node.named_children[0].text.decode()
                self.declarations.append(Declaration(DECLARATIONS[node.type], name, node, decorators))
                decorators = {}

    def all(self, kind):
        return [each for each in self.declarations if each.kind == kind]

    def symbol(self, name):
        """The declaration of a name. Outputs cannot be referenced."""
        return next((each for each in self.declarations if each.name == name and each.kind != "output"), None)

    def syntax_errors(self):
        found = []
        walk(self.tree.root_node, lambda node: found.append(node) if node.is_error or node.is_missing else None)
        return [f"line {node.start_point[0] + 1}: {node.text.decode()[:40]!r}" for node in found]

    def resource_type(self, declaration):
        kind, _, version = unquoted(declaration.node.named_children[1]).partition("@")
        return kind, version

    def references(self):
        """The referenced names and functions, each with its line."""
        names, functions = [], []

        def visit(node):
            if node.type != "identifier":
                return
            parent, line = node.parent, node.start_point[0] + 1
            first = parent.named_children[0] == node
            if parent.type == "call_expression" and first:
                functions.append((node.text.decode(), line))
            elif not (parent.type in (*DECLARATIONS, "object_property") and first):
                names.append((node.text.decode(), line))

        walk(self.tree.root_node, visit)
        return names, functions

    def value(self, node):
        """The value of an expression. Variables are resolved; other computed values become `Computed`."""
        if node.type == "string":
            return Computed(node.text.decode()) if has_interpolation(node) else unquoted(node)
        if node.type == "number":
            return int(node.text)
        if node.type == "boolean":
            return node.text == b"true"
        if node.type == "array":
            return [self.value(child) for child in node.named_children if child.type != "comment"]
        if node.type == "object":
            properties = [child for child in node.named_children if child.type == "object_property"]
            return {key(each): self.value(each.named_children[-1]) for each in properties}
        if node.type == "identifier":
            symbol = self.symbol(node.text.decode())
            if symbol and symbol.kind == "var":
                return self.value(symbol.value_node)
        if node.type == "ternary_expression":
            return self.joined(node.named_children[1:])
        if node.type == "call_expression" and node.named_children[0].text in (b"union", b"concat"):
            return self.joined(node.named_children[1].named_children)
        return Computed(node.text.decode())

    def joined(self, nodes):
        """The union of objects or lists, so that every branch is checked."""
        values = [self.value(node) for node in nodes]
        if values and all(isinstance(value, dict) for value in values):
            return {name: part for value in values for name, part in value.items()}
        return [part for value in values for part in (value if isinstance(value, list) else [value])]


def walk(node, visit):
    visit(node)
    for child in node.children:
        walk(child, visit)


def has_interpolation(node):
    return any(child.type == "interpolation" for child in node.named_children)


def unquoted(node):
    return re.sub(r"\\(.)", r"\1", node.text.decode()[1:-1])


def key(object_property):
    name = object_property.named_children[0]
    return unquoted(name) if name.type == "string" else name.text.decode()


def decorator(node):
    call = node.named_children[0]
    arguments = call.named_children[1].named_children
    return call.named_children[0].text.decode(), unquoted(arguments[0]) if arguments else None
