//! The rule judge: known techniques, written in Falco's rule language.
//!
//! [`RuleSet::load`] reads files, puts lists and macros in, and compiles each rule once; [`RuleSet::judge`] asks all
//! rules that can match a kind of event, without allocating.

pub mod builtin;
pub mod cases;
mod compile;
pub mod describe;
pub mod document;
mod error;
pub mod event_types;
mod facts;
pub mod falco;
mod field;
mod function;
mod index;
mod lexer;
mod load;
mod matcher;
mod output;
mod parser;
mod pattern;
mod program;
mod shared;
mod show;
pub mod wants;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use error::{Code, Level, Place, RuleError, Source};
pub use facts::{Facts, Key, Value};
pub use field::{Field, FieldType, Indexing};
pub use load::FILE_MAX;
pub use output::{MISSING, Template, value as field_text};
pub use pattern::glob_pattern;

use crate::event::EventKind;
use crate::judge::Judge;
use crate::threat::{Severity, Stride, ThreatSource, attack, kubernetes_matrix};
use compile::{CompileError, Definitions, compile};
use index::{Index, of_kind};
use load::{Items, RuleItem, Text};
use parser::{Expression, Operator, parse};
use program::Program;
use shared::{Answers, Comparisons, Question, Shared};

/// Items of a list with the lists inside it put in.
const LIST_MAX: usize = 1_000_000;
/// Lists within lists.
const LISTS_DEEP: usize = 32;

/// A compiled rule with its meaning.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Detection id; rules of the same id are degrees of one detection, and only the first that matches speaks.
    pub id: String,
    /// What it is about.
    pub desc: String,
    /// Output template.
    pub output: Template,
    /// Severity.
    pub severity: Severity,
    /// STRIDE categories, primary first.
    pub stride: Vec<Stride>,
    /// ATT&CK technique ids.
    pub attack: Vec<String>,
    /// Technique ids of the Microsoft Threat Matrix for Kubernetes.
    pub ms_threat_matrix: Vec<String>,
    /// Threat sources of the NSA/CISA Kubernetes Hardening Guidance.
    pub threat_source: Vec<ThreatSource>,
    /// Which judge speaks through it.
    pub judge: Judge,
    /// Tags as written.
    pub tags: Vec<String>,
    /// Condition as written.
    pub condition: String,
    /// File and line.
    pub defined: String,
    /// Its file.
    pub source: String,
    /// Index of its id among all ids.
    id_index: usize,
    program: Program,
}

/// Rules, compiled and indexed by kind of event.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    index: Index,
    ids: usize,
    shared: Shared,
    disabled: Vec<String>,
}

/// Rules that matched an event; kept between events, so that no memory is asked for.
#[derive(Debug, Default)]
pub struct Matches {
    spoken: Vec<bool>,
    answers: Answers,
    /// Indices for [`RuleSet::rule`].
    pub rules: Vec<usize>,
}

impl RuleSet {
    /// Reads and compiles files in their order. Rules with a mistake are left out, all others work. The messages are of all
    /// levels; those of one level stand in the order in which they were found.
    pub fn load(sources: Vec<Source>) -> (Self, Vec<RuleError>) {
        let mut items = Items::default();
        let mut errors = Vec::new();
        for source in sources {
            load::load(&Arc::new(source), &mut items, &mut errors);
        }
        let definitions = Defined::of(&items, &mut errors);
        let mut set = Self::default();
        let mut comparisons = Comparisons::default();
        let mut ids: BTreeMap<String, usize> = BTreeMap::new();
        for item in &items.rules {
            if let Some(source) = values(item, "source").first().filter(|source| *source != "syscall") {
                let place = item.keys.get("source").map_or(&item.place, |(_, place)| place).clone();
                let message =
                    format!("rule `{}` is for events of the source `{source}`, which is not here", item.name);
                let level = Level::Warning;
                errors.push(RuleError { level, ..RuleError::new(Code::Requirement, place, message) });
                set.disabled.push(item.name.clone());
                continue;
            }
            let compiled = rule(item, &definitions, &mut comparisons, &mut errors);
            if !item.enabled {
                set.disabled.push(item.name.clone());
            } else if let Some(mut rule) = compiled {
                let next = ids.len();
                rule.id_index = *ids.entry(rule.id.clone()).or_insert(next);
                set.rules.push(rule);
            }
        }
        set.ids = ids.len();
        set.shared = comparisons.shared();
        set.index = Index::new(set.rules.iter().map(|rule| &rule.program), &set.shared);
        // The same mistake in a macro is met once for each rule that uses it.
        let mut seen = BTreeSet::new();
        errors.retain(|error| {
            let place = &error.place;
            seen.insert((place.source.name.clone(), place.line, place.column, error.message.clone()))
        });
        (set, errors)
    }

