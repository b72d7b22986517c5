//! One attempt at a scenario, and whether it may be repeated.
//!
//! Emulated guests let techniques die of time limits, and kernels with preemption skip tracepoint programs now and then. Neither
//! says anything about what the sensor does with what it sees. A scenario that failed with such an excuse is done again, once, alone,
//! at the end; the report says so. Without an excuse a failure stays one.

use crate::metrics::Page;
use crate::report::Status;
use std::collections::BTreeMap;

/// So many scenarios of a run may be repeated; with more of them something is wrong with the run, and none is.
pub const REPEATS: usize = 4;

/// What came of it.
#[derive(Debug)]
pub struct Attempt {
    /// Passed, failed or skipped.
    pub status: Status,
    /// Why it failed or was skipped.
    pub reason: String,
    /// Of a failure that may be repeated: what else it may come from.
    pub excuse: Option<String>,
}

impl Attempt {
    /// All was as expected.
    pub fn passed() -> Self {
        Self { status: Status::Passed, reason: String::new(), excuse: None }
    }

    /// It is not possible here.
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self { status: Status::Skipped, reason: reason.into(), excuse: None }
    }

    /// Something was not as expected.
    pub fn failed(reason: impl Into<String>, excuse: Option<String>) -> Self {
        Self { status: Status::Failed, reason: reason.into(), excuse }
    }
}

/// How many runs of each hook the kernel skipped, by the sensor's own count.
pub struct Missed(BTreeMap<String, f64>);

impl Missed {
    /// So many until now.
    pub fn of(page: &Page) -> Self {
        Self(page.sum_by("stride_sensor_events_missed_total", "hook"))
    }

    /// The excuse that hooks were skipped since `before`; `None` if none was.
    pub fn since(&self, before: &Self) -> Option<String> {
        let risen = self.0.iter().filter_map(|(hook, now)| {
            let more = now - before.0.get(hook).unwrap_or(&0.0);
            (more > 0.0).then(|| format!("{hook} {more}"))
        });
        let hooks: Vec<String> = risen.collect();
        (!hooks.is_empty()).then(|| format!("the kernel skipped runs of hooks ({})", hooks.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_count_that_rose_is_an_excuse() {
        let page = |fork: u32| {
            let text = format!(
                "stride_sensor_events_missed_total{{hook=\"fork\"}} {fork}\n\
                 stride_sensor_events_missed_total{{hook=\"exec\"}} 7\n"
            );
            Missed::of(&Page::parse(&text).unwrap())
        };
        assert_eq!(page(2).since(&page(2)), None);
        assert_eq!(page(5).since(&page(2)).unwrap(), "the kernel skipped runs of hooks (fork 3)");
        assert_eq!(
            page(1).since(&Missed(BTreeMap::new())).unwrap(),
            "the kernel skipped runs of hooks (exec 7, fork 1)"
        );
    }
}
