//! JSON that is put together once and written once: keys are literals, texts are borrowed where they can be, and the
//! order of the keys is the order in which they were added. A tree of `serde_json` asks for memory for every key.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::capability;

/// A value.
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Unsigned(u64),
    /// A whole number.
    Signed(i64),
    /// A text.
    Text(Cow<'a, str>),
    /// Several values.
    Array(Vec<Value<'a>>),
    /// Values by name.
    Object(Map<'a>),
    /// Names of the capabilities in a set, put in one by one when written.
    Capabilities(u64),
    /// What another module made.
    Other(&'a serde_json::Map<String, serde_json::Value>),
}

/// Values by name. Nobody looks whether a name was added before.
pub struct Map<'a>(Vec<(&'static str, Value<'a>)>);

impl<'a> Map<'a> {
    /// An empty one, with room for what most parts of a record have.
    pub fn new() -> Self {
        Self(Vec::with_capacity(16))
    }

    /// Adds a value.
    pub fn insert(&mut self, key: &'static str, value: Value<'a>) {
        self.0.push((key, value));
    }
}

impl Serialize for Map<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Array(values) => serializer.collect_seq(values),
            Self::Object(map) => map.serialize(serializer),
            Self::Capabilities(set) => serializer.collect_seq(capability::names(*set)),
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Self::Unsigned(value.into())
    }
}

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Signed(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<Map<'a>> for Value<'a> {
    fn from(map: Map<'a>) -> Self {
        Self::Object(map)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<'a, T: Into<Value<'a>>> From<Vec<T>> for Value<'a> {
    fn from(values: Vec<T>) -> Self {
        values.into_iter().collect()
    }
}

impl<'a, T: Into<Value<'a>>> FromIterator<T> for Value<'a> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::Array(values.into_iter().map(Into::into).collect())
    }
}

/// An object of literals and anything that becomes a [`Value`].
macro_rules! object {
    ($($key:literal: $value:expr),* $(,)?) => {{
        let mut map = $crate::sink::json::Map::new();
        $(map.insert($key, $value.into());)*
        map
    }};
}

pub(super) use object;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_written() {
        let other = serde_json::Map::from_iter([("k".to_owned(), serde_json::Value::Null)]);
        let map = object! {
            "b": true, "a": 1_u32, "i": -1_i64, "t": "x\"\n", "n": None::<u32>, "l": vec!["p", "q"],
            "o": object! { "z": 2_u64 }, "s": Value::Other(&other),
        };
        let text = serde_json::to_string(&map).expect("memory");
        assert_eq!(
            text,
            r#"{"b":true,"a":1,"i":-1,"t":"x\"\n","n":null,"l":["p","q"],"o":{"z":2},"s":{"k":null}}"#
        );
    }
}
