//! One list in several requests.

use std::{collections::BTreeSet, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    client::{Graph, GraphRequest},
    error::GraphError,
};
use crate::{errors::identifier, memory::mapped, transport::MIB};

/// More pages than any list here has.
const MAX_PAGES: usize = 1_000;
/// More than any list here has: about 90,000 users.
const MAX_LIST: usize = 128 * MIB;
/// More items than a page has: 999 users, and all domains of a tenant.
const MAX_ITEMS: usize = 5_000;
/// More than any item has. What serde keeps of an item for a while can take many times its size.
const MAX_ITEM: usize = MIB;
/// How many malformed items an error names.
const NAMED: usize = 10;

/// One page of a list.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct Page<T> {
    #[serde(deserialize_with = "at_most::<MAX_ITEMS, _, _>")]
    pub value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    pub next_link: Option<String>,
}

/// An item that is read apart from the others of its page: if it is malformed, the others count.
#[derive(Debug)]
pub(super) enum Item<T> {
    /// It has the documented form.
    Read(T),
    /// It has another form. Its id, if it has one.
    Malformed(Option<String>),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Item<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Id {
            id: String,
        }
        let text = <&RawValue>::deserialize(deserializer)?;
        let item = Some(text.get()).filter(|text| text.len() <= MAX_ITEM);
        Ok(item.and_then(|text| serde_json::from_str(text).ok()).map_or_else(
            || {
                let id = serde_json::from_str::<Id>(text.get()).ok();
                Self::Malformed(id.and_then(|id| identifier(&id.id).map(str::to_owned)))
            },
            Self::Read,
        ))
    }
}

/// The items of a list that have the documented form, and what is known of the others.
#[derive(Clone, Debug)]
pub struct Readable<T> {
    /// Those that have it.
    pub items: Vec<T>,
    /// The ids of the others, or what stands for an id.
    pub malformed: Vec<String>,
}

impl<T> Default for Readable<T> {
    fn default() -> Self {
        Self { items: mapped(), malformed: Vec::new() }
    }
}

impl<T> Readable<T> {
    /// Adds a page, with what `keep` makes of its items.
    pub(super) fn add<U>(&mut self, page: Vec<Item<U>>, mut keep: impl FnMut(U) -> Option<T>) {
        for item in page {
            match item {
                Item::Read(item) => self.items.extend(keep(item)),
                Item::Malformed(id) => self.malformed.push(id.unwrap_or_else(|| "one without an id".into())),
            }
        }
    }

    /// Logs the malformed items as one ERROR.
    pub(super) fn logged(self, operation: &'static str) -> Self {
        if !self.malformed.is_empty() {
            tracing::error!(
                event = "graph.items_malformed",
                operation,
                count = self.malformed.len(),
                ids = self.malformed.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", "),
                "Entries of a list in Graph have an unknown form; the others count"
            );
        }
        self
    }
}

/// A list of at most `MAX` items: the error comes before more of them take memory.
pub(super) fn at_most<'de, const MAX: usize, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Items<const MAX: usize, T>(PhantomData<T>);

    impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for Items<MAX, T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = list.next_element()? {
                if items.len() == MAX {
                    return Err(A::Error::invalid_length(MAX + 1, &self));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_seq(Items::<MAX, T>(PhantomData))
}

impl Graph {
    /// All items of the list at `path`.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        eventual: bool,
    ) -> Result<Vec<T>, GraphError> {
        let mut items = Vec::new();
        self.pages(operation, path, eventual, |page| items.extend(page)).await?;
        Ok(items)
    }

    /// Passes each page of the list at `path` to `keep`, so that no two of them are in memory at the same time.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        eventual: bool,
        mut keep: impl FnMut(Vec<T>),
    ) -> Result<(), GraphError> {
        let first = GraphRequest { eventual, ..GraphRequest::get(operation, path) };
        let first: Page<T> = self.send(first).await?.json()?;
        keep(first.value);
        self.following(operation, first.next_link, eventual, keep).await
    }

    /// All items of a list whose first page was read.
    pub(super) async fn rest<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        first: Page<T>,
        eventual: bool,
    ) -> Result<Vec<T>, GraphError> {
        let mut items = first.value;
        self.following(operation, first.next_link, eventual, |page| items.extend(page)).await?;
        Ok(items)
    }

    async fn following<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        mut next: Option<String>,
        eventual: bool,
        mut keep: impl FnMut(Vec<T>),
    ) -> Result<(), GraphError> {
        let unreadable = |why| Err(GraphError::unreadable(operation, why));
        let (mut seen, mut bytes) = (BTreeSet::new(), 0);
        while let Some(url) = next {
            // The token is sent to Graph only.
            if !self.is_own(&url) {
                return unreadable("the link to the next page leads away from Graph");
            }
            if !seen.insert(url.clone()) {
                return unreadable("the links to the next pages form a circle");
            }
            let answer =
                self.send(GraphRequest { url, eventual, ..GraphRequest::get(operation, "") }).await?;
            bytes += answer.size();
            if seen.len() > MAX_PAGES || bytes > MAX_LIST {
                return unreadable("the list is too long");
            }
            let page: Page<T> = answer.json()?;
            keep(page.value);
            next = page.next_link;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_item_costs_itself() {
        let long = format!(r#"{{"id": 9, "x": "{}"}}"#, "x".repeat(MAX_ITEM));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let text = format!(
            r#"{{"value": [{{"id": 1}}, {{"id": "abc"}}, {{"id": "a b"}}, null, 7, {deep}, {{"y": {deep}}}, {long}, {{"id": 2, "z": {deep}}}]}}"#
        );
        #[derive(Debug, Deserialize, PartialEq)]
        struct Thing {
            id: u8,
        }
        let page: Page<Item<Thing>> = serde_json::from_str(&text).unwrap();
        let mut read = Readable::default();
        read.add(page.value, Some);
        let read = read.logged("reading things");
        assert_eq!(read.items, [Thing { id: 1 }, Thing { id: 2 }]);
        let none = "one without an id";
        assert_eq!(read.malformed, ["abc", none, none, none, none, none, none]);
    }

    #[test]
    fn a_page_has_a_limited_number_of_items() {
        let page = |count: usize| {
            serde_json::from_str::<Page<u8>>(&format!(r#"{{"value": [0{}]}}"#, ",0".repeat(count - 1)))
        };
        assert!(page(MAX_ITEMS).is_ok());
        assert!(page(MAX_ITEMS + 1).unwrap_err().to_string().contains("at most 5000 items"));
    }
}
