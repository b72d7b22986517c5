//! What happened to each kind of event on its way into a ring, counted per CPU in the kernel.

/// One kind's counters. `seen = filtered + sent + lost()` once the hooks are at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counters {
    /// The hook ran.
    pub seen: u64,
    /// Not sent, because nobody wants it.
    pub filtered: u64,
    /// Written to its ring.
    pub sent: u64,
    /// Lost: the ring was full.
    pub ring_full: u64,
    /// Lost: the ring had room, but the kernel gave up waiting for its lock, as it may since 6.15
    /// (kernel/bpf/rqspinlock.c).
    pub ring_busy: u64,
    /// Lost: tasks that were preempted in the midst of a hook use all scratch space of this CPU.
    pub scratch_full: u64,
    /// Lost: another task took the scratch space before the record was sent.
    pub scratch_taken: u64,
    /// Lost: the ring filled, and the process or its cgroup had its share of it in this second, see
    /// [`PROCESS_BUDGET`](super::PROCESS_BUDGET).
    pub over_budget: u64,
    /// Sent, but some field could not be read (not a loss).
    pub read_failed: u64,
    /// Of the kind `fork`: processes of containers that found no room in the map that the filters ask, and are told
    /// from others only by their mount namespace (not a loss of the event itself).
    pub untracked: u64,
}

impl Counters {
    /// Lost records by reason, with the names that metrics use.
    #[must_use]
    pub const fn losses(&self) -> [(&'static str, u64); 5] {
        [
            ("over_budget", self.over_budget),
            ("ring_busy", self.ring_busy),
            ("ring_full", self.ring_full),
            ("scratch_full", self.scratch_full),
            ("scratch_taken", self.scratch_taken),
        ]
    }

    /// All lost records.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.over_budget + self.ring_busy + self.ring_full + self.scratch_full + self.scratch_taken
    }
}

const _: () = assert!(size_of::<Counters>() == 80);
