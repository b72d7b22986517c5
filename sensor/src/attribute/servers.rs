//! Which processes serve the network, and what they usually start.
//!
//! A process that listens is a server, and so are, for a few generations, those that descend from it: the shell that a
//! server starts is what an attacker gets from a fault in it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Generations below the one that listens which still count as the server's work.
pub const GENERATIONS: u8 = 4;
/// Different programs remembered of one container's servers.
const HABITS: usize = 256;

/// What a process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// The port, 0 if the kernel chose it.
    pub port: u16,
    /// 0 of the process that listens, 1 of its children, and so on.
    pub generation: u8,
}

impl Server {
    /// One that begins to listen.
    pub fn new(port: u16) -> Self {
        Self { port, generation: 0 }
    }

    /// What a child of it is; `None` if it is too far away.
    pub fn child(self) -> Option<Self> {
        (self.generation < GENERATIONS).then(|| Self { generation: self.generation + 1, ..self })
    }
}

/// When the servers of a container first started each program with its arguments.
#[derive(Debug, Default)]
pub struct Habits {
    first: Mutex<HashMap<u64, u64>>,
}

impl Habits {
    /// Age of the container, in nanoseconds, when its servers first did this; `age` itself if they never did before. A
    /// container with more different ones than are kept has each further one as new.
    pub fn first(&self, action: u64, age: u64) -> u64 {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = first.get(&action) {
            return *known;
        }
        if first.len() < HABITS {
            first.insert(action, age);
        }
        age
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_serve_for_a_few_generations() {
        let mut server = Some(Server::new(80));
        let mut count = 0;
        while let Some(child) = server.and_then(Server::child) {
            assert_eq!(child.port, 80);
            server = Some(child);
            count += 1;
        }
        assert_eq!(count, GENERATIONS);
    }

    #[test]
    fn a_habit_is_as_old_as_its_first_time_and_their_number_is_bounded() {
        let habits = Habits::default();
        assert_eq!(habits.first(1, 5), 5);
        assert_eq!(habits.first(1, 900), 5);
        for action in 2..1000 {
            habits.first(action, 7);
        }
        assert_eq!(habits.first.lock().expect("not poisoned").len(), HABITS);
        assert_eq!(habits.first(5000, 901), 901, "a flood makes nothing look usual");
    }
}
