//! A text that many users have.

use std::{ops::Deref, sync::Arc};

use serde::{Deserialize, Serialize};

/// A country, a city, a kind of account: a sweep keeps six of them of each joiner, so it is no larger than an address in memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Word(Arc<Box<str>>);

impl Deref for Word {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self(Arc::new(text.into()))
    }
}
