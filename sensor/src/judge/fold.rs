//! Folds repeats: the same finding of the same process about the same thing is told once, and later how often it came.
//!
//! The first one is always told at once, so that a flood of one finding hides no other.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use super::Finding;
use crate::attribute::Attributed;

/// Findings remembered.
const ENTRIES: usize = 2048;

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// It is new: tell it, and give what was told to [`Folding::told`].
    First(u64),
    /// It came before within the window, and is counted.
    Repeat,
}

/// A finding that came more than once.
#[derive(Debug, PartialEq, Eq)]
pub struct Repeats<T> {
    /// What was told of the first one.
    pub first: T,
    /// How often it came, the first one included.
    pub count: u64,
    /// When the last one came, nanoseconds of CLOCK_BOOTTIME.
    pub last: u64,
}

struct Entry<T> {
    first: Option<T>,
    count: u64,
    began: u64,
    last: u64,
}

/// Findings of the last window. `T` is what is kept of the first one.
pub struct Folding<T> {
    /// Nanoseconds in which repeats are folded; 0 for no folding.
    window: u64,
    hasher: foldhash::fast::FixedState,
    entries: foldhash::HashMap<u64, Entry<T>>,
    /// Keys by the time at which they came first.
    order: VecDeque<u64>,
    /// Those that ended before their time, for want of room.
    ended: Vec<Repeats<T>>,
    repeats: u64,
}

impl<T> Folding<T> {
    /// Folds what comes within a window of so many nanoseconds.
    pub fn new(window: u64) -> Self {
        Self {
            window,
            hasher: foldhash::fast::FixedState::default(),
            entries: Default::default(),
            order: VecDeque::new(),
            ended: Vec::new(),
            repeats: 0,
        }
    }

    /// Takes a finding. Its message names what it is about, so equal messages of one process are one finding.
    pub fn take(&mut self, finding: &Finding, attributed: &Attributed<'_>) -> Fold {
        let process = attributed.process.map(|process| (process.key.pid, process.key.start_time));
        let key = self.hasher.hash_one((&finding.rule, finding.severity.name(), process, &finding.message));
        self.count(key, attributed.event.time)
    }

    fn count(&mut self, key: u64, time: u64) -> Fold {
        if let Some(entry) = self.entries.get_mut(&key) {
            if time.saturating_sub(entry.began) < self.window {
                entry.count += 1;
                entry.last = entry.last.max(time);
                self.repeats += 1;
                return Fold::Repeat;
            }
            self.end(key);
            self.order.retain(|known| *known != key);
        }
        if self.window == 0 {
            return Fold::First(key);
        }
        if self.order.len() >= ENTRIES
            && let Some(oldest) = self.order.pop_front()
        {
            self.end(oldest);
        }
        self.order.push_back(key);
        self.entries.insert(key, Entry { first: None, count: 1, began: time, last: time });
        Fold::First(key)
    }

    /// Keeps what was told of a new finding.
    pub fn told(&mut self, key: u64, first: T) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.first = Some(first);
        }
    }

    fn end(&mut self, key: u64) {
        if let Some(Entry { first: Some(first), count, last, .. }) = self.entries.remove(&key)
            && count > 1
        {
            self.ended.push(Repeats { first, count, last });
        }
    }

    /// Findings that came more than once and whose window is over; all if `now` is `None`.
    pub fn take_ended(&mut self, now: Option<u64>) -> Vec<Repeats<T>> {
        while let Some(oldest) = self.order.front().copied() {
            let began = self.entries.get(&oldest).map_or(0, |entry| entry.began);
            if now.is_some_and(|now| now.saturating_sub(began) < self.window) {
                break;
            }
            self.order.pop_front();
            self.end(oldest);
        }
        std::mem::take(&mut self.ended)
    }

    /// Findings that were folded into earlier ones.
    pub fn repeats(&self) -> u64 {
        self.repeats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_and_told_when_their_window_is_over() {
        let mut folding = Folding::new(100);
        let Fold::First(key) = folding.count(1, 10) else { panic!("new") };
        folding.told(key, "first");
        assert_eq!(folding.count(1, 20), Fold::Repeat);
        assert_eq!(folding.count(2, 25), Fold::First(2), "another one");
        assert_eq!(folding.count(1, 60), Fold::Repeat);
        assert_eq!(folding.take_ended(Some(100)), []);
        assert_eq!(folding.take_ended(Some(110)), [Repeats { first: "first", count: 3, last: 60 }]);
        assert_eq!(folding.count(1, 120), Fold::First(1), "told again after the window");
        assert_eq!(folding.take_ended(None), [], "what came once has been told");
        assert_eq!(folding.repeats(), 2);
    }

    #[test]
    fn one_that_goes_on_is_told_again_after_each_window() {
        let mut folding = Folding::new(100);
        let mut told = 0;
        for time in 0..1000 {
            if let Fold::First(key) = folding.count(7, time) {
                folding.told(key, ());
                told += 1;
            }
        }
        assert_eq!(told, 10);
        let counts: Vec<u64> = folding.take_ended(None).iter().map(|repeats| repeats.count).collect();
        assert_eq!(counts, [100; 10]);
    }

    #[test]
    fn a_flood_of_different_ones_pushes_out_the_oldest_and_hides_none() {
        let mut folding = Folding::new(u64::MAX);
        folding.count(0, 0);
        folding.told(0, 0);
        folding.count(0, 1);
        for key in 1..=2 * ENTRIES as u64 {
            assert_eq!(folding.count(key, key), Fold::First(key));
        }
        assert_eq!(folding.entries.len(), ENTRIES);
        assert_eq!(folding.take_ended(Some(1)), [Repeats { first: 0, count: 2, last: 1 }]);
    }

    #[test]
    fn without_a_window_nothing_is_folded() {
        let mut folding: Folding<()> = Folding::new(0);
        assert_eq!((folding.count(1, 1), folding.count(1, 1)), (Fold::First(1), Fold::First(1)));
        assert!(folding.entries.is_empty());
    }
}
