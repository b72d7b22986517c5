//! Unit tests of rules: events given by their fields, and the rules that must speak of them.
//!
//! ```yaml
//! - case: A shell in a container
//!   event: execve
//!   fields: {container.id: abc, proc.name: sh, proc.names: [sh, dash]}
//!   expect: [Shell in a container]
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Facts, Field, FieldType, Key, Matches, RuleSet, Value, event_types};
use crate::event::EventKind;

/// Cases in one file.
const CASES_MAX: usize = 100_000;

/// One case as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is about.
    pub case: String,
    /// A name that `evt.type` takes.
    pub event: String,
    /// Fields with their values.
    #[serde(default)]
    pub fields: BTreeMap<String, Given>,
    /// Names or ids of all rules that must speak, and no others.
    #[serde(default)]
    pub expect: Vec<String>,
}

/// Values of a field as written.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Given {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// Why a file of cases cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It is not what it should be.
    #[error("{0}")]
    Yaml(String),
    /// There are too many.
    #[error("{0} cases, at most {CASES_MAX} are judged")]
    TooMany(usize),
    /// A case names what does not exist, or a value that does not fit.
    #[error("case `{case}`: {message}")]
    Wrong {
        /// Its name.
        case: String,
        /// What is wrong.
        message: String,
    },
}

/// What came of a case.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its name.
    pub case: String,
    /// Rules that should have spoken and did not.
    pub missing: Vec<String>,
    /// Rules that spoke and should not have.
    pub unexpected: Vec<String>,
}

impl Outcome {
    /// Whether all was as expected.
    pub fn is_good(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty()
    }
}

/// Judges the cases of a file by the rules.
///
/// # Errors
/// If the file is not one of cases, or a case names a field or event that does not exist.
pub fn run(set: &RuleSet, text: &str) -> Result<Vec<Outcome>, CaseError> {
    let cases: Vec<Case> =
        serde_saphyr::from_str(text).map_err(|error| CaseError::Yaml(error.to_string()))?;
    if cases.len() > CASES_MAX {
        return Err(CaseError::TooMany(cases.len()));
    }
    let mut matches = Matches::default();
    cases.into_iter().map(|case| judge(set, case, &mut matches)).collect()
}

fn judge(set: &RuleSet, case: Case, matches: &mut Matches) -> Result<Outcome, CaseError> {
    let wrong = |message: String| CaseError::Wrong { case: case.case.clone(), message };
    let kind =
        EventKind::ALL.into_iter().find(|kind| event_types::names(*kind).any(|name| name == case.event));
    let kind = kind.ok_or_else(|| wrong(format!("no event has the name `{}`", case.event)))?;
    let mut given = GivenFacts { event: case.event.clone(), kind, values: BTreeMap::new() };
    for (name, value) in &case.fields {
        let plain = name.split('[').next().unwrap_or(name);
        let plain = if plain.starts_with("evt.arg.") { "evt.arg" } else { plain };
        let field =
            Field::by_name(plain).ok_or_else(|| wrong(format!("no event here has a field `{name}`")))?;
        let fits = match (value, field.field_type()) {
            (Given::Bool(_), FieldType::Bool) | (Given::Number(_), FieldType::Number) => true,
            // A text of digits is a number for YAML.
            (Given::Text(_) | Given::Number(_), FieldType::Text | FieldType::List | FieldType::Network) => {
                true
            }
            (Given::List(_), FieldType::List | FieldType::Text) => true,
            _ => false,
        };
        if !fits {
            return Err(wrong(format!("`{name}` is a {}", field.field_type().name())));
        }
        let (values, number) = match value {
            Given::Bool(value) => (vec![value.to_string()], None),
            Given::Number(number) => (vec![number.to_string()], Some(*number)),
            Given::Text(text) => (vec![text.clone()], None),
            Given::List(texts) => (texts.clone(), None),
        };
        given.values.insert(name.clone(), (values, number));
    }
    set.judge(kind, &given, matches);
    let spoken: Vec<_> = matches.rules.iter().map(|&index| set.rule(index)).collect();
    let is_named = |wanted: &String| spoken.iter().any(|rule| rule.name == *wanted || rule.id == *wanted);
    let missing = case.expect.iter().filter(|wanted| !is_named(wanted)).cloned().collect();
    let unexpected = spoken
        .iter()
        .filter(|rule| !case.expect.iter().any(|wanted| *wanted == rule.name || *wanted == rule.id))
        .map(|rule| rule.name.clone())
        .collect();
    Ok(Outcome { case: case.case, missing, unexpected })
}

