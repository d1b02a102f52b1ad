//! A list of texts that a sweep keeps of each joiner.

use std::iter;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::null::without_nulls;

/// A few texts in one allocation, each behind its length and a colon.
#[derive(Clone, Debug, Default)]
pub struct Texts(Box<str>);

impl Texts {
    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut rest = &*self.0;
        iter::from_fn(move || {
            let (length, texts) = rest.split_once(':')?;
            let (text, others) = texts.split_at_checked(length.parse().ok()?)?;
            rest = others;
            Some(text)
        })
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut all = String::new();
        for text in texts {
            let text = text.as_ref();
            all += &text.len().to_string();
            all.push(':');
            all += text;
        }
        Self(all.into())
    }
}

impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(without_nulls::<D, Box<str>>(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_written() {
        for texts in
            [vec![], vec![""], vec!["a", "", "3:ü:", "12", ":"], vec!["smtp:emma@contoso.example"; 30]]
        {
            let json = serde_json::to_value(&texts).unwrap();
            let read: Texts = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(read.iter().collect::<Vec<_>>(), texts);
            assert_eq!(serde_json::to_value(&read).unwrap(), json);
        }
        let read: Texts = serde_json::from_str(r#"[null, "a", null]"#).unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), ["a"]);
        assert_eq!(serde_json::from_str::<Texts>("null").unwrap().iter().count(), 0);
    }
}
