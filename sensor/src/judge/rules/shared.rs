//! Comparisons that several rules make: each exists once in a set of rules and is made at most once for an event. Those that
//! ask whether one field is among some texts are made together, by one look at its value.

use std::cell::Cell;
use std::collections::HashMap;

use super::facts::{Facts, Key, Value};
use super::field::Field;
use super::matcher::Mismatch;
use super::parser::{Operator, Span};
use super::program::{Matcher, TextMatcher};

/// What makes a comparison: two with the same parts are one.
type Parts = (Field, Option<Key>, bool, Operator, Box<[Box<str>]>);

/// The comparisons of a set of rules.
#[derive(Debug, Default)]
pub struct Comparisons(HashMap<Parts, (u32, Matcher)>);

impl Comparisons {
    /// Number and matcher of a comparison, made by `build` if it is the first of its kind.
    ///
    /// # Errors
    /// Those of `build`, whose comparison is not kept.
    pub fn number(
        &mut self,
        (field, key, list, operator): (Field, Option<Key>, bool, Operator),
        values: &[(String, Span)],
        build: impl FnOnce() -> Result<Matcher, Mismatch>,
    ) -> Result<(u32, Matcher), Mismatch> {
        let values = values.iter().map(|(text, _)| text.as_str().into()).collect();
        let next = self.0.len() as u32;
        match self.0.entry((field, key, list, operator, values)) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.get().clone()),
            std::collections::hash_map::Entry::Vacant(free) => Ok(free.insert((next, build()?)).clone()),
        }
    }

    /// All of them, with those that are made together.
    pub fn shared(self) -> Shared {
        let mut shared = Shared { group_of: vec![None; self.0.len()], groups: Vec::new() };
        let mut places: HashMap<(Field, Option<Key>, bool), usize> = HashMap::new();
        for ((field, key, list, ..), (number, matcher)) in self.0 {
            let texts: Vec<Box<[u8]>> = match matcher {
                Matcher::Text(TextMatcher::Equal(text)) => vec![text],
                Matcher::Text(TextMatcher::In(set)) => set.iter().cloned().collect(),
                _ => continue,
            };
            let place = *places.entry((field, key.clone(), list)).or_insert(shared.groups.len());
            if place == shared.groups.len() {
                shared.groups.push(Group {
                    field,
                    key,
                    list,
                    members: Vec::new(),
                    by_text: Default::default(),
                });
            }
            let group = &mut shared.groups[place];
            group.members.push(number);
            shared.group_of[number as usize] = Some(place as u32);
            for text in texts {
                group.by_text.entry(text).or_default().push(number);
            }
        }
        shared
    }
}

/// What is known of the comparisons of a set of rules when an event is judged.
#[derive(Debug, Default)]
pub struct Shared {
    group_of: Vec<Option<u32>>,
    groups: Vec<Group>,
}

/// Comparisons that ask whether one field is among some texts.
#[derive(Debug)]
struct Group {
    field: Field,
    key: Option<Key>,
    list: bool,
    members: Vec<u32>,
    /// Which of them hold for a text.
    by_text: foldhash::HashMap<Box<[u8]>, Vec<u32>>,
}

impl Shared {
    /// How many different comparisons there are.
    pub fn len(&self) -> usize {
        self.group_of.len()
    }

    /// How many comparisons are made together with this one, itself included; 0 if it is made alone.
    pub fn together(&self, number: u32) -> usize {
        self.group(number).map_or(0, |group| group.members.len())
    }

    fn group(&self, number: u32) -> Option<&Group> {
        self.groups.get((*self.group_of.get(number as usize)?)? as usize)
    }
}

/// What came of comparisons, kept between events so that no memory is asked for.
#[derive(Debug, Default)]
pub struct Answers {
    /// By number: the event it was made for, and twice that plus the answer.
    made: Vec<Cell<u64>>,
    event: u64,
}

impl Answers {
    /// Forgets all, and has room for so many comparisons.
    pub fn begin(&mut self, comparisons: usize) {
        self.event += 1;
        if self.made.len() < comparisons {
            self.made.resize(comparisons, Cell::new(0));
        }
    }
}

/// An event that conditions are asked about.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The event.
    pub facts: &'a dyn Facts,
    /// The comparisons of the set of rules.
    pub shared: &'a Shared,
    /// What was compared already.
    pub answers: &'a Answers,
}

impl Question<'_> {
    /// The answer to a comparison by its number, made by `compare` if nobody asked before.
    pub fn answer(&self, number: u32, compare: impl FnOnce() -> bool) -> bool {
        let Some(made) = self.answers.made.get(number as usize) else { return compare() };
        let known = made.get();
        if known >> 1 == self.answers.event {
            return known & 1 != 0;
        }
        if let Some(group) = self.shared.group(number) {
            self.look_once(group);
            return made.get() & 1 != 0;
        }
        let answer = compare();
        made.set(self.answers.event << 1 | u64::from(answer));
        answer
    }

    /// Makes all comparisons of a group.
    fn look_once(&self, group: &Group) {
        let tell = |numbers: &[u32], answer: bool| {
            for number in numbers {
                if let Some(made) = self.answers.made.get(*number as usize) {
                    made.set(self.answers.event << 1 | u64::from(answer));
                }
            }
        };
        tell(&group.members, false);
        let mut look = |text: &[u8]| {
            if let Some(numbers) = group.by_text.get(text) {
                tell(numbers, true);
            }
            false
        };
        if group.list {
            self.facts.any(group.field, &mut look);
        } else if let Value::Text(text) = self.facts.get(group.field, group.key.as_ref()) {
            look(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Facts for Nothing {
        fn get(&self, _: Field, _: Option<&Key>) -> Value<'_> {
            Value::Missing
        }

        fn any(&self, _: Field, _: &mut dyn FnMut(&[u8]) -> bool) -> bool {
            false
        }
    }

    #[test]
    fn the_same_parts_make_one_comparison() {
        let mut comparisons = Comparisons::default();
        let mut number = |values: &[&str], operator| {
            let values: Vec<(String, Span)> =
                values.iter().map(|text| ((*text).to_owned(), Span { start: 0, end: 0 })).collect();
            let parts = (Field::ProcName, None, false, operator);
            comparisons.number(parts, &values, || Ok(Matcher::Exists)).ok().map(|(number, _)| number)
        };
        assert_eq!(number(&["a", "b"], Operator::In), Some(0));
        assert_eq!(number(&["a"], Operator::In), Some(1));
        assert_eq!(number(&["a", "b"], Operator::In), Some(0));
        assert_eq!(number(&["a"], Operator::Equal), Some(2));
        assert_eq!(comparisons.shared().len(), 3);
    }

    #[test]
    fn a_comparison_is_made_once_for_an_event() {
        let (mut answers, shared) = (Answers::default(), Shared::default());
        for answer in [true, false] {
            answers.begin(2);
            let question = Question { facts: &Nothing, shared: &shared, answers: &answers };
            assert_eq!(question.answer(1, || answer), answer);
            assert_eq!(question.answer(1, || unreachable!("made before")), answer);
            assert_eq!(question.answer(7, || answer), answer, "one without room is made each time");
        }
    }
}