    /// Finds the rules that match an event: for each detection id the first one.
    pub fn judge(&self, kind: EventKind, facts: &dyn Facts, matches: &mut Matches) {
        let Matches { spoken, answers, rules } = matches;
        rules.clear();
        spoken.clear();
        spoken.resize(self.ids, false);
        answers.begin(self.shared.len());
        let question = Question { facts, shared: &self.shared, answers };
        for entry in self.index.entries(kind, facts) {
            let id = self.rules[entry.rule].id_index;
            if !spoken[id] && entry.holds(question) {
                spoken[id] = true;
                rules.push(entry.rule);
            }
        }
    }

    /// The rules that match when each makes its comparisons by itself.
    #[cfg(test)]
    fn judged_alone(&self, kind: EventKind, facts: &dyn Facts) -> Vec<usize> {
        // Without room nothing is remembered.
        let answers = Answers::default();
        let question = Question { facts, shared: &self.shared, answers: &answers };
        let entries = self.index.entries(kind, facts).iter();
        entries.filter(|entry| entry.holds(question)).map(|entry| entry.rule).collect()
    }

    /// Whether no rule can match a kind of event.
    pub fn is_idle(&self, kind: EventKind) -> bool {
        self.index.is_idle(kind)
    }

    /// A rule by its index.
    pub fn rule(&self, index: usize) -> &Rule {
        &self.rules[index]
    }

    /// All rules that are judged.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Kinds of event that a rule lives on. One that does not ask for a kind is about the contract or about programs: births,
    /// execs, and the changes of what a process is held to.
    pub fn kinds_of(&self, rule: &Rule) -> Vec<EventKind> {
        const STANDING: [EventKind; 5] = [
            EventKind::Fork,
            EventKind::Exec,
            EventKind::NamespaceSwitch,
            EventKind::CredentialChange,
            EventKind::CgroupMove,
        ];
        let can_hold = |kind: &EventKind| {
            let left = rule.program.assuming(&|test| of_kind(test, *kind));
            !matches!(left, Program::Constant(false))
        };
        let kinds: Vec<EventKind> = EventKind::ALL.into_iter().filter(can_hold).collect();
        if kinds.len() == EventKind::ALL.len() { STANDING.to_vec() } else { kinds }
    }

    /// Whether a condition or output names a field.
    pub fn asks_for(&self, field: Field) -> bool {
        let shown = |rule: &Rule| rule.output.fields().any(|(shown, ..)| shown == field);
        self.rules.iter().any(|rule| rule.program.asks_for(field) || shown(rule))
    }

    /// Whether a rule asks for names of users or groups.
    pub fn asks_for_names(&self) -> bool {
        [Field::UserName, Field::UserLoginname, Field::GroupName].iter().any(|field| self.asks_for(*field))
    }

    /// The fields that a rule's condition asks for, in the order of the table.
    pub fn fields_of(&self, rule: &Rule) -> Vec<Field> {
        Field::ALL.iter().copied().filter(|field| rule.program.asks_for(*field)).collect()
    }

    /// What a rule asks in the end: macros, lists and exceptions put in, cheap parts first.
    pub fn condition_of(&self, rule: &Rule) -> String {
        rule.program.to_string()
    }

    /// Names of rules that are switched off.
    pub fn disabled(&self) -> &[String] {
        &self.disabled
    }
}

/// Parsed macros and expanded lists.
struct Defined {
    macros: BTreeMap<String, (Option<Expression>, Text)>,
    lists: BTreeMap<String, Vec<String>>,
}

impl Defined {
    fn of(items: &Items, errors: &mut Vec<RuleError>) -> Self {
        let mut macros = BTreeMap::new();
        for (name, item) in &items.macros {
            let expression = parsed(&item.condition, errors);
            macros.insert(name.clone(), (expression, item.condition.clone()));
        }
        let mut lists = BTreeMap::new();
        for (name, item) in &items.lists {
            let mut expanded = Vec::new();
            let mut path = vec![name.as_str()];
            match expand(items, &item.items, &mut path, &mut expanded, &mut 0) {
                Ok(()) => lists.insert(name.clone(), expanded),
                Err((code, message)) => {
                    errors.push(RuleError::new(code, item.place.clone(), message));
                    lists.insert(name.clone(), Vec::new())
                }
            };
        }
        Self { macros, lists }
    }
}

