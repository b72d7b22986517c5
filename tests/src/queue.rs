//! The scenarios that are still to run, and which of them may run at the same time.

use crate::scenario::Scenario;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

/// Hands out scenarios in their order, but holds back those that would disturb one that runs.
pub struct Queue<'a> {
    state: Mutex<State<'a>>,
    changed: Condvar,
}

struct State<'a> {
    waiting: VecDeque<&'a Scenario>,
    running: Vec<&'a Scenario>,
}

impl<'a> Queue<'a> {
    /// All of these wait.
    pub fn new(scenarios: &'a [Scenario]) -> Self {
        let state = State { waiting: scenarios.iter().collect(), running: Vec::new() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The next scenario that may run now; waits for one. `None` if none is left.
    pub fn next(&self) -> Option<&'a Scenario> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.waiting.is_empty() {
                return None;
            }
            if let Some(scenario) = state.take() {
                return Some(scenario);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A scenario has ended.
    pub fn done(&self, scenario: &Scenario) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running.retain(|running| running.id != scenario.id);
        self.changed.notify_all();
    }
}

impl<'a> State<'a> {
    fn take(&mut self) -> Option<&'a Scenario> {
        let at = self.waiting.iter().position(|scenario| self.may_run(scenario))?;
        let scenario = self.waiting.remove(at)?;
        self.running.push(scenario);
        Some(scenario)
    }

    fn may_run(&self, scenario: &Scenario) -> bool {
        if scenario.needs.alone {
            return self.running.is_empty();
        }
        self.running.iter().all(|running| {
            let same_knob = running.needs.knob.is_some() && running.needs.knob == scenario.needs.knob;
            !running.needs.alone && !same_knob
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;

    fn scenario(id: &str, needs: &str) -> Scenario {
        parse(&format!("id: {id}\ntitle: X\nneeds: {needs}\nhost: 'true'\nexpect: {{max_severity: low}}\n"))
            .unwrap()
    }

    #[test]
    fn scenarios_that_would_disturb_each_other_run_one_after_the_other() {
        let scenarios = [
            scenario("a", "{knob: core_pattern}"),
            scenario("b", "{knob: core_pattern}"),
            scenario("c", "{}"),
            scenario("d", "{alone: true}"),
        ];
        let queue = Queue::new(&scenarios);
        assert_eq!(queue.next().unwrap().id, "a");
        assert_eq!(queue.next().unwrap().id, "c", "b changes what a changes");
        queue.done(&scenarios[0]);
        assert_eq!(queue.next().unwrap().id, "b");
        assert!(queue.state.lock().unwrap().take().is_none(), "d waits for all");
        queue.done(&scenarios[1]);
        queue.done(&scenarios[2]);
        assert_eq!(queue.next().unwrap().id, "d");
        assert!(queue.next().is_none());
    }
}
