//! The sensor watches itself: an own event through the whole way, hooks that must have run, and losses that must not be.
//!
//! The canary is the sensor's own thread taking another command name for a moment: harmless, seen by a hook on a tracepoint
//! that every kernel has, and no event of anybody else.

use std::sync::Arc;

use sensor_ebpf::abi::{EventKind, RingClass, SELF_VALUE_AMOUNT};

use crate::action::Action;
use crate::event::{Body, Event};
use crate::sink::metrics::KernelAccount;

/// The command name that the canary takes; it is on the list of watched ones.
pub const CANARY: &str = "stride-canary";
/// Nanoseconds between two canaries.
const INTERVAL: u64 = 5_000_000_000;
/// Canaries that may be missing in a row.
const MISSING: u64 = 2;
/// Opens without a run of the hook that make it a silent one.
const OPENS: u32 = 3;

/// Something that the sensor found wrong with itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `canary_missing`, `events_flooded`, `events_lost`, `hook_silent` or `lists_changed`.
    pub name: &'static str,
    /// Nanoseconds since the last own event, or how many were lost or changed.
    pub amount: u64,
}

/// What is watched, and how it stands.
pub struct SelfWatch {
    account: Option<Arc<dyn KernelAccount>>,
    /// Whether the hooks for command names and opens are attached.
    hooks: (bool, bool),
    /// When the last canary was sent and when the last one came.
    sent: u64,
    came: u64,
    lost: u64,
}

impl SelfWatch {
    /// Nothing was sent yet. `hooks`: whether `command_change` and `file_open` are attached.
    pub fn new(account: Option<Arc<dyn KernelAccount>>, hooks: (bool, bool), now: u64) -> Self {
        let lost = account.as_ref().map_or(0, |account| lost(&**account));
        Self { account, hooks, sent: 0, came: now, lost }
    }

    /// Whether an event is the canary; its nanoseconds on the way then.
    pub fn is_canary(&mut self, event: &Event, now: u64) -> Option<u64> {
        let Body::Action(action) = &event.body else { return None };
        let own = action.kind == EventKind::CommandChange
            && action.subject.process.pid == std::process::id()
            && action.text == CANARY.as_bytes();
        own.then(|| {
            self.came = self.came.max(event.time);
            now.saturating_sub(event.time)
        })
    }

    /// Whether the last canaries came; always true where there are none.
    pub fn sees(&self, now: u64) -> bool {
        !self.hooks.0 || now.saturating_sub(self.came) < INTERVAL * (MISSING + 1)
    }

    /// Sends the next canary when it is time, and says what is wrong.
    pub fn look(&mut self, now: u64) -> Vec<Problem> {
        if now.saturating_sub(self.sent) < INTERVAL {
            return Vec::new();
        }
        let mut problems = Vec::new();
        if self.sent != 0 && !self.sees(now) {
            problems.push(Problem { name: "canary_missing", amount: now.saturating_sub(self.came) });
        }
        self.sent = now;
        if self.hooks.0 {
            sing();
        }
        if let Some(account) = &self.account {
            let lost = lost(&**account);
            if lost > self.lost {
                problems.push(Problem { name: "events_lost", amount: lost - self.lost });
            }
            self.lost = lost;
            if self.hooks.1 && !runs_on_open(&**account) {
                problems.push(Problem { name: "hook_silent", amount: 0 });
            }
        }
        problems
    }
}

/// What an event says of a flood: that its process sends more of its kind than the kernel takes, so that further ones are
/// kept back.
pub fn flood(event: &Event) -> Option<(Problem, Event)> {
    let Body::Action(action) = &event.body else { return None };
    let problem = Problem { name: "events_flooded", amount: action.spent?.events().into() };
    let mut told = Action::of(EventKind::SelfWatch, action.subject.clone());
    told.text = problem.name.as_bytes().to_vec();
    told.other_text = action.kind.name().as_bytes().to_vec();
    told.values[SELF_VALUE_AMOUNT] = problem.amount;
    Some((problem, Event { time: event.time, read_failed: false, body: Body::Action(Box::new(told)) }))
}

/// Takes the canary's name for a moment.
fn sing() {
    let mut own = [0_u8; 16];
    let canary = c"stride-canary";
    // SAFETY: the buffer has the sixteen bytes that prctl(2) writes, and both names end with NUL.
    unsafe {
        libc::prctl(libc::PR_GET_NAME, own.as_mut_ptr());
        libc::prctl(libc::PR_SET_NAME, canary.as_ptr());
        libc::prctl(libc::PR_SET_NAME, own.as_ptr());
    }
}