fn expand<'a>(
    items: &'a Items,
    list: &'a [String],
    path: &mut Vec<&'a str>,
    expanded: &mut Vec<String>,
    visited: &mut usize,
) -> Result<(), (Code, String)> {
    for item in list {
        // Counted for lists too: empty ones that name each other twice would double the work on each level.
        *visited += 1;
        if *visited > LIST_MAX {
            return Err((Code::TooLarge, format!("list of more than {LIST_MAX} items")));
        }
        match items.lists.get_key_value(item) {
            Some((name, _)) if path.contains(&name.as_str()) => {
                return Err((
                    Code::Cycle,
                    format!("list `{name}` contains itself: {} -> {name}", path.join(" -> ")),
                ));
            }
            Some(_) if path.len() >= LISTS_DEEP => {
                return Err((Code::TooLarge, format!("lists nested deeper than {LISTS_DEEP}")));
            }
            Some((name, inner)) => {
                path.push(name);
                expand(items, &inner.items, path, expanded, visited)?;
                path.pop();
            }
            // Falco's files write quotes within quotes around items that are no plain words.
            None => expanded.push(unquoted(item).to_owned()),
        }
    }
    Ok(())
}

/// A text without the double or single quotes around it.
fn unquoted(text: &str) -> &str {
    let inner = |quote| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

impl Definitions for Defined {
    fn macro_expression(&self, name: &str) -> Option<Option<&Expression>> {
        self.macros.get(name).map(|(expression, _)| expression.as_ref())
    }

    fn list(&self, name: &str) -> Option<&[String]> {
        self.lists.get(name).map(Vec::as_slice)
    }

    fn macro_names(&self) -> Vec<&str> {
        self.macros.keys().map(String::as_str).collect()
    }

    fn list_names(&self) -> Vec<&str> {
        self.lists.keys().map(String::as_str).collect()
    }
}

fn parsed(condition: &Text, errors: &mut Vec<RuleError>) -> Option<Expression> {
    parse(&condition.text)
        .map_err(|error| {
            let place = condition.place(error.span.start, error.span.end);
            let mut reported = RuleError::new(Code::Syntax, place, error.message);
            reported.help = error.help;
            if reported.message.starts_with("unknown operator") {
                reported.code = Code::BadOperator;
            }
            errors.push(reported);
        })
        .ok()
}

/// The condition of a rule, with its exceptions taken out.
fn condition(item: &RuleItem, errors: &mut Vec<RuleError>) -> Option<Expression> {
    let mut parts = vec![parsed(&item.condition, errors)];
    for exception in &item.exceptions {
        match exception.expression() {
            Ok(None) => {}
            Ok(Some(expression)) => parts.push(Some(Expression::Not(Box::new(expression)))),
            Err(error) => {
                errors.push(error);
                parts.push(None);
            }
        }
    }
    let mut parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
    Some(if parts.len() == 1 { parts.swap_remove(0) } else { Expression::And(parts) })
}

/// Compiles one rule; `None` if it has a mistake.
fn rule(
    item: &RuleItem,
    defined: &Defined,
    comparisons: &mut Comparisons,
    errors: &mut Vec<RuleError>,
) -> Option<Rule> {
    let before = errors.len();
    let program = condition(item, errors).and_then(|expression| {
        let mut messages = Vec::new();
        let program = compile(&expression, defined, comparisons, &mut messages);
        errors.extend(messages.into_iter().map(|message| located(item, defined, message)));
        program
    });
    if item.skip_if_unknown {
        skip_unknown(item, &mut errors[before..]);
    }
    let output = Template::parse(&item.output.text);
    let (output, messages) = match output {
        Ok((template, warnings)) => (Some(template), warnings),
        Err(messages) => (None, messages),
    };
    errors.extend(messages.into_iter().map(|message| {
        let place = item.output.place(message.start, message.end);
        let code = if message.level == Level::Error { Code::UnknownField } else { Code::UnfilledField };
        RuleError {
            level: message.level,
            help: message.help,
            chain: vec![format!("in the output of rule `{}`", item.name)],
            ..RuleError::new(code, place, message.message)
        }
    }));
    let mut meaning = Meaning { item, errors };
    let severity = meaning.severity();
    let stride = meaning.each("stride", Stride::parse, Stride::ALL.map(Stride::name));
    let attack = meaning.ids("attack", |id| attack::lookup(id).is_some());
    let ms_threat_matrix = meaning.ids("ms_threat_matrix", |id| kubernetes_matrix::lookup(id).is_some());
    let threat_source =
        meaning.each("threat_source", ThreatSource::parse, ThreatSource::ALL.map(ThreatSource::name));
    let judge = meaning.each("judge", Judge::parse, Judge::ALL.map(Judge::name));
    if errors[before..].iter().any(|error| error.level == Level::Error) {
        return None;
    }
    let tags = values(item, "tags").to_vec();
    Some(Rule {
        name: item.name.clone(),
        id: values(item, "id").first().unwrap_or(&item.name).clone(),
        desc: item.desc.trim().to_owned(),
        output: output?,
        severity,
        stride: if stride.is_empty() { crate::threat::stride_of_tags(&tags) } else { stride },
        attack: if attack.is_empty() { techniques(&tags) } else { attack },
        ms_threat_matrix,
        threat_source,
        judge: judge.first().copied().unwrap_or(Judge::Rule),
        tags,
        condition: item.condition.text.trim().to_owned(),
        defined: format!("{}:{}", item.place.source.name, item.place.line),
        source: item.place.source.name.clone(),
        id_index: 0,
        program: program?,
    })
}

/// Of a rule with `skip-if-unknown-filter` unknown fields are no mistakes: it is left out, and that is told.
fn skip_unknown(item: &RuleItem, errors: &mut [RuleError]) {
    for error in errors.iter_mut().filter(|error| error.code == Code::UnknownField) {
        error.level = Level::Warning;
        error.help = Some(format!("rule `{}` is left out, as its `skip-if-unknown-filter` says", item.name));
    }
}

/// ATT&CK techniques among a rule's tags.
fn techniques(tags: &[String]) -> Vec<String> {
    let ids = tags.iter().map(|tag| tag.to_ascii_uppercase());
    ids.filter(|id| id.starts_with('T') && attack::lookup(id).is_some()).collect()
}

/// Gives a message its place: in the rule, in the innermost macro it was reached through, or in an exception.
fn located(item: &RuleItem, defined: &Defined, message: CompileError) -> RuleError {
    let inner = message.chain.last().and_then(|name| defined.macros.get(name)).map(|(_, text)| text);
    let in_text = || inner.unwrap_or(&item.condition).place(message.span.start, message.span.end);
    let place = message.place.filter(|_| message.chain.is_empty()).unwrap_or_else(in_text);
    let mut error = RuleError::new(message.code, place, message.message);
    error.level = message.level;
    error.help = message.help;
    if !message.chain.is_empty() {
        let path = message.chain.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" -> ");
        error.chain.push(format!("in macro {path}, used by rule `{}`", item.name));
    }
    error
}

