//! What happened to each kind of event on its way into a ring, counted per CPU in the kernel.

/// One kind's counters. `seen = filtered + sent + ring_full + too_big` once the hooks are at rest.
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
    /// Lost: no scratch space for this CPU, or the record exceeded its bound.
    pub too_big: u64,
    /// Sent, but some field could not be read (not a loss).
    pub read_failed: u64,
    /// Of the kind `fork`: processes of containers that found no room in the map that the filters ask, and are told
    /// from others only by their mount namespace (not a loss of the event itself).
    pub untracked: u64,
}

const _: () = assert!(size_of::<Counters>() == 56);
