//! Rules as written, and what later items change of them.

use std::collections::BTreeMap;

use super::change::{Change, How};
use super::exception::{Exception, combinations};
use super::{Entries, Loader, Text, take};
use crate::judge::rules::error::{Code, Place, RuleError};
use crate::judge::rules::parser::Operator;
use crate::judge::rules::yaml::{Node, Yaml};

/// A rule as written.
#[derive(Clone, Debug)]
pub struct RuleItem {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// Its condition.
    pub condition: Text,
    /// Its output.
    pub output: Text,
    /// What it is about.
    pub desc: String,
    /// All other keys with scalar or list values, by name.
    pub keys: BTreeMap<String, (Vec<String>, Place)>,
    /// For what it does not speak.
    pub exceptions: Vec<Exception>,
    /// Whether it is judged.
    pub enabled: bool,
    /// Whether it is left out, and not wrong, if it names an unknown field.
    pub skip_if_unknown: bool,
}

/// Keys with a text or a list of texts, ours behind Falco's.
const PLAIN_KEYS: [&str; 10] = [
    "priority",
    "tags",
    "source",
    "id",
    "severity",
    "stride",
    "attack",
    "ms_threat_matrix",
    "threat_source",
    "judge",
];
/// Keys that are appended to.
const APPENDABLE: [&str; 5] = ["condition", "output", "desc", "tags", "exceptions"];
/// Keys that are replaced, besides the plain ones.
const FURTHER_REPLACEABLE: [&str; 4] = ["enabled", "warn_evttypes", "skip-if-unknown-filter", "capture"];

