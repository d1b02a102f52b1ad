//! The part of Graph's schema that firstpass uses: `tests/schema/graph-v1.0.excerpt.csdl`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use roxmltree::{Document, Node};

pub static GRAPH: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse(include_str!("../../schema/graph-v1.0.excerpt.csdl")));

#[derive(Default)]
pub struct Schema {
    types: BTreeMap<String, Type>,
    actions: Vec<Action>,
    roots: BTreeMap<String, Target>,
}

/// An entity, complex or enumeration type.
#[derive(Default)]
pub struct Type {
    base: Option<String>,
    /// The members of an enumeration; `None` for other types.
    pub members: Option<Vec<String>>,
    properties: BTreeMap<String, TypeRef>,
    navigation: BTreeMap<String, Target>,
}

/// The type of a property or parameter, like `Edm.String` or `user`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRef {
    pub name: String,
    pub is_collection: bool,
    pub is_nullable: bool,
}

/// The target of a path segment: an entity set, a singleton or a navigation property.
#[derive(Clone, Debug)]
pub struct Target {
    pub of: TypeRef,
    /// Whether it contains its objects, so that they are created and changed here.
    pub owns_objects: bool,
    pub limits: Limits,
}

/// The restrictions that annotations put on a target.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    forbidden: BTreeSet<String>,
    pub not_expandable: BTreeSet<String>,
    /// Headers that a read may have, in lower case.
    pub headers: BTreeSet<String>,
}

impl Limits {
    /// Whether `Insertable`, `Updatable`, `Deletable` or `Expandable` is false.
    pub fn forbid(&self, what: &str) -> bool {
        self.forbidden.contains(what)
    }
}

/// A bound action.
pub struct Action {
    name: String,
    bound_to: TypeRef,
    pub parameters: BTreeMap<String, TypeRef>,
}

impl Schema {
    pub fn parse(text: &str) -> Self {
        let document = Document::parse(text).expect("well-formed XML");
        let mut schema = Self::default();
        let limits = limits(&document);
        for node in document.descendants().filter(Node::is_element) {
            match node.tag_name().name() {
                "EntityType" | "ComplexType" | "EnumType" => {
                    schema.types.insert(name(node), Type::parse(node, &limits));
                }
                "Action" => schema.actions.push(Action::parse(node)),
                "EntitySet" | "Singleton" => {
                    let path = format!("GraphService/{}", name(node));
                    schema.roots.insert(name(node), Target::root(node, limits.get(&path)));
                }
                _ => {}
            }
        }
        schema
    }

    pub fn root(&self, name: &str) -> Option<&Target> {
        self.roots.get(name)
    }

    pub fn get(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    /// The type and its base types.
    fn lineage<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s Type> + use<'s> {
        let mut next = self.types.get(name);
        std::iter::from_fn(move || {
            let this = next?;
            next = this.base.as_ref().and_then(|base| self.types.get(base));
            Some(this)
        })
    }

    pub fn is_derived(&self, name: &str, from: &str) -> bool {
        name == from || self.lineage(name).any(|t| t.base.as_deref() == Some(from))
    }

    /// The type and those that are derived from it.
    pub fn derived(&self, from: &str) -> Vec<&str> {
        self.types.keys().map(String::as_str).filter(|name| self.is_derived(name, from)).collect()
    }

    /// The structural properties of the type.
    pub fn properties(&self, of: &str) -> Vec<(&str, &TypeRef)> {
        self.lineage(of)
            .flat_map(|t| &t.properties)
            .map(|(name, property)| (name.as_str(), property))
            .collect()
    }

    /// A structural property of the type.
    pub fn property(&self, of: &str, name: &str) -> Option<&TypeRef> {
        self.lineage(of).find_map(|t| t.properties.get(name))
    }

    /// A structural property of the type or of a derived type: Graph's `$select` accepts both without a cast.
    pub fn possible_property(&self, of: &str, name: &str) -> Option<&TypeRef> {
        let derived = self.types.keys().filter(|t| *t != of && self.is_derived(t, of));
        self.property(of, name).or_else(|| derived.into_iter().find_map(|t| self.property(t, name)))
    }

    pub fn navigation(&self, of: &str, name: &str) -> Option<&Target> {
        self.lineage(of).find_map(|t| t.navigation.get(name))
    }

