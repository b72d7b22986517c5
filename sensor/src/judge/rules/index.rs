//! Which rules an event has to be asked for. Most conditions begin with the kind of event, with whether it is in a
//! container, and with whether the runtime itself is at work. These are decided when loading: for each case there is a
//! list of the rules that can still match, with what is left of their conditions.

use super::event_types::{depends_on_action, names};
use super::facts::{Facts, Value};
use super::field::Field;
use super::program::{Matcher, Program, Test, TextMatcher};
use super::shared::{Question, Shared};
use crate::event::EventKind;

/// A rule that has to be asked.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its index.
    pub rule: usize,
    /// Number of a comparison without which it cannot hold, of those that are made together with most others.
    guard: Option<u32>,
    /// What is left of its condition.
    program: Program,
}

impl Entry {
    fn new(rule: usize, program: Program, shared: &Shared) -> Self {
        let parts = match &program {
            Program::And(parts) => &**parts,
            other => std::slice::from_ref(other),
        };
        let tests = parts.iter().filter_map(|part| match part {
            Program::Test(test) if shared.together(test.number) > 0 => Some(test.number),
            _ => None,
        });
        let guard = tests.max_by_key(|number| shared.together(*number));
        Self { rule, guard, program }
    }

    /// Whether the rule's condition holds.
    pub(super) fn holds(&self, question: Question<'_>) -> bool {
        // Without room for answers the condition itself says it.
        self.guard.is_none_or(|guard| question.answer(guard, || true)) && self.program.holds(question)
    }
}

/// The lists of one kind of event.
#[derive(Debug, Default)]
struct OfKind {
    /// Nothing is known but the kind.
    general: Vec<Entry>,
    /// By container (0 host, 1 container) and runtime (0 no, 1 at work).
    cases: [[Vec<Entry>; 2]; 2],
}

/// Programs by kind and case.
#[derive(Debug, Default)]
pub(super) struct Index(Vec<OfKind>);

impl Index {
    /// Sorts programs in, keeping their order.
    pub(super) fn new<'a>(programs: impl Iterator<Item = &'a Program> + Clone, shared: &Shared) -> Self {
        let list = |known: &dyn Fn(&Test) -> Option<bool>| {
            let left = programs.clone().map(|program| program.assuming(known)).enumerate();
            let left = left.filter(|(_, program)| !matches!(program, Program::Constant(false)));
            left.map(|(rule, program)| Entry::new(rule, program, shared)).collect::<Vec<Entry>>()
        };
        let of_kind = |kind| OfKind {
            general: list(&|test| of_kind(test, kind)),
            cases: [false, true].map(|container| {
                [false, true].map(|runtime| {
                    list(&|test| of_kind(test, kind).or_else(|| of_case(test, container, runtime)))
                })
            }),
        };
        Self(EventKind::ALL.into_iter().map(of_kind).collect())
    }

    /// Whether no rule can match a kind.
    pub(super) fn is_idle(&self, kind: EventKind) -> bool {
        self.of(kind).is_none_or(|lists| lists.general.is_empty())
    }

    /// What has to be asked for an event.
    pub(super) fn entries(&self, kind: EventKind, facts: &dyn Facts) -> &[Entry] {
        let Some(lists) = self.of(kind) else { return &[] };
        let container = match facts.get(Field::ContainerId, None) {
            Value::Text(id) => usize::from(id != b"host"),
            _ => return &lists.general,
        };
        match facts.get(Field::ProcRuntimeSetup, None) {
            Value::Bool(runtime) => &lists.cases[container][usize::from(runtime)],
            _ => &lists.general,
        }
    }

    fn of(&self, kind: EventKind) -> Option<&OfKind> {
        // Kinds are numbered from 1 without gaps.
        self.0.get(kind as usize - 1)
    }
}

/// What the kind of event decides of a comparison. A kind has several names, and `!=` holds if none of them is it.
pub(super) fn of_kind(test: &Test, kind: EventKind) -> Option<bool> {
    if test.field != Field::EvtType {
        return None;
    }
    let any = |text: &TextMatcher| names(kind).any(|name| text.matches(name.as_bytes()));
    match &test.matcher {
        Matcher::Exists => Some(true),
        Matcher::Text(text) if depends_on_action(kind) => (!any(text)).then_some(false),
        Matcher::NotText(text) if depends_on_action(kind) => (!any(text)).then_some(true),
        Matcher::Text(text) => Some(any(text)),
        Matcher::NotText(text) => Some(!any(text)),
        _ => Some(false),
    }
}

fn of_case(test: &Test, container: bool, runtime: bool) -> Option<bool> {
    let is_host = |text: &TextMatcher| matches!(text, TextMatcher::Equal(other) if **other == *b"host");
    match (test.field, &test.matcher) {
        (Field::ProcRuntimeSetup, _) => Some(test.accepts(Value::Bool(runtime))),
        (Field::ContainerId, _) if !container => Some(test.accepts(Value::Text(b"host"))),
        (Field::ContainerId, Matcher::Exists) => Some(true),
        (Field::ContainerId, Matcher::Text(text)) if is_host(text) => Some(false),
        (Field::ContainerId, Matcher::NotText(text)) if is_host(text) => Some(true),
        _ => None,
    }
}
