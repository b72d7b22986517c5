//! What functions make of values: Falco's transformers, and comparisons of fields with each other.
//!
//! Texts are made in buffers that each thread keeps, so that evaluation asks for no memory once it has run for a while.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::io::Write;

use base64::Engine;

use super::facts::{Facts, Key, Value};
use super::field::{Field, FieldType};
use super::matcher::Mismatch;
use super::parser::{Function, Operator, Term};
use super::program::Matcher;

/// A comparison of what is made of fields.
#[derive(Clone, Debug)]
pub struct MadeTest {
    /// What is compared.
    pub subject: Made,
    /// With what.
    pub comparison: Comparison,
}

/// With what something is compared.
#[derive(Clone, Debug)]
pub enum Comparison {
    /// With values of the rule.
    With(Matcher),
    /// With what is made of fields.
    Other(Made, Relation),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// By their order: whether less, equal or greater holds.
    Order(bool, bool, bool),
    /// The first has the other within.
    Contains,
    /// The first begins with the other.
    StartsWith,
    /// The first ends with the other.
    EndsWith,
}

/// What has a value for each event.
#[derive(Clone, Debug)]
pub enum Made {
    /// A field, its key, and whether it is a list.
    Field(Field, Option<Key>, bool),
    /// A constant.
    Text(Box<[u8]>),
    /// In small letters (ASCII).
    Lower(Box<Made>),
    /// In capital letters (ASCII).
    Upper(Box<Made>),
    /// What base64 stands for; missing if it is none.
    Base64(Box<Made>),
    /// What stands behind the last slash.
    BaseName(Box<Made>),
    /// Bytes of a text, or elements of a list.
    Length(Box<Made>),
    /// All of them, with a text between each two.
    Join(Box<[u8]>, Box<[Made]>),
}

impl Made {
    /// What a function makes of arguments, whose number was checked.
    ///
    /// # Errors
    /// If an argument is not of the kind that the function takes.
    pub fn call(function: Function, mut arguments: Vec<Self>) -> Result<Self, String> {
        if matches!(function, Function::Join | Function::Concatenate) {
            let separator = match (function, arguments.first()) {
                (Function::Join, Some(Self::Text(text))) => {
                    let text = text.clone();
                    arguments.remove(0);
                    text
                }
                (Function::Join, _) => return Err("`join` takes a text in quotes first".to_owned()),
                _ => Box::default(),
            };
            return Ok(Self::Join(separator, arguments.into()));
        }
        let Some(first) = arguments.pop() else { return Err("an argument is missing".to_owned()) };
        if let Self::Text(_) = first {
            return Err(format!("`{}` takes a field, not a text", function.name()));
        }
        let first = Box::new(first);
        Ok(match function {
            Function::Value => *first,
            Function::Lower => Self::Lower(first),
            Function::Upper => Self::Upper(first),
            Function::Base64 => Self::Base64(first),
            Function::BaseName => Self::BaseName(first),
            Function::Length | Function::Join | Function::Concatenate => Self::Length(first),
        })
    }

    /// The type of its value.
    pub fn field_type(&self) -> FieldType {
        match self {
            Self::Field(_, _, true) => FieldType::List,
            Self::Field(field, ..) => match field.field_type() {
                FieldType::Network => FieldType::Text,
                kind => kind,
            },
            Self::Length(_) => FieldType::Number,
            Self::Text(_) | Self::Join(..) => FieldType::Text,
            Self::Lower(inner) | Self::Upper(inner) | Self::Base64(inner) | Self::BaseName(inner) => {
                if inner.field_type() == FieldType::List { FieldType::List } else { FieldType::Text }
            }
        }
    }

    fn asks_for(&self, field: Field) -> bool {
        match self {
            Self::Field(known, ..) => *known == field,
            Self::Text(_) => false,
            Self::Join(_, parts) => parts.iter().any(|part| part.asks_for(field)),
            Self::Lower(inner)
            | Self::Upper(inner)
            | Self::Base64(inner)
            | Self::BaseName(inner)
            | Self::Length(inner) => inner.asks_for(field),
        }
    }

    /// Calls `visit` with each value, as texts, until it returns true; gives whether it did. A missing value is none.
    fn each(&self, facts: &dyn Facts, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        match self {
            Self::Field(field, _, true) => facts.any(*field, visit),
            Self::Field(field, key, false) => match facts.get(*field, key.as_ref()) {
                Value::Missing => false,
                Value::Bool(value) => visit(if value { b"true" } else { b"false" }),
                Value::Text(text) => visit(text),
                Value::Number(number) => with_buffer(|buffer| {
                    // Writing to a Vec cannot fail.
                    let _ = write!(buffer, "{number}");
                    visit(buffer)
                }),
            },
            Self::Text(text) => visit(text),
            Self::Lower(inner) => {
                inner.each(facts, &mut |text| changed(text, visit, <[u8]>::make_ascii_lowercase))
            }
            Self::Upper(inner) => {
                inner.each(facts, &mut |text| changed(text, visit, <[u8]>::make_ascii_uppercase))
            }
            Self::BaseName(inner) => inner.each(facts, &mut |text| visit(crate::attribute::base_name(text))),
            Self::Base64(inner) => inner.each(facts, &mut |text| {
                with_buffer(|buffer| {
                    buffer.resize(base64::decoded_len_estimate(text.len()), 0);
                    let engine = base64::engine::general_purpose::STANDARD;
                    match engine.decode_slice(text, buffer) {
                        Ok(length) => visit(&buffer[..length]),
                        Err(_) => false,
                    }
                })
            }),
            Self::Length(_) => match self.number(facts) {
                Some(number) => with_buffer(|buffer| {
                    // Writing to a Vec cannot fail.
                    let _ = write!(buffer, "{number}");
                    visit(buffer)
                }),
                None => false,
            },
            Self::Join(separator, parts) => with_buffer(|buffer| {
                let mut is_first = true;
                for part in parts {
                    part.each(facts, &mut |text| {
                        if !std::mem::take(&mut is_first) {
                            buffer.extend_from_slice(separator);
                        }
                        buffer.extend_from_slice(text);
                        false
                    });
                }
                visit(buffer)
            }),
        }
    }