    pub fn action(&self, on: &str, name: &str) -> Option<&Action> {
        let fits = |a: &&Action| {
            a.name == name && !a.bound_to.is_collection && self.is_derived(on, &a.bound_to.name)
        };
        self.actions.iter().find(fits)
    }
}

impl Type {
    fn parse(node: Node<'_, '_>, limits: &BTreeMap<String, Limits>) -> Self {
        let mut parsed = Self {
            base: node.attribute("BaseType").map(|base| short(base).to_owned()),
            members: (node.tag_name().name() == "EnumType").then(Vec::new),
            ..Self::default()
        };
        for child in node.children().filter(Node::is_element) {
            match child.tag_name().name() {
                "Property" => {
                    parsed.properties.insert(name(child), TypeRef::parse(child, "Type"));
                }
                "NavigationProperty" => {
                    let path = format!("{}/{}", name(node), name(child));
                    parsed.navigation.insert(name(child), Target::navigation(child, limits.get(&path)));
                }
                "Member" => parsed.members.get_or_insert_default().push(name(child)),
                _ => {}
            }
        }
        parsed
    }
}

impl TypeRef {
    fn parse(node: Node<'_, '_>, attribute: &str) -> Self {
        let text = node.attribute(attribute).expect("a type");
        let inner = text.strip_prefix("Collection(").and_then(|text| text.strip_suffix(')'));
        Self {
            name: short(inner.unwrap_or(text)).to_owned(),
            is_collection: inner.is_some(),
            is_nullable: node.attribute("Nullable") != Some("false"),
        }
    }

    pub fn item(&self) -> Self {
        Self { is_collection: false, ..self.clone() }
    }
}

impl Target {
    fn root(node: Node<'_, '_>, limits: Option<&Limits>) -> Self {
        let is_set = node.tag_name().name() == "EntitySet";
        let of = TypeRef::parse(node, if is_set { "EntityType" } else { "Type" });
        let of = TypeRef { is_collection: is_set, ..of };
        Self { of, owns_objects: true, limits: limits.cloned().unwrap_or_default() }
    }

    fn navigation(node: Node<'_, '_>, limits: Option<&Limits>) -> Self {
        let owns_objects = node.attribute("ContainsTarget") == Some("true");
        Self { of: TypeRef::parse(node, "Type"), owns_objects, limits: limits.cloned().unwrap_or_default() }
    }
}

impl Action {
    fn parse(node: Node<'_, '_>) -> Self {
        let mut parameters =
            node.children().filter(Node::is_element).map(|p| (name(p), TypeRef::parse(p, "Type")));
        let (_, bound_to) = parameters.next().expect("a binding parameter");
        Self { name: name(node), bound_to, parameters: parameters.collect() }
    }
}

/// The restrictions by target, like `authentication/temporaryAccessPassMethods`.
fn limits(document: &Document<'_>) -> BTreeMap<String, Limits> {
    let mut limits = BTreeMap::new();
    for annotations in document.descendants().filter(|n| n.tag_name().name() == "Annotations") {
        let mut about = Limits::default();
        for value in annotations.descendants().filter(|n| n.tag_name().name() == "PropertyValue") {
            let property = value.attribute("Property").unwrap_or_default();
            match (property, value.attribute("Bool"), value.attribute("String")) {
                ("NonExpandableProperties", ..) => {
                    let paths = value.descendants().filter_map(|n| n.text()).map(str::trim);
                    about.not_expandable.extend(paths.filter(|path| !path.is_empty()).map(str::to_owned));
                }
                ("Name", _, Some(header)) => {
                    about.headers.insert(header.to_lowercase());
                }
                (_, Some("false"), _) => {
                    about.forbidden.insert(property.to_owned());
                }
                _ => {}
            }
        }
        limits.insert(short(annotations.attribute("Target").unwrap_or_default()).to_owned(), about);
    }
    limits
}

fn name(node: Node<'_, '_>) -> String {
    node.attribute("Name").expect("a name").to_owned()
}

/// The name without `graph.` or `microsoft.graph.`.
pub fn short(name: &str) -> &str {
    name.strip_prefix("microsoft.").unwrap_or(name).strip_prefix("graph.").unwrap_or(name)
}