fn values<'a>(item: &'a RuleItem, key: &str) -> &'a [String] {
    item.keys.get(key).map_or(&[], |(values, _)| values.as_slice())
}

/// Reads the keys that say what a rule means.
struct Meaning<'a> {
    item: &'a RuleItem,
    errors: &'a mut Vec<RuleError>,
}

impl Meaning<'_> {
    fn bad(&mut self, key: &str, value: &str, known: &[&str]) {
        let place = self.item.keys.get(key).map_or(&self.item.place, |(_, place)| place).clone();
        let error = RuleError::new(Code::BadValue, place, format!("`{key}` does not know `{value}`"));
        let error = match known {
            [] => error,
            _ => error.help(format!("it takes {}", known.join(", "))),
        };
        self.errors.push(error);
    }

    /// Our `severity`, else Falco's `priority`.
    fn severity(&mut self) -> Severity {
        let key = if self.item.keys.contains_key("severity") { "severity" } else { "priority" };
        let Some(value) = values(self.item, key).first() else {
            let message = format!("rule `{}` has neither `priority` nor `severity`", self.item.name);
            self.errors.push(RuleError::new(Code::MissingKey, self.item.place.clone(), message));
            return Severity::Info;
        };
        Severity::parse(value).unwrap_or_else(|| {
            let known = ["critical", "high", "medium", "low", "info", "or a priority of Falco"];
            self.bad(key, &value.clone(), &known);
            Severity::Info
        })
    }

    fn each<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Option<T>,
        known: impl AsRef<[&'static str]>,
    ) -> Vec<T> {
        let mut parsed = Vec::new();
        for value in values(self.item, key) {
            match parse(value) {
                Some(value) => parsed.push(value),
                None => self.bad(key, value, known.as_ref()),
            }
        }
        parsed
    }

    fn ids(&mut self, key: &str, known: impl Fn(&str) -> bool) -> Vec<String> {
        let all = values(self.item, key);
        for id in all.iter().filter(|id| !known(id)) {
            self.bad(key, id, &[]);
        }
        all.to_vec()
    }
}

/// All operators, for documents.
pub fn operators() -> &'static [&'static str] {
    Operator::NAMES
}
