//! What a rule may ask of an event: values of fields, without allocation.

use super::field::Field;

/// The value of a single-valued field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// This event has none. Every comparison with it is false, `!=` included.
    Missing,
    /// For fields of type `bool`.
    Bool(bool),
    /// For fields of type `number`; durations in nanoseconds.
    Number(i64),
    /// For fields of type `text`.
    Text(&'a [u8]),
}

/// The `[index]` or `[key]` of a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A number.
    Index(u32),
    /// A name.
    Name(Box<str>),
}

/// One event, as rules see it.
pub trait Facts {
    /// The value of a single-valued field.
    fn get(&self, field: Field, key: Option<&Key>) -> Value<'_>;

    /// Calls `visit` with each element of a list-valued field until it returns true; returns whether it did.
    fn any(&self, field: Field, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}
