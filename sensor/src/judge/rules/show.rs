//! Compiled conditions as text: what is really asked, with macros, lists and exceptions put in and cheap parts first.

use std::fmt::{self, Display, Formatter};

use super::facts::Key;
use super::function::{Comparison, Made, MadeTest, Relation};
use super::program::{Matcher, Program, Test, TextMatcher};
use crate::text::printable;

/// Values of a list that are shown.
const SHOWN: usize = 16;

impl Display for Program {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(true) => write!(formatter, "always_true"),
            Self::Constant(false) => write!(formatter, "never_true"),
            Self::And(parts) => series(formatter, parts, "and"),
            Self::Or(parts) => series(formatter, parts, "or"),
            Self::Not(inner) => write!(formatter, "not {inner}"),
            Self::Test(test) => write!(formatter, "{test}"),
            Self::Made(test) => write!(formatter, "{test}"),
        }
    }
}

fn series(formatter: &mut Formatter<'_>, parts: &[Program], word: &str) -> fmt::Result {
    write!(formatter, "(")?;
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            write!(formatter, " {word} ")?;
        }
        write!(formatter, "{part}")?;
    }
    write!(formatter, ")")
}

impl Display for Test {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.field.name())?;
        key(formatter, self.key.as_ref())?;
        write!(formatter, " {}", self.matcher)
    }
}

fn key(formatter: &mut Formatter<'_>, key: Option<&Key>) -> fmt::Result {
    match key {
        None => Ok(()),
        Some(Key::Index(index)) => write!(formatter, "[{index}]"),
        Some(Key::Name(name)) => write!(formatter, "[{name}]"),
    }
}

impl Display for Matcher {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => write!(formatter, "exists"),
            Self::Bool(value) => write!(formatter, "= {value}"),
            Self::Number { other, less, equal, greater } => {
                write!(formatter, "{} {other}", order(*less, *equal, *greater))
            }
            Self::NumberIn(numbers) => {
                list(formatter, "in", numbers.iter().map(ToString::to_string), numbers.len())
            }
            Self::Text(text) => text.show(formatter, false),
            Self::NotText(text) => text.show(formatter, true),
        }
    }
}

fn order(less: bool, equal: bool, greater: bool) -> &'static str {
    match (less, equal, greater) {
        (true, false, false) => "<",
        (true, true, false) => "<=",
        (false, false, true) => ">",
        (false, true, true) => ">=",
        (true, false, true) => "!=",
        _ => "=",
    }
}

impl TextMatcher {
    fn show(&self, formatter: &mut Formatter<'_>, is_not: bool) -> fmt::Result {
        let one = |formatter: &mut Formatter<'_>, operator: &str, text: &[u8]| {
            write!(formatter, "{operator} {}", quoted(text))
        };
        match self {
            Self::Equal(text) => one(formatter, if is_not { "!=" } else { "=" }, text),
            Self::In(set) => {
                let mut values: Vec<&[u8]> = set.iter().map(|value| &**value).collect();
                values.sort_unstable();
                list(formatter, "in", values.iter().map(|value| quoted(value)), values.len())
            }
            Self::Contains(finder) => one(formatter, "contains", finder.needle()),
            Self::StartsWith(text) => one(formatter, "startswith", text),
            Self::EndsWith(text) => one(formatter, "endswith", text),
            Self::Pattern(pattern) => one(formatter, "regex", pattern.as_str().as_bytes()),
            Self::Below(paths) => {
                list(formatter, "pmatch", paths.iter().map(|path| quoted(path)), paths.len())
            }
            Self::Network(networks) => {
                let shown = |(value, mask): &(u128, u128)| {
                    let (address, bits) = (std::net::Ipv6Addr::from(*value), mask.count_ones());
                    match address.to_ipv4_mapped() {
                        Some(address) if bits >= 96 => format!("{address}/{}", bits - 96),
                        _ => format!("{address}/{bits}"),
                    }
                };
                let operator = if is_not { "!= any of" } else { "in" };
                list(formatter, operator, networks.iter().map(shown), networks.len())
            }
        }
    }
}

fn list(
    formatter: &mut Formatter<'_>,
    operator: &str,
    values: impl Iterator<Item = String>,
    count: usize,
) -> fmt::Result {
    let shown: Vec<String> = values.take(SHOWN).collect();
    let more = if count > SHOWN { format!(", and {} more", count - SHOWN) } else { String::new() };
    write!(formatter, "{operator} ({}{more})", shown.join(", "))
}

/// A text as it may be written, in quotes if it must be.
fn quoted(text: &[u8]) -> String {
    let shown = printable(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-*?:+@%".contains(c);
    if !shown.is_empty() && shown.chars().all(is_plain) { shown.into_owned() } else { format!("'{shown}'") }
}

impl Display for MadeTest {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ", self.subject)?;
        match &self.comparison {
            Comparison::With(matcher) => write!(formatter, "{matcher}"),
            Comparison::Other(other, relation) => {
                let operator = match relation {
                    Relation::Order(less, equal, greater) => order(*less, *equal, *greater),
                    Relation::Contains => "contains",
                    Relation::StartsWith => "startswith",
                    Relation::EndsWith => "endswith",
                };
                write!(formatter, "{operator} val({other})")
            }
        }
    }
}

impl Display for Made {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field, index, _) => {
                write!(formatter, "{}", field.name())?;
                key(formatter, index.as_ref())
            }
            Self::Text(text) => write!(formatter, "{}", quoted(text)),
            Self::Lower(inner) => write!(formatter, "tolower({inner})"),
            Self::Upper(inner) => write!(formatter, "toupper({inner})"),
            Self::Base64(inner) => write!(formatter, "b64({inner})"),
            Self::BaseName(inner) => write!(formatter, "basename({inner})"),
            Self::Length(inner) => write!(formatter, "len({inner})"),
            Self::Join(separator, parts) => {
                write!(formatter, "join('{}'", printable(separator))?;
                parts.iter().try_for_each(|part| write!(formatter, ", {part}"))?;
                write!(formatter, ")")
            }
        }
    }
}
