//! Reads the kernel's own account of each kind of event.

use std::fs;

use aya::maps::{MapData, MapError, PerCpuArray};
use sensor_ebpf::abi::{Counters, EventKind};

use super::attach::AttachedHook;

/// Words in [`Counters`].
const WORDS: usize = size_of::<Counters>() / 8;

/// The counter map, and the programs whose missed runs are counted.
pub struct KernelCounters {
    map: PerCpuArray<MapData, [u64; WORDS]>,
    hooks: Vec<AttachedHook>,
}

impl KernelCounters {
    pub(super) fn new(map: PerCpuArray<MapData, [u64; WORDS]>, hooks: Vec<AttachedHook>) -> Self {
        Self { map, hooks }
    }

    /// The hooks that are attached.
    pub fn hooks(&self) -> &[AttachedHook] {
        &self.hooks
    }

    /// One kind's counters, summed over all CPUs.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub fn read(&self, kind: EventKind) -> Result<Counters, MapError> {
        let mut sum = Counters::default();
        for values in self.map.get(&u32::from(kind as u16), 0)?.iter() {
            let [seen, filtered, sent, losses @ .., read_failed, untracked] = *values;
            let [ring_full, ring_busy, scratch_full, scratch_taken, over_budget] = losses;
            sum.seen += seen;
            sum.filtered += filtered;
            sum.sent += sent;
            sum.ring_full += ring_full;
            sum.ring_busy += ring_busy;
            sum.scratch_full += scratch_full;
            sum.scratch_taken += scratch_taken;
            sum.over_budget += over_budget;
            sum.read_failed += read_failed;
            sum.untracked += untracked;
        }
        Ok(sum)
    }

    /// Runs the kernel skipped because the program was already running on that CPU; `None` before 5.12, which does not count
    /// them.
    pub fn missed(&self, hook: &AttachedHook) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", hook.program)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
        line.trim().parse().ok()
    }
}
