//! Null where a value may be missing. Graph's schema lets most properties be null.

use serde::{Deserialize, Deserializer};

use crate::text;

/// A property that decides about a privilege. Graph answers null for one without a value and for one that it hides; an answer
/// without the property is no answer to the question, so it does not parse.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Nullable<T>(pub Option<T>);

impl Nullable<String> {
    /// The name without what a person does not see.
    pub(super) fn name(self) -> Option<String> {
        self.0.and_then(|name| text::name(&name))
    }
}

/// A name without what a person does not see; `None` also if nothing is left of it.
pub(super) fn visible<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|text| text::name(&text)))
}

/// The items of a list that are not null; none for null.
pub(super) fn without_nulls<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let items: Option<Vec<Option<T>>> = Option::deserialize(deserializer)?;
    Ok(items.into_iter().flatten().flatten().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Group {
        name: Nullable<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "type")]
    enum Kind {
        Group(Group),
    }

    #[derive(Debug, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        group: Group,
    }

    #[test]
    fn null_is_a_value_and_absent_is_none() {
        for (name, is_read) in
            [(json!({"name": null}), true), (json!({"name": "Crew"}), true), (json!({}), false)]
        {
            let mut tagged = name.clone();
            tagged["type"] = "Group".into();
            let plain = from_value::<Group>(name.clone()).map(|group| group.name.0);
            let flat = from_value::<Flat>(name.clone()).map(|flat| flat.group.name.0);
            let tagged = from_value::<Kind>(tagged).map(|Kind::Group(group)| group.name.0);
            for read in [plain, flat, tagged] {
                assert_eq!(read.is_ok(), is_read, "{name}: {read:?}");
                assert_eq!(read.ok().flatten().as_deref(), name["name"].as_str());
            }
        }
    }
}
