"""Cuts the part that firstpass uses out of Microsoft Graph's schema.

    curl -o graph.csdl 'https://graph.microsoft.com/v1.0/$metadata'
    python3 tests/schema/excerpt.py graph.csdl

writes graph-v1.0.excerpt.csdl beside this script. tests/it/schema checks every request of every scenario against it.
To call something new, add its path to PATHS and run the script again.
"""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

# Where requests go. `{}` is a key.
PATHS = [
    "users/{}/manager",
    "users/{}/transitiveMemberOf",
    "users/{}/ownedObjects",
    "users/{}/sendMail",
    "users/{}/messages/{}/attachments/{}",
    "users/{}/authentication/methods",
    "users/{}/authentication/temporaryAccessPassMethods/{}",
    "reports/authenticationMethods/userRegistrationDetails/{}",
    "groups/{}/members",
    "subscriptions/{}",
    "domains/{}",
    "directory/deletedItems/{}",
    "policies/authenticationMethodsPolicy/authenticationMethodConfigurations/{}",
    "identity/conditionalAccess/policies/{}",
    "roleManagement/directory/roleAssignments/{}/roleDefinition",
    "roleManagement/directory/roleEligibilityScheduleInstances/{}/roleDefinition",
    "identityGovernance/privilegedAccess/group/eligibilityScheduleInstances/{}/group",
]
# What comes out of collections of something more general.
MEMBERS = [
    "user",
    "group",
    "orgContact",
    "directoryRole",
    "application",
    "servicePrincipal",
    "fileAttachment",
    "temporaryAccessPassAuthenticationMethodConfiguration",
    "fido2AuthenticationMethodConfiguration",
    "microsoftAuthenticatorAuthenticationMethodConfiguration",
]
# The restrictions that are kept, and what of them.
RESTRICTIONS = {
    "InsertRestrictions": ["Insertable"],
    "UpdateRestrictions": ["Updatable"],
    "DeleteRestrictions": ["Deletable"],
    "ExpandRestrictions": ["Expandable", "NonExpandableProperties"],
    "ReadRestrictions": ["CustomHeaders"],
}
PROSE = ["Description", "DocumentationURL", "ExampleValues"]

EDM = "http://docs.oasis-open.org/odata/ns/edm"
EDMX = "http://docs.oasis-open.org/odata/ns/edmx"
NAMESPACE = "microsoft.graph."
OUTPUT = Path(__file__).parent / "graph-v1.0.excerpt.csdl"
HEADER = """<?xml version="1.0" encoding="utf-8"?>
<!--
  The part of Microsoft Graph's v1.0 schema that firstpass uses: its types whole, of their navigation properties only
  those that requests go through. Microsoft publishes the schema at https://graph.microsoft.com/v1.0/$metadata.
  Made by tests/schema/excerpt.py, which says how to make it anew; not to be edited.
-->
"""


def tag(name):
    return f"{{{EDM}}}{name}"


def short(type_name):
    """`user` of `Collection(graph.user)`; None for Edm's own types."""
    inner = re.sub(r"^Collection\((.*)\)$", r"\1", type_name)
    if inner.startswith("Edm."):
        return None
    return re.sub(r"^(microsoft\.)?graph\.", "", inner)


class Source:
    def __init__(self, path):
        root = ET.parse(path).getroot()
        self.schema = next(s for s in root.iter(tag("Schema")) if s.get("Namespace") == "microsoft.graph")
        kinds = [tag(kind) for kind in ("EntityType", "ComplexType", "EnumType")]
        self.types = {e.get("Name"): e for e in self.schema if e.tag in kinds}
        self.actions = [e for e in self.schema if e.tag == tag("Action")]
        self.container = self.schema.find(tag("EntityContainer"))
        # All restrictions stand in one schema of the document, whatever they are about.
        self.annotations = list(root.iter(tag("Annotations")))

    def lineage(self, name):
        """The type and all that it is derived from."""
        while name:
            yield name
            name = short(self.types[name].get("BaseType") or "Edm.None")

    def find(self, owner, name):
        """The navigation property or action `name` of the type `owner`."""
        for ancestor in self.lineage(owner):
            for property in self.types[ancestor].findall(tag("NavigationProperty")):
                if property.get("Name") == name:
                    return ancestor, property
            for action in self.actions:
                bound_to = action.find(tag("Parameter"))
                if action.get("Name") == name and bound_to is not None and short(bound_to.get("Type")) == ancestor:
                    return ancestor, action
        sys.exit(f"{owner} has no '{name}'")


