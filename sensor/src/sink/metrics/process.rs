//! The sensor's own memory and CPU time, from /proc/self.

use std::fs;
use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, IntGauge};

/// What a process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ProcessUsage {
    pub(super) resident_bytes: u64,
    pub(super) cpu_seconds: f64,
}

impl ProcessUsage {
    /// This process'; zeros where /proc is not there.
    pub(super) fn read() -> Self {
        // SAFETY: sysconf takes no pointers.
        let (page, tick) = unsafe { (libc::sysconf(libc::_SC_PAGESIZE), libc::sysconf(libc::_SC_CLK_TCK)) };
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self::parse(&stat, u64::try_from(page).unwrap_or(4096), tick.max(1) as f64).unwrap_or_default()
    }

    /// Reads proc_pid_stat(5): utime and stime are fields 14 and 15, rss is field 24. The name in field 2 may hold
    /// anything, so counting starts behind its last bracket.
    fn parse(stat: &str, page_bytes: u64, ticks_per_second: f64) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            resident_bytes: number(24)?.saturating_mul(page_bytes),
            cpu_seconds: (number(14)? + number(15)?) as f64 / ticks_per_second,
        })
    }
}

/// Reads the usage when the page is made.
#[derive(Clone)]
pub(super) struct ProcessCollector {
    usage: fn() -> ProcessUsage,
    memory: IntGauge,
    cpu: Counter,
    /// Two pages made at once must not count CPU time twice.
    one_at_a_time: std::sync::Arc<Mutex<()>>,
}

impl ProcessCollector {
    pub(super) fn new(usage: fn() -> ProcessUsage) -> prometheus::Result<Self> {
        Ok(Self {
            usage,
            memory: IntGauge::new("process_resident_memory_bytes", "Memory of the sensor in RAM.")?,
            cpu: Counter::new("process_cpu_seconds_total", "CPU time of the sensor, user and system.")?,
            one_at_a_time: Default::default(),
        })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        [self.memory.desc(), self.cpu.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _guard = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let usage = (self.usage)();
        self.memory.set(i64::try_from(usage.resident_bytes).unwrap_or(i64::MAX));
        self.cpu.inc_by((usage.cpu_seconds - self.cpu.get()).max(0.0));
        [self.memory.collect(), self.cpu.collect()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_shift_the_fields() {
        let stat = "7 (a) R 1 2 3) S 1 7 7 0 -1 4194304 90 0 0 0 150 50 0 0 20 0 3 0 99 1000000 25 18446744073709551615";
        let usage = ProcessUsage::parse(stat, 4096, 100.0);
        assert_eq!(usage, Some(ProcessUsage { resident_bytes: 102_400, cpu_seconds: 2.0 }));
        assert_eq!(ProcessUsage::parse("7 (a) S 1", 4096, 100.0), None);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(ProcessUsage::read().resident_bytes > 100_000);
    }
}
