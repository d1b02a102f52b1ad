//! Resolves paths.

use percent_encoding::percent_decode_str;

use super::csdl::{Action, Limits, Schema, short};

/// The resource that a path names.
pub struct Place<'s> {
    pub kind: Kind<'s>,
    /// The type of the object or objects.
    pub of: String,
    /// Whether objects are created and changed here.
    pub owns_objects: bool,
    pub limits: &'s Limits,
}

pub enum Kind<'s> {
    Collection,
    /// A single object, in a collection or not.
    Object {
        has_key: bool,
    },
    /// A structural property.
    Property,
    /// `$count`.
    Count,
    Action(&'s Action),
}

enum Segment {
    Name(String),
    Key(String),
}

/// Resolves a path segment by segment.
pub fn resolve<'s>(schema: &'s Schema, path: &str) -> Result<Place<'s>, String> {
    let mut segments = segments(path)?.into_iter();
    let Some(Segment::Name(first)) = segments.next() else {
        return Err(format!("'{path}' names nothing"));
    };
    let root = schema.root(&first).ok_or_else(|| {
        format!("no entity set or singleton '{first}' (if Graph has it, add it to tests/schema/excerpt.py)")
    })?;
    let kind = if root.of.is_collection { Kind::Collection } else { Kind::Object { has_key: false } };
    let place = Place { kind, of: root.of.name.clone(), owns_objects: true, limits: &root.limits };
    segments.try_fold(place, |place, segment| place.step(schema, segment))
}

impl<'s> Place<'s> {
    fn step(self, schema: &'s Schema, segment: Segment) -> Result<Self, String> {
        let at = self.of.clone();
        match (&self.kind, segment) {
            (Kind::Collection, Segment::Name(name)) if name == "$count" => {
                Ok(Self { kind: Kind::Count, ..self })
            }
            (Kind::Collection | Kind::Object { .. }, Segment::Name(name)) if is_cast(&name) => {
                self.cast(schema, &name)
            }
            (Kind::Collection, Segment::Name(key) | Segment::Key(key)) => self.key(key),
            (Kind::Object { .. }, Segment::Name(name)) => self.member(schema, &name),
            (_, Segment::Name(name) | Segment::Key(name)) => {
                Err(format!("'{name}' follows something of type '{at}' that has no parts"))
            }
        }
    }

    fn key(self, key: String) -> Result<Self, String> {
        if key.is_empty() {
            return Err(format!("an empty key of type '{}'", self.of));
        }
        Ok(Self { kind: Kind::Object { has_key: true }, ..self })
    }

    fn cast(self, schema: &'s Schema, name: &str) -> Result<Self, String> {
        let wanted = short(name);
        if schema.is_derived(wanted, &self.of) {
            return Ok(Self { of: wanted.to_owned(), ..self });
        }
        match schema.action(&self.of, wanted) {
            Some(action) => Ok(Self { kind: Kind::Action(action), ..self }),
            None => Err(format!("'{name}' is neither a type derived from '{}' nor an action on it", self.of)),
        }
    }

    fn member(self, schema: &'s Schema, name: &str) -> Result<Self, String> {
        if let Some(target) = schema.navigation(&self.of, name) {
            let kind = match target.of.is_collection {
                true => Kind::Collection,
                false => Kind::Object { has_key: false },
            };
            let (of, owns_objects, limits) = (target.of.name.clone(), target.owns_objects, &target.limits);
            return Ok(Self { kind, of, owns_objects, limits });
        }
        if let Some(property) = schema.property(&self.of, name) {
            return Ok(Self { kind: Kind::Property, of: property.name.clone(), ..self });
        }
        match schema.action(&self.of, name) {
            Some(action) => Ok(Self { kind: Kind::Action(action), ..self }),
            None => Err(format!(
                "'{}' has no '{name}' (if Graph has it, add the path to tests/schema/excerpt.py)",
                self.of
            )),
        }
    }
}

fn is_cast(name: &str) -> bool {
    name.starts_with("microsoft.graph.") || name.starts_with("graph.")
}

/// Splits before decoding, as an encoded slash is part of a key. `users('key')` is two segments.
fn segments(path: &str) -> Result<Vec<Segment>, String> {
    let relative = path.strip_prefix('/').ok_or_else(|| format!("'{path}' does not begin with a slash"))?;
    let mut segments = Vec::new();
    for segment in relative.split('/') {
        let text =
            percent_decode_str(segment).decode_utf8().map_err(|_| format!("'{segment}' is not UTF-8"))?;
        match text.strip_suffix(')').and_then(|text| text.split_once('(')) {
            Some((name, key)) => {
                segments.push(Segment::Name(name.to_owned()));
                segments.push(Segment::Key(unquoted(key).ok_or_else(|| {
                    format!("the key in '{text}' is a string: it stands in quotes, with quotes in it doubled")
                })?));
            }
            None if text.starts_with('$') && text != "$count" => {
                return Err(format!("'{text}': what begins with a dollar sign is a key only in parentheses"));
            }
            None => segments.push(Segment::Name(text.into_owned())),
        }
    }
    Ok(segments)
}

/// The value of an OData string literal.
pub fn unquoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    (!inner.replace("''", "").contains('\'')).then(|| inner.replace("''", "'"))
}
