//! One container as processes refer to it: its identity from the first moment, its spec as soon as it can be read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::accounts::Accounts;
use super::container::Container;
use super::servers::Habits;
use crate::event::{Args, Namespaces};

/// Different exec sessions counted of one container.
const SESSIONS: usize = 128;

/// What a container's first program was given: the measure for all that come after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// Depth of its user namespace below the initial one.
    pub user_namespace_level: u32,
    /// Seccomp mode: 0 off, 1 strict, 2 filter.
    pub seccomp_mode: u32,
    /// no_new_privs is set.
    pub no_new_privileges: bool,
    /// Inode number and device of its root folder.
    pub root: (u64, u32),
}

/// A container. Processes hold it for as long as they live, so that one that escaped still names it when its cgroup is
/// long gone.
#[derive(Debug)]
pub struct ContainerHandle {
    /// The container's id, from the name of its cgroup or the runtime's state.
    pub id: Box<str>,
    /// Its cgroup.
    pub cgroup_id: u64,
    /// When its cgroup was created, nanoseconds of CLOCK_BOOTTIME; of one older than the sensor, when it was so at
    /// the latest.
    pub created: u64,
    started: AtomicBool,
    spec: OnceLock<Arc<Container>>,
    baseline: OnceLock<Baseline>,
    failed: AtomicBool,
    sessions: Mutex<Vec<(u64, u32)>>,
    /// What its servers start.
    pub habits: Habits,
    /// Which watched files its programs open.
    pub file_habits: Habits,
    /// Names of its users and groups, once one of its programs ran and names are asked for.
    pub accounts: OnceLock<Accounts>,
}

impl ContainerHandle {
    /// A container that was just found.
    pub fn new(id: &str, cgroup_id: u64, created: u64) -> Self {
        Self {
            id: id.into(),
            cgroup_id,
            created,
            started: AtomicBool::new(false),
            spec: OnceLock::new(),
            baseline: OnceLock::new(),
            failed: AtomicBool::new(false),
            sessions: Mutex::new(Vec::new()),
            habits: Habits::default(),
            file_habits: Habits::default(),
            accounts: OnceLock::new(),
        }
    }

    /// A number that tells it from other containers, also where its cgroup is not known; never 0.
    pub fn number(&self) -> u64 {
        fingerprint(self.id.as_bytes()) | 1
    }

    /// What its spec says, if it was read.
    pub fn container(&self) -> Option<&Arc<Container>> {
        self.spec.get()
    }

    /// Notes its spec. The first one stays: a container's contract does not change while it runs.
    pub fn set_container(&self, container: Arc<Container>) {
        let _ = self.spec.set(container);
    }

    /// What its first program was given, if that was seen.
    pub fn baseline(&self) -> Option<&Baseline> {
        self.baseline.get()
    }

    /// Notes what its first program was given; false if that was known already.
    pub fn set_baseline(&self, baseline: Baseline) -> bool {
        self.baseline.set(baseline).is_ok()
    }

    /// Whether its spec was looked for and cannot be had.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Notes that its spec cannot be had.
    pub fn set_failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Marks its first program as started; true if it was not before.
    pub fn start(&self) -> bool {
        !self.started.swap(true, Ordering::Relaxed)
    }

    /// Whether its first program has started: before, it may be a name in a cgroup's path and nothing else.
    pub fn has_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    /// Counts an exec session with these arguments, and gives how many there were before. A container with more
    /// different ones than are kept counts each further one as new.
    pub fn count_session(&self, args: &Args) -> u32 {
        let hash = fingerprint(&args.bytes);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = sessions.iter_mut().find(|(known, _)| *known == hash) {
            *count = count.saturating_add(1);
            return *count - 1;
        }
        if sessions.len() < SESSIONS {
            sessions.push((hash, 1));
        }
        0
    }
}

/// A number for a program with its arguments, started by another program. Arguments that differ only in numbers are the
/// same: a database names each log that it archives.
pub fn habit(starter: &[u8], exe: &[u8], args: &Args) -> u64 {
    fingerprint(&[starter, b"\0", exe, b"\0", &without_numbers(&args.bytes)].concat())
}

/// A text with `#` for each run of hexadecimal digits that has a decimal one in it.
fn without_numbers(text: &[u8]) -> Vec<u8> {
    let runs = text.chunk_by(|left, right| left.is_ascii_hexdigit() && right.is_ascii_hexdigit());
    runs.flat_map(|run| if run.iter().any(u8::is_ascii_digit) { b"#" } else { run }).copied().collect()
}

/// A number for a program that opens a file of this name.
pub fn file_habit(exe: &[u8], name: &[u8]) -> u64 {
    fingerprint(&[exe, b"\0", name].concat())
}

/// FNV-1a, 64 bits: a collision makes two commands count as one probe, never hides a finding of another detection.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_program_starts_a_container() {
        let handle = ContainerHandle::new("c", 1, 2);
        assert!(handle.start());
        assert!(!handle.start());
    }

    #[test]
    fn containers_without_a_known_cgroup_are_told_apart() {
        let number = |id| ContainerHandle::new(id, 0, 2).number();
        assert_ne!(number("c1"), number("c2"));
        assert_ne!(number("c1"), 0);
    }

    #[test]
    fn arguments_that_differ_in_numbers_only_are_one_habit() {
        let habit = |text: &str| {
            let args = Args { bytes: text.as_bytes().to_vec(), ..Args::default() };
            habit(b"/usr/bin/postgres", b"/usr/bin/dash", &args)
        };
        let first = habit("sh\0-c\0cp pg_wal/000000010000000000000009 /archive/000000010000000000000009");
        assert_eq!(
            first,
            habit("sh\0-c\0cp pg_wal/00000001000000000000000A /archive/00000001000000000000000A")
        );
        assert_ne!(first, habit("sh\0-c\0cp pg_wal/000000010000000000000009 /tmp/000000010000000000000009"));
        assert_ne!(habit("cp\0a\09"), habit("cp\0a\0b"), "a word is no number");
        assert_eq!(without_numbers(b"a1 -p8080 \xff7"), b"# -p# \xff#");
        assert_eq!(without_numbers(b""), b"");
    }

    #[test]
    fn identical_sessions_are_counted_and_their_number_is_bounded() {
        let handle = ContainerHandle::new("c", 1, 2);
        let args = |text: &str| Args { bytes: text.as_bytes().to_vec(), ..Args::default() };
        assert_eq!(handle.count_session(&args("sh -c probe")), 0);
        assert_eq!(handle.count_session(&args("sh -c probe")), 1);
        assert_eq!(handle.count_session(&args("sh -c other")), 0);
        for number in 0..10_000 {
            handle.count_session(&args(&number.to_string()));
        }
        assert_eq!(handle.sessions.lock().expect("not poisoned").len(), SESSIONS);
        assert_eq!(handle.count_session(&args("sh -c probe")), 2);
    }
}
