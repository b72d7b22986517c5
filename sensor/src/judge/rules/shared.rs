//! Comparisons that several rules make: each exists once in a set of rules and is made at most once for an event.

use std::cell::Cell;
use std::collections::HashMap;

use super::facts::{Facts, Key};
use super::field::Field;
use super::matcher::Mismatch;
use super::parser::{Operator, Span};
use super::program::Matcher;

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

    /// How many different ones there are.
    pub fn len(&self) -> usize {
        self.0.len()
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
        let answer = compare();
        made.set(self.answers.event << 1 | u64::from(answer));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::super::Value;
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
        assert_eq!(comparisons.len(), 3);
    }

    #[test]
    fn a_comparison_is_made_once_for_an_event() {
        let mut answers = Answers::default();
        for answer in [true, false] {
            answers.begin(2);
            let question = Question { facts: &Nothing, answers: &answers };
            assert_eq!(question.answer(1, || answer), answer);
            assert_eq!(question.answer(1, || unreachable!("made before")), answer);
            assert_eq!(question.answer(7, || answer), answer, "one without room is made each time");
        }
    }
}
