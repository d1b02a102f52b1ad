//! The environment as a value: the only module that reads the process's environment.

use std::collections::BTreeMap;

/// Names and values, as in the environment of a process.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of this process.
    #[expect(clippy::disallowed_methods, reason = "the only place that reads it")]
    pub fn process() -> Self {
        // Not `vars()`: it panics on any value that is not UTF-8.
        Self(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    /// The value of `name`. An empty value counts as not set, as in the Azure portal.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Adds `defaults` for names that are not set.
    #[must_use]
    pub fn or<'a>(mut self, defaults: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        for (name, value) in defaults {
            if self.get(name).is_none() {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
        self
    }

    /// All names that are set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}
