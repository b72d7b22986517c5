//! Output templates: `%field`, `%field[key]`, `*%field` (as `%field`), `%%`. A field without a value shows as `<NA>`.

use std::fmt::Write;

use super::compile::{Resolved, resolve};
use super::error::Level;
use super::facts::{Facts, Key, Value};
use super::field::{Field, FieldType};
use crate::text::printable;

/// Shown where an event has no value.
pub const MISSING: &str = "<NA>";
/// Bytes shown of one value.
const VALUE_MAX: usize = 1024;

/// A template, parsed.
#[derive(Debug)]
pub struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    Field(Field, Option<Key>, bool),
}

/// A place in a template that names no field, or one without a value for any event.
#[derive(Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// How bad it is.
    pub level: Level,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
    /// First character.
    pub start: usize,
    /// One behind the last.
    pub end: usize,
}

impl Template {
    /// Parses a template; gives it with what is worth a warning.
    ///
    /// # Errors
    /// If a field does not exist: all messages.
    pub fn parse(text: &str) -> Result<(Self, Vec<TemplateError>), Vec<TemplateError>> {
        let characters: Vec<char> = text.trim_end().chars().collect();
        let (mut parts, mut errors, mut plain) = (Vec::new(), Vec::new(), String::new());
        let mut at = 0;
        while let Some(&character) = characters.get(at) {
            if character != '%' {
                plain.push(character);
                at += 1;
                continue;
            }
            if characters.get(at + 1) == Some(&'%') {
                plain.push('%');
                at += 2;
                continue;
            }
            let end = name_end(&characters, at + 1);
            let name: String = characters[at + 1..end].iter().collect();
            let message = |level, message, help| {
                let (start, end) = (at, end.max(at + 1));
                TemplateError { level, message, help, start, end }
            };
            match resolve(&name) {
                Ok(Resolved::Unfilled(reason)) => {
                    errors.push(message(
                        Level::Warning,
                        format!("no event here fills `{name}`: {reason}"),
                        None,
                    ));
                    plain.push_str(MISSING);
                }
                Ok(Resolved::Field(field, key, list)) => {
                    // Falco's `*%field` asks for the line also where the field has no value, which is always so here.
                    if plain.ends_with('*') {
                        plain.pop();
                    }
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(Part::Field(field, key, list));
                }
                Err((wrong, help)) => errors.push(message(Level::Error, wrong, help)),
            }
            at = end.max(at + 1);
        }
        parts.push(Part::Text(plain));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        let is_wrong = errors.iter().any(|error| error.level == Level::Error);
        if is_wrong { Err(errors) } else { Ok((Self(parts), errors)) }
    }

    /// The text for an event. Values are escaped, so that none can forge a line or steer a terminal.
    pub fn render(&self, facts: &dyn Facts) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Field(field, key, list) => text.push_str(&value(facts, *field, key.as_ref(), *list)),
            }
        }
        text
    }

    /// The fields it shows, with their keys and whether they are lists.
    pub fn fields(&self) -> impl Iterator<Item = (Field, Option<&Key>, bool)> {
        self.0.iter().filter_map(|part| match part {
            Part::Field(field, key, list) => Some((*field, key.as_ref(), *list)),
            Part::Text(_) => None,
        })
    }
}

/// Letters, digits, `.`, `_`, and one `[...]`. A dot at the end belongs to the sentence.
fn name_end(characters: &[char], start: usize) -> usize {
    let mut at = start;
    while characters.get(at).is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_')) {
        at += 1;
    }
    while at > start && characters[at - 1] == '.' {
        at -= 1;
    }
    if characters.get(at) == Some(&'[')
        && let Some(length) = characters[at..].iter().position(|&c| c == ']')
    {
        return at + length + 1;
    }
    at
}

/// One value as text.
pub fn value(facts: &dyn Facts, field: Field, key: Option<&Key>, list: bool) -> String {
    // An event has several names; the first one is shown.
    if (list || field.field_type() == FieldType::List) && field != Field::EvtType {
        let (mut texts, mut length) = (Vec::<String>::new(), 0);
        facts.any(field, &mut |element| {
            let text = shown(element);
            // A pipe may have had the same program at its other end many times.
            if !text.is_empty() && !texts.contains(&text) {
                length += text.len();
                texts.push(text);
            }
            length > VALUE_MAX
        });
        return if texts.is_empty() { MISSING.to_owned() } else { texts.join(",") };
    }
    match facts.get(field, key) {
        Value::Missing => MISSING.to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::Text(text) => shown(text),
    }
}

fn shown(text: &[u8]) -> String {
    if text.len() <= VALUE_MAX {
        return printable(text).into_owned();
    }
    let mut short = printable(&text[..VALUE_MAX]).into_owned();
    // Writing to a String cannot fail.
    let _ = write!(short, "...({} bytes)", text.len());
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One(&'static [u8]);

    impl Facts for One {
        fn get(&self, field: Field, _: Option<&Key>) -> Value<'_> {
            match field {
                Field::ProcName => Value::Text(self.0),
                Field::ProcPid => Value::Number(7),
                _ => Value::Missing,
            }
        }

        fn any(&self, field: Field, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
            field == Field::ProcNames && (visit(b"a") || visit(b"b"))
        }
    }

    #[test]
    fn values_are_put_in_and_escaped() {
        let template =
            Template::parse("100%% %proc.name (%proc.pid) in %proc.names, *%user.uid %proc.env[A].")
                .expect("valid")
                .0;
        assert_eq!(template.render(&One(b"x\ny")), "100% x\\ny (7) in a,b, <NA> <NA>.");
        assert_eq!(template.fields().count(), 5);
    }

    #[test]
    fn long_values_are_cut() {
        static LONG: [u8; 5000] = [b'a'; 5000];
        let text = Template::parse("%proc.name").expect("valid").0.render(&One(&LONG));
        assert!(text.len() < 1100 && text.ends_with("...(5000 bytes)"));
    }

    #[test]
    fn unknown_fields_have_their_place() {
        let errors = Template::parse("a %proc.nam b %x").expect_err("two");
        assert_eq!((errors[0].start, errors[0].end), (2, 11));
        assert_eq!(errors[0].help.as_deref(), Some("did you mean `proc.name`?"));
        assert_eq!(errors[1].message, "unknown field `x`");
    }
}