/// Events of high value that were lost, ever; but those of a flood, which [`flood`] tells.
fn lost(account: &dyn KernelAccount) -> u64 {
    let kinds = EventKind::ALL.into_iter().filter(|kind| kind.class() != RingClass::Bulk);
    kinds
        .filter_map(|kind| account.counters(kind))
        .map(|counters| counters.lost() - counters.over_budget)
        .sum()
}

/// Whether the hook on opens runs when a file is opened. A run that the kernel skips, as it does while another task was
/// preempted within the same program, has a count of its own and does not make the hook silent; nor does a single one on
/// kernels that do not count them.
fn runs_on_open(account: &dyn KernelAccount) -> bool {
    let seen = || account.counters(EventKind::FileOpen).map(|counters| counters.seen);
    let skipped = || account.missed().into_iter().find(|(hook, _)| *hook == "file_open");
    let (before, skipped_before) = (seen(), skipped());
    (0..OPENS).any(|attempt| {
        if attempt > 0 {
            std::thread::yield_now();
        }
        let opened = std::fs::File::open("/proc/self/comm").is_ok();
        !opened || before.is_none() || seen() > before || skipped() != skipped_before
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use sensor_ebpf::abi::Counters;

    use super::*;

    #[derive(Default)]
    struct Account {
        lost: AtomicU64,
        seen: AtomicU64,
        step: u64,
        skipped: Option<AtomicU64>,
    }

    impl KernelAccount for Account {
        fn counters(&self, kind: EventKind) -> Option<Counters> {
            let ring_full = if kind == EventKind::Exec { self.lost.load(Ordering::Relaxed) } else { 0 };
            let seen = self.seen.fetch_add(self.step, Ordering::Relaxed);
            Some(Counters { seen, ring_full, ..Counters::default() })
        }

        fn missed(&self) -> Vec<(&'static str, u64)> {
            let count = |skipped: &AtomicU64| ("file_open", skipped.fetch_add(1, Ordering::Relaxed));
            self.skipped.iter().map(count).collect()
        }
    }

    #[test]
    fn a_canary_that_does_not_come_is_missed_after_the_second_one() {
        let mut watch = SelfWatch::new(None, (true, false), 1);
        assert_eq!(watch.look(INTERVAL), []);
        assert_eq!(watch.look(2 * INTERVAL), []);
        assert!(watch.sees(2 * INTERVAL));
        let missing = watch.look(3 * INTERVAL + 1);
        assert_eq!(missing, [Problem { name: "canary_missing", amount: 3 * INTERVAL }]);
        assert!(!watch.sees(3 * INTERVAL + 1));
    }

    #[test]
    fn losses_of_high_value_and_silent_hooks_are_told() {
        let account = Arc::new(Account { step: 1, ..Account::default() });
        let mut watch = SelfWatch::new(Some(Arc::clone(&account) as _), (false, true), 0);
        assert_eq!(watch.look(INTERVAL), []);
        account.lost.store(3, Ordering::Relaxed);
        assert_eq!(watch.look(2 * INTERVAL), [Problem { name: "events_lost", amount: 3 }]);
        assert_eq!(watch.look(3 * INTERVAL), [], "told once");
        let silent = Arc::new(Account::default());
        let mut watch = SelfWatch::new(Some(silent as _), (false, true), 0);
        assert_eq!(watch.look(INTERVAL), [Problem { name: "hook_silent", amount: 0 }]);
    }

    #[test]
    fn a_flood_is_told_of_the_process_that_makes_it() {
        let subject = crate::action::tests::subject();
        let mut action = Action::of(EventKind::FileOpen, subject);
        let event = |action: &Action| Event {
            time: 7,
            read_failed: false,
            body: Body::Action(Box::new(action.clone())),
        };
        assert!(flood(&event(&action)).is_none());
        action.spent = crate::action::Budget::spent_by(sensor_ebpf::abi::RECORD_CGROUP_BUDGET);
        let (problem, told) = flood(&event(&action)).expect("a flood");
        assert_eq!(problem, Problem { name: "events_flooded", amount: 512 });
        let Body::Action(told) = told.body else { panic!("an action") };
        assert_eq!((told.kind, told.subject.process), (EventKind::SelfWatch, action.subject.process));
        assert_eq!(
            (told.text.as_slice(), told.other_text.as_slice()),
            (&b"events_flooded"[..], &b"file_open"[..])
        );
        assert!(flood(&event(&told)).is_none(), "a flood is not told of itself");
    }

    #[test]
    fn a_hook_whose_run_the_kernel_skipped_is_not_silent() {
        let skipped = Arc::new(Account { skipped: Some(AtomicU64::new(0)), ..Account::default() });
        let mut watch = SelfWatch::new(Some(skipped as _), (false, true), 0);
        assert_eq!(watch.look(INTERVAL), []);
    }
}