class Excerpt:
    def __init__(self, source):
        self.source = source
        self.types, self.actions, self.roots, self.targets = set(), [], [], set()
        self.navigation = set()

    def walk(self, path):
        first, *rest = path.split("/")
        root = next((r for r in self.source.container if r.get("Name") == first), None)
        if root is None:
            sys.exit(f"no entity set or singleton '{first}'")
        if root not in self.roots:
            self.roots.append(root)
        self.targets.add(f"{NAMESPACE}{self.source.container.get('Name')}/{first}")
        here = short(root.get("EntityType") or root.get("Type"))
        self.add(here)
        for segment in rest:
            if segment == "{}":
                continue
            owner, found = self.source.find(here, segment)
            if found.tag == tag("Action"):
                self.actions.append(found)
                for parameter in found.findall(tag("Parameter")):
                    self.add(short(parameter.get("Type")))
                continue
            self.navigation.add((owner, segment))
            self.targets.add(f"{NAMESPACE}{owner}/{segment}")
            here = short(found.get("Type"))
            self.add(here)

    def add(self, name):
        """The type, what it is derived from, and the types of all its structural properties."""
        if name is None or name in self.types:
            return
        self.types.add(name)
        element = self.source.types[name]
        self.add(short(element.get("BaseType") or "Edm.None"))
        for property in element.findall(tag("Property")):
            self.add(short(property.get("Type")))

    def build(self):
        edmx = ET.Element(f"{{{EDMX}}}Edmx", Version="4.0")
        services = ET.SubElement(edmx, f"{{{EDMX}}}DataServices")
        schema = ET.SubElement(services, tag("Schema"), Namespace="microsoft.graph", Alias="graph")
        for name in sorted(self.types, key=str.lower):
            schema.append(self.type(name))
        schema.extend(plain(action) for action in self.actions)
        container = ET.SubElement(schema, tag("EntityContainer"), Name=self.source.container.get("Name"))
        for root in self.roots:
            ET.SubElement(container, root.tag, root.attrib)
        for annotations in self.source.annotations:
            if annotations.get("Target") in self.targets:
                self.annotate(schema, annotations)
        ET.indent(edmx, " ")
        return edmx

    def type(self, name):
        source = self.source.types[name]
        copy = ET.Element(source.tag, source.attrib)
        for child in source:
            is_navigation = child.tag == tag("NavigationProperty")
            if child.tag in (tag("Property"), tag("Member")) or is_navigation and (
                (name, child.get("Name")) in self.navigation
            ):
                ET.SubElement(copy, child.tag, child.attrib)
        return copy

    @staticmethod
    def annotate(schema, source):
        kept = ET.Element(source.tag, source.attrib)
        for annotation in source:
            wanted = RESTRICTIONS.get(annotation.get("Term").rsplit(".", 1)[-1], [])
            values = [v for v in annotation.iter(tag("PropertyValue")) if v.get("Property") in wanted]
            if values:
                record = ET.SubElement(
                    ET.SubElement(kept, annotation.tag, Term=annotation.get("Term")), tag("Record")
                )
                record.extend(plain(value) for value in values)
        if len(kept):
            schema.append(kept)


def plain(source):
    """A copy without prose and without the indentation of the document it comes from."""
    copy = ET.Element(source.tag, source.attrib)
    if source.text and source.text.strip():
        copy.text = source.text
    copy.extend(plain(child) for child in source if child.get("Property") not in PROSE)
    return copy


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    excerpt = Excerpt(Source(sys.argv[1]))
    for path in PATHS:
        excerpt.walk(path)
    for name in MEMBERS:
        excerpt.add(name)
    ET.register_namespace("", EDM)
    ET.register_namespace("edmx", EDMX)
    OUTPUT.write_text(HEADER + ET.tostring(excerpt.build(), encoding="unicode") + "\n", encoding="utf-8")
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size} bytes, {len(excerpt.types)} types")


if __name__ == "__main__":
    main()