/// An event of a case.
struct GivenFacts {
    event: String,
    kind: EventKind,
    values: BTreeMap<String, (Vec<String>, Option<i64>)>,
}

impl GivenFacts {
    fn of(&self, field: Field, key: Option<&Key>) -> Option<&(Vec<String>, Option<i64>)> {
        match key {
            None => self.values.get(field.name()),
            Some(Key::Index(index)) => self.values.get(&format!("{}[{index}]", field.name())),
            Some(Key::Name(name)) => self
                .values
                .get(&format!("{}[{name}]", field.name()))
                .or_else(|| self.values.get(&format!("{}.{name}", field.name()))),
        }
    }
}

impl Facts for GivenFacts {
    fn get(&self, field: Field, key: Option<&Key>) -> Value<'_> {
        if field == Field::EvtType {
            return Value::Text(event_types::shown(self.kind).as_bytes());
        }
        let Some((values, number)) = self.of(field, key) else {
            // What is not said to be elsewhere is on the host, as an event says it itself.
            return if field == Field::ContainerId { Value::Text(b"host") } else { Value::Missing };
        };
        match (field.field_type(), values.first()) {
            (FieldType::Bool, Some(value)) => Value::Bool(value == "true"),
            (FieldType::Number, _) => number.map_or(Value::Missing, Value::Number),
            (_, Some(value)) => Value::Text(value.as_bytes()),
            (_, None) => Value::Missing,
        }
    }

    fn any(&self, field: Field, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        if field == Field::EvtType {
            // Of an event whose names depend on what was done, the case says what that was.
            return event_types::names_with(self.kind, &self.event).any(|name| visit(name.as_bytes()));
        }
        self.of(field, None).is_some_and(|(values, _)| values.iter().any(|value| visit(value.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::rules::Source;

    const RULES: &str = "
- rule: Shell
  id: shell
  desc: d
  condition: evt.type in (execve, execveat) and container.id != host and proc.name in (sh, bash) and proc.pid > 1
  output: o
  priority: INFO
- rule: Link
  desc: d
  condition: evt.type = linkat and evt.arg.newpath startswith /etc and proc.aname[2] = cron
  output: o
  priority: INFO
";

    fn outcomes(cases: &str) -> Result<Vec<Outcome>, CaseError> {
        let source = Source { name: "r.yaml".into(), text: RULES.into() };
        let (set, messages) = RuleSet::load(vec![source]);
        assert!(messages.is_empty(), "{}", messages[0]);
        run(&set, cases)
    }

    #[test]
    fn cases_say_which_rules_speak() {
        let outcomes = outcomes(
            "
- case: a shell
  event: execve
  fields: {container.id: abc, proc.name: sh, proc.pid: 7}
  expect: [shell]
- case: on the host nobody cares
  event: execveat
  fields: {proc.name: sh, proc.pid: 7}
- case: a link
  event: link
  fields: {evt.arg.newpath: /etc/x, 'proc.aname[2]': cron}
  expect: [Link]
- case: a rename is no link
  event: rename
  fields: {evt.arg.newpath: /etc/x, 'proc.aname[2]': cron}
- case: the same by the other call
  event: linkat
  fields: {evt.arg.newpath: /etc/x, 'proc.aname[2]': cron}
  expect: [Shell]
",
        )
        .expect("valid");
        let bad: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.is_good()).collect();
        assert_eq!(bad.len(), 1);
        assert_eq!(
            (&bad[0].missing[..], &bad[0].unexpected[..]),
            (&["Shell".to_owned()][..], &["Link".to_owned()][..])
        );
    }

    #[test]
    fn wrong_cases_are_named() {
        for (case, message) in [
            ("- {case: x, event: exec}", "case `x`: no event has the name `exec`"),
            (
                "- {case: x, event: execve, fields: {proc.nam: a}}",
                "case `x`: no event here has a field `proc.nam`",
            ),
            ("- {case: x, event: execve, fields: {proc.pid: a}}", "case `x`: `proc.pid` is a number"),
        ] {
            assert_eq!(outcomes(case).expect_err("wrong").to_string(), message);
        }
        assert!(outcomes("a: b").is_err() && outcomes("- {case: x}").is_err());
    }
}