    /// Its value as a number, if it is one.
    fn number(&self, facts: &dyn Facts) -> Option<i64> {
        match self {
            Self::Field(field, key, false) => match facts.get(*field, key.as_ref()) {
                Value::Number(number) => Some(number),
                _ => None,
            },
            Self::Length(inner) => {
                let is_list = inner.field_type() == FieldType::List;
                let (mut count, mut bytes) = (0, None);
                inner.each(facts, &mut |text| {
                    count += 1;
                    bytes = Some(text.len() as i64);
                    false
                });
                if is_list { Some(count) } else { bytes }
            }
            _ => None,
        }
    }
}

impl MadeTest {
    /// Whether the comparison holds for an event. Of lists it holds if it does for any element; `!=` if there is one and
    /// none is equal.
    pub fn holds(&self, facts: &dyn Facts) -> bool {
        match &self.comparison {
            Comparison::With(Matcher::Exists) => self.subject.each(facts, &mut |_| true),
            Comparison::With(Matcher::Text(text)) => {
                self.subject.each(facts, &mut |value| text.matches(value))
            }
            Comparison::With(Matcher::NotText(text)) => {
                self.subject.each(facts, &mut |_| true)
                    && !self.subject.each(facts, &mut |value| text.matches(value))
            }
            Comparison::With(matcher @ Matcher::Bool(_)) => match &self.subject {
                Made::Field(field, key, _) => matcher.accepts(facts.get(*field, key.as_ref())),
                _ => false,
            },
            Comparison::With(matcher) => {
                self.subject.number(facts).is_some_and(|number| matcher.accepts(Value::Number(number)))
            }
            Comparison::Other(other, Relation::Order(false, false, true)) => {
                self.ordered(other, facts, |order| order.is_gt())
            }
            Comparison::Other(other, Relation::Order(true, false, true)) => {
                let both = self.subject.each(facts, &mut |_| true) && other.each(facts, &mut |_| true);
                both && !self.ordered(other, facts, Ordering::is_eq)
            }
            Comparison::Other(other, Relation::Order(less, equal, greater)) => {
                let (less, equal, greater) = (*less, *equal, *greater);
                self.ordered(other, facts, |order| match order {
                    Ordering::Less => less,
                    Ordering::Equal => equal,
                    Ordering::Greater => greater,
                })
            }
            Comparison::Other(other, relation) => {
                let holds: fn(&[u8], &[u8]) -> bool = match relation {
                    Relation::StartsWith => |one, other| one.starts_with(other),
                    Relation::EndsWith => |one, other| one.ends_with(other),
                    _ => |one, other| memchr::memmem::find(one, other).is_some(),
                };
                self.subject.each(facts, &mut |one| other.each(facts, &mut |other| holds(one, other)))
            }
        }
    }

    /// Whether it is about a field.
    pub fn asks_for(&self, field: Field) -> bool {
        let other = match &self.comparison {
            Comparison::Other(other, _) => other.asks_for(field),
            Comparison::With(_) => false,
        };
        other || self.subject.asks_for(field)
    }

    /// Whether any pair of values has an order: numbers as numbers, all else as texts.
    fn ordered(&self, other: &Made, facts: &dyn Facts, wanted: impl Fn(Ordering) -> bool) -> bool {
        let numbers = [&self.subject, other].map(|made| made.field_type() == FieldType::Number);
        if numbers == [true, true] {
            let (one, other) = (self.subject.number(facts), other.number(facts));
            return one.zip(other).is_some_and(|(one, other)| wanted(one.cmp(&other)));
        }
        self.subject.each(facts, &mut |one| other.each(facts, &mut |other| wanted(one.cmp(other))))
    }
}

/// How an operator compares two values.
///
/// # Errors
/// If it compares with values of the rule only.
pub fn relation(operator: Operator) -> Result<Relation, Mismatch> {
    Ok(match operator {
        Operator::Equal | Operator::In | Operator::Intersects => Relation::Order(false, true, false),
        Operator::NotEqual => Relation::Order(true, false, true),
        Operator::Less => Relation::Order(true, false, false),
        Operator::LessEqual => Relation::Order(true, true, false),
        Operator::Greater => Relation::Order(false, false, true),
        Operator::GreaterEqual => Relation::Order(false, true, true),
        Operator::Contains => Relation::Contains,
        Operator::StartsWith => Relation::StartsWith,
        Operator::EndsWith => Relation::EndsWith,
        _ => return Err(Mismatch::Operator),
    })
}

/// A term as messages show it.
pub fn shown(term: &Term) -> String {
    match term {
        Term::Field(name, _) => name.clone(),
        Term::Text(text, _) => format!("'{text}'"),
        Term::Call(function, ..) => format!("{}(...)", function.name()),
    }
}

fn changed(text: &[u8], visit: &mut dyn FnMut(&[u8]) -> bool, change: fn(&mut [u8])) -> bool {
    with_buffer(|buffer| {
        buffer.extend_from_slice(text);
        change(buffer);
        visit(buffer)
    })
}

/// Lends a buffer that keeps its memory; functions within functions get different ones.
fn with_buffer(work: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
    thread_local! {
        static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    }
    let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
    buffer.clear();
    let result = work(&mut buffer);
    BUFFERS.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}
