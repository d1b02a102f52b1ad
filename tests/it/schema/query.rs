//! Query options.

use percent_encoding::percent_decode_str;

use super::{
    csdl::Schema,
    filter,
    path::{Kind, Place},
};

/// Options that only collections have.
const FOR_LISTS: [&str; 7] = ["$filter", "$top", "$count", "$orderby", "$search", "$skiptoken", "$skipToken"];

/// The options of a request, decoded.
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Result<Self, String> {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            let decoded = percent_decode_str(&spaced).decode_utf8().map(|text| text.into_owned());
            decoded.map_err(|_| format!("'{text}' is not UTF-8"))
        };
        let mut options: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if options.iter().any(|(seen, _)| *seen == name) {
                return Err(format!("the query option '{name}' comes twice"));
            }
            options.push((name, value));
        }
        Ok(Self(options))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(option, _)| option == name).map(|(_, value)| value.as_str())
    }

    /// Whether this is an advanced query, which needs eventual consistency.
    pub fn is_advanced(&self) -> bool {
        self.get("$count") == Some("true") || self.get("$search").is_some()
    }

    /// Checks the options of a read of `place`.
    pub fn check(&self, schema: &Schema, place: &Place<'_>, problems: &mut Vec<String>) {
        for (name, value) in &self.0 {
            if FOR_LISTS.contains(&name.as_str()) && !matches!(place.kind, Kind::Collection | Kind::Count) {
                problems.push(format!("the query option '{name}' is for lists, and this is one object"));
                continue;
            }
            let result = check_option(schema, place, name, value);
            problems.extend(result.err().map(|why| format!("{name}: {why}")));
        }
    }
}

fn check_option(schema: &Schema, place: &Place<'_>, name: &str, value: &str) -> Result<(), String> {
    match name {
        "$select" => value.split(',').try_for_each(|term| select(schema, &place.of, term.trim())),
        "$orderby" => value.split(',').try_for_each(|term| order(schema, &place.of, term.trim())),
        "$expand" => top_level(value, ',').into_iter().try_for_each(|term| expand(schema, place, term)),
        "$filter" => filter::check(schema, &place.of, value),
        "$top" => match value.parse() {
            Ok(1..=999) => Ok(()),
            _ => Err(format!("'{value}' is not between 1 and 999")),
        },
        "$count" if matches!(value, "true" | "false") => Ok(()),
        "$search" if value.starts_with('"') && value.ends_with('"') && value.contains(':') => Ok(()),
        "$skiptoken" | "$skipToken" if !value.is_empty() => Ok(()),
        "$format" if value == "json" => Ok(()),
        "$count" | "$search" | "$skiptoken" | "$skipToken" | "$format" => {
            Err(format!("'{value}' is no value of it"))
        }
        _ => Err("no such query option".to_owned()),
    }
}

fn select(schema: &Schema, of: &str, term: &str) -> Result<(), String> {
    let mut of = of.to_owned();
    for name in term.split('/') {
        let property = schema.possible_property(&of, name);
        of = property.ok_or_else(|| format!("'{of}' has no property '{name}'"))?.name.clone();
    }
    Ok(())
}

fn order(schema: &Schema, of: &str, term: &str) -> Result<(), String> {
    let property = term.strip_suffix(" asc").or_else(|| term.strip_suffix(" desc")).unwrap_or(term);
    select(schema, of, property)
}

/// `manager` or `manager($select=id)`.
fn expand(schema: &Schema, place: &Place<'_>, term: &str) -> Result<(), String> {
    let (name, options) = match term.strip_suffix(')').and_then(|term| term.split_once('(')) {
        Some((name, options)) => (name, top_level(options, ';')),
        None => (term, Vec::new()),
    };
    let target = schema.navigation(&place.of, name);
    let target = target.ok_or_else(|| format!("'{}' has no navigation property '{name}'", place.of))?;
    let limits = place.limits;
    if limits.forbid("Expandable")
        || limits.not_expandable.contains(name)
        || target.limits.forbid("Expandable")
    {
        return Err(format!("'{name}' cannot be expanded"));
    }
    let inner = Place {
        kind: Kind::Collection,
        of: target.of.name.clone(),
        owns_objects: target.owns_objects,
        limits: &target.limits,
    };
    for option in options {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        if name == "$levels" && (value == "max" || value.parse::<u8>().is_ok()) {
            continue;
        }
        check_option(schema, &inner, name, value).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

/// Splits `text` at separators outside of parentheses.
fn top_level(text: &str, separator: char) -> Vec<&str> {
    let mut depth = 0;
    text.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == separator && depth == 0
    })
    .map(str::trim)
    .collect()
}
