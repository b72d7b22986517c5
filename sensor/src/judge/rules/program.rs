//! Compiled conditions: what runs for every event. Evaluation neither allocates nor panics.

use std::cmp::Ordering;
use std::sync::Arc;

use regex::bytes::Regex;

use super::compile::series;
use super::facts::{Facts, Key, Value};
use super::field::Field;
use super::function::MadeTest;
use super::matcher::address_number;
use super::shared::Question;

/// A compiled condition.
#[derive(Clone, Debug)]
pub enum Program {
    /// Known when loading.
    Constant(bool),
    /// All hold.
    And(Box<[Program]>),
    /// One holds.
    Or(Box<[Program]>),
    /// The other does not hold.
    Not(Box<Program>),
    /// A comparison.
    Test(Test),
    /// A comparison of what functions make of fields.
    Made(Box<MadeTest>),
}

/// A compiled comparison.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its number among the comparisons of the set of rules; equal ones have the same.
    pub number: u32,
    /// The field.
    pub field: Field,
    /// Its index.
    pub key: Option<Key>,
    /// Whether its value is a list.
    pub list: bool,
    /// What it is compared with.
    pub matcher: Matcher,
}

/// What a value is compared with.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// It is there.
    Exists,
    /// Equal to a boolean.
    Bool(bool),
    /// A number compared; true if the order is one of the three.
    Number {
        /// The other number.
        other: i64,
        /// Holds if less.
        less: bool,
        /// Holds if equal.
        equal: bool,
        /// Holds if greater.
        greater: bool,
    },
    /// One of some numbers, sorted.
    NumberIn(Box<[i64]>),
    /// A text compared.
    Text(TextMatcher),
    /// A text that is there and does not match.
    NotText(TextMatcher),
}

/// What a text is compared with.
#[derive(Clone, Debug)]
pub enum TextMatcher {
    /// Equal.
    Equal(Box<[u8]>),
    /// One of some texts.
    In(Arc<foldhash::HashSet<Box<[u8]>>>),
    /// Has this within.
    Contains(Box<memchr::memmem::Finder<'static>>),
    /// Begins with this.
    StartsWith(Box<[u8]>),
    /// Ends with this.
    EndsWith(Box<[u8]>),
    /// Matches a pattern as a whole.
    Pattern(Box<Regex>),
    /// Is one of these paths or lies below it.
    Below(Box<[Box<[u8]>]>),
    /// Is an address within one of these networks: numbers and masks of 128 bits, IPv4 mapped into IPv6.
    Network(Box<[(u128, u128)]>),
}

impl Program {
    /// Whether the condition holds for an event.
    pub fn holds(&self, question: Question<'_>) -> bool {
        match self {
            Self::Constant(value) => *value,
            Self::And(parts) => parts.iter().all(|part| part.holds(question)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(question)),
            Self::Not(inner) => !inner.holds(question),
            Self::Test(test) => question.answer(test.number, || test.holds(question.facts)),
            Self::Made(test) => test.holds(question.facts),
        }
    }

    /// The same condition where some comparisons are known: what they decide is gone.
    pub fn assuming(&self, known: &dyn Fn(&Test) -> Option<bool>) -> Self {
        let all = |parts: &[Self]| parts.iter().map(|part| part.assuming(known)).collect();
        match self {
            Self::Constant(value) => Self::Constant(*value),
            Self::And(parts) => series(all(parts), true),
            Self::Or(parts) => series(all(parts), false),
            Self::Not(inner) => match inner.assuming(known) {
                Self::Constant(value) => Self::Constant(!value),
                inner => Self::Not(Box::new(inner)),
            },
            Self::Test(test) => known(test).map_or_else(|| Self::Test(test.clone()), Self::Constant),
            Self::Made(test) => Self::Made(test.clone()),
        }
    }

    /// Whether a comparison in it is about a field.
    pub fn asks_for(&self, field: Field) -> bool {
        match self {
            Self::Constant(_) => false,
            Self::And(parts) | Self::Or(parts) => parts.iter().any(|part| part.asks_for(field)),
            Self::Not(inner) => inner.asks_for(field),
            Self::Test(test) => test.field == field,
            Self::Made(test) => test.asks_for(field),
        }
    }