impl Loader<'_> {
    /// A rule, or the change of one.
    pub(super) fn rule(&mut self, mut entries: Entries) {
        let replaceable: Vec<&str> = PLAIN_KEYS.into_iter().chain(FURTHER_REPLACEABLE).collect();
        let own = ["rule", "append", "override", "capture_duration"];
        let known: Vec<&str> = own.into_iter().chain(APPENDABLE).chain(replaceable.iter().copied()).collect();
        self.check_keys(&entries, &known);
        let Some((name, place)) = self.name(&mut entries, "rule") else { return };
        let Some(change) = self.change(&mut entries, &APPENDABLE, &replaceable) else { return };
        let condition = self.scalar(&mut entries, "condition");
        let output = self.scalar(&mut entries, "output");
        let known = self.items.rules.iter().position(|rule| rule.name == name);
        let mut rule = match (known, condition, output) {
            (None, ..) if change.is_any() => return self.not_there("rule", &name, place),
            (Some(known), condition, output) if change.is_any() => {
                let mut rule = self.items.rules[known].clone();
                merge(&mut rule.condition, condition, change.of("condition"));
                merge(&mut rule.output, output, change.of("output"));
                rule
            }
            (_, Some(condition), Some(output)) => RuleItem {
                name: name.clone(),
                place: place.clone(),
                condition,
                output,
                desc: String::new(),
                keys: BTreeMap::new(),
                exceptions: Vec::new(),
                enabled: true,
                skip_if_unknown: false,
            },
            // A rule that was defined before may be changed in single keys, above all switched off.
            (Some(known), condition, output) => {
                let mut rule = self.items.rules[known].clone();
                rule.condition = condition.unwrap_or(rule.condition);
                rule.output = output.unwrap_or(rule.output);
                rule
            }
            (None, condition, _) => {
                let missing = if condition.is_none() { "condition" } else { "output" };
                return self.error(Code::MissingKey, place, format!("rule `{name}` has no `{missing}`"));
            }
        };
        self.further_keys(&mut rule, &change, &mut entries);
        match known {
            Some(known) => self.items.rules[known] = rule,
            None => self.items.rules.push(rule),
        }
    }

    fn further_keys(&mut self, rule: &mut RuleItem, change: &Change, entries: &mut Entries) {
        if let Some(desc) = self.scalar(entries, "desc") {
            match change.of("desc") {
                Some(How::Append) => rule.desc = format!("{} {}", rule.desc.trim_end(), desc.text),
                _ => rule.desc = desc.text,
            }
        }
        rule.enabled = self.flag(entries, "enabled").unwrap_or(rule.enabled);
        rule.skip_if_unknown = self.flag(entries, "skip-if-unknown-filter").unwrap_or(rule.skip_if_unknown);
        for key in PLAIN_KEYS {
            let Some((key_place, node)) = take(entries, key) else { continue };
            let Some(values) = self.texts(&key_place, &node, key) else { continue };
            let place = node.place(self.source);
            match (change.of(key), rule.keys.get_mut(key)) {
                (Some(How::Append), Some((known, _))) => known.extend(values),
                _ => {
                    rule.keys.insert(key.to_owned(), (values, place));
                }
            }
        }
        if let Some((place, node)) = take(entries, "exceptions") {
            self.exceptions(rule, &place, &node, change.of("exceptions"));
        }
    }

    fn exceptions(&mut self, rule: &mut RuleItem, place: &Place, node: &Node, how: Option<How>) {
        let Yaml::Sequence(items) = &node.value else {
            return self.error(Code::BadValue, place.clone(), "`exceptions` takes a list");
        };
        if how != Some(How::Append) {
            rule.exceptions.clear();
        }
        for item in items {
            let Some(exception) = self.exception(rule, item) else { continue };
            match rule.exceptions.iter_mut().find(|known| known.name == exception.name) {
                Some(known) if exception.fields.is_empty() => known.extend(exception),
                Some(known) => {
                    let message = format!("exception `{}` stands twice", known.name);
                    let error = RuleError::new(Code::BadValue, exception.place, message);
                    self.errors.push(error.help("to add values, give its `name` and `values` only"));
                }
                None => rule.exceptions.push(exception),
            }
        }
    }

    fn exception(&mut self, rule: &RuleItem, node: &Node) -> Option<Exception> {
        let place = node.place(self.source);
        let Yaml::Mapping(pairs) = &node.value else {
            self.error(Code::BadValue, place, "an exception is a mapping with `name`, `fields` and `values`");
            return None;
        };
        let mut exception = Exception {
            name: String::new(),
            place,
            fields: Vec::new(),
            is_single: false,
            operators: Vec::new(),
            combinations: Vec::new(),
        };
        let mut values = None;
        for (key, value) in pairs {
            let (name, key_place) = (key.text().unwrap_or(""), key.place(self.source));
            match name {
                "name" => {
                    exception.name = value.text().unwrap_or("").to_owned();
                    exception.place = value.place(self.source);
                }
                "fields" => {
                    exception.is_single = value.text().is_some();
                    exception.fields = self.placed(&key_place, value, "fields")?;
                }
                "comps" => exception.operators = self.operators(&key_place, value)?,
                "values" => values = Some(value),
                _ => {
                    let message = format!("unknown key `{name}`");
                    let error = RuleError::new(Code::UnknownKey, key_place, message);
                    self.errors.push(error.suggest(name, ["name", "fields", "comps", "values"]));
                }
            }
        }
        if exception.name.is_empty() {
            self.error(Code::MissingKey, exception.place, "an exception needs a `name`");
            return None;
        }
        // Values that are added are written as those of the exception that they are added to.
        let earlier = rule.exceptions.iter().find(|known| known.name == exception.name);
        let is_single = match earlier {
            Some(known) if exception.fields.is_empty() => known.is_single,
            _ => exception.is_single,
        };
        if let Some(node) = values {
            match combinations(node, is_single, |node| node.place(self.source)) {
                Ok(combinations) => exception.combinations = combinations,
                Err((place, message)) => {
                    self.error(Code::BadValue, place, message);
                    return None;
                }
            }
        }
        Some(exception)
    }

    fn operators(&mut self, place: &Place, node: &Node) -> Option<Vec<(Operator, Place)>> {
        let mut operators = Vec::new();
        for (name, place) in self.placed(place, node, "comps")? {
            match Operator::by_name(&name) {
                Some(operator) => operators.push((operator, place)),
                None => {
                    let message = format!("unknown operator `{name}`");
                    let error = RuleError::new(Code::BadOperator, place, message);
                    self.errors.push(error.suggest(&name, Operator::NAMES));
                    return None;
                }
            }
        }
        Some(operators)
    }

    /// A text, or a list of texts, each with its place.
    fn placed(&mut self, place: &Place, node: &Node, key: &str) -> Option<Vec<(String, Place)>> {
        let texts = self.texts(place, node, key)?;
        let places: Vec<Place> = match &node.value {
            Yaml::Sequence(nodes) => nodes.iter().map(|node| node.place(self.source)).collect(),
            _ => vec![node.place(self.source)],
        };
        Some(texts.into_iter().zip(places).collect())
    }
}

fn merge(text: &mut Text, other: Option<Text>, how: Option<How>) {
    match (other, how) {
        (Some(other), Some(How::Append)) => text.append(other),
        (Some(other), Some(How::Replace)) => *text = other,
        _ => {}
    }
}