    /// Rough cost of an evaluation, for the order of parts: cheap ones first.
    pub fn cost(&self) -> u32 {
        match self {
            Self::Constant(_) => 0,
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::cost).sum(),
            Self::Not(inner) => inner.cost(),
            Self::Test(test) => test.cost(),
            Self::Made(_) => 100,
        }
    }
}

impl Test {
    fn cost(&self) -> u32 {
        let matcher = match &self.matcher {
            Matcher::Exists | Matcher::Bool(_) | Matcher::Number { .. } | Matcher::NumberIn(_) => 1,
            Matcher::Text(text) | Matcher::NotText(text) => match text {
                TextMatcher::Equal(_) | TextMatcher::StartsWith(_) | TextMatcher::EndsWith(_) => 2,
                TextMatcher::In(_) => 4,
                TextMatcher::Below(paths) => 2 + paths.len() as u32,
                TextMatcher::Contains(_) | TextMatcher::Network(_) => 10,
                TextMatcher::Pattern(_) => 50,
            },
        };
        if self.list { matcher * 4 } else { matcher }
    }

    fn holds(&self, facts: &dyn Facts) -> bool {
        if self.list {
            return self.holds_for_list(facts);
        }
        self.accepts(facts.get(self.field, self.key.as_ref()))
    }

    /// Whether the comparison holds for a single value.
    pub fn accepts(&self, value: Value<'_>) -> bool {
        self.matcher.accepts(value)
    }

    /// An operator holds for a list if it holds for any element; `!=` if there is one and none is equal.
    fn holds_for_list(&self, facts: &dyn Facts) -> bool {
        match &self.matcher {
            Matcher::Exists => facts.any(self.field, &mut |_| true),
            Matcher::Text(matcher) => facts.any(self.field, &mut |text| matcher.matches(text)),
            Matcher::NotText(matcher) => {
                facts.any(self.field, &mut |_| true)
                    && !facts.any(self.field, &mut |text| matcher.matches(text))
            }
            Matcher::Bool(_) | Matcher::Number { .. } | Matcher::NumberIn(_) => false,
        }
    }
}

impl Matcher {
    /// Whether the comparison holds for a single value.
    pub fn accepts(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (_, Value::Missing) => false,
            (Self::Exists, _) => true,
            (Self::Bool(wanted), Value::Bool(value)) => *wanted == value,
            (Self::Number { other, less, equal, greater }, Value::Number(value)) => match value.cmp(other) {
                Ordering::Less => *less,
                Ordering::Equal => *equal,
                Ordering::Greater => *greater,
            },
            (Self::NumberIn(numbers), Value::Number(value)) => numbers.binary_search(&value).is_ok(),
            (Self::Text(matcher), Value::Text(value)) => matcher.matches(value),
            (Self::NotText(matcher), Value::Text(value)) => !matcher.matches(value),
            _ => false,
        }
    }
}

impl TextMatcher {
    /// Whether a text matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Equal(other) => **other == *text,
            Self::In(set) => set.contains(text),
            Self::Contains(finder) => finder.find(text).is_some(),
            Self::StartsWith(prefix) => text.starts_with(prefix),
            Self::EndsWith(suffix) => text.ends_with(suffix),
            Self::Pattern(pattern) => pattern.is_match(text),
            Self::Below(paths) => paths.iter().any(|path| is_below(text, path)),
            Self::Network(networks) => is_within(text, networks),
        }
    }
}

fn is_within(text: &[u8], networks: &[(u128, u128)]) -> bool {
    let address = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    address
        .map(address_number)
        .is_some_and(|number| networks.iter().any(|(value, mask)| number & mask == *value))
}

fn is_below(text: &[u8], path: &[u8]) -> bool {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    text.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_by_their_parts() {
        assert!(is_below(b"/etc/passwd", b"/etc"));
        assert!(is_below(b"/etc", b"/etc/"));
        assert!(!is_below(b"/etcetera", b"/etc"));
        assert!(is_below(b"/anything", b"/"));
    }
}
