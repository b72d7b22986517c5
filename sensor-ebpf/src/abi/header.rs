//! The header that every record starts with.

/// First bytes of every record in every ring.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Header {
    /// Bytes of the whole record, this header included.
    pub size: u32,
    /// An [`EventKind`](super::EventKind) as its number.
    pub kind: u16,
    /// `RECORD_*` flags.
    pub flags: u16,
    /// Nanoseconds of CLOCK_BOOTTIME when the hook ran.
    pub time: u64,
}

/// Some field could not be read in the kernel; the record holds what could.
pub const RECORD_READ_FAILED: u16 = 1;

/// The last event of its kind that the process may send in this second.
pub const RECORD_PROCESS_BUDGET: u16 = 2;
/// The last event of its kind that the process's cgroup may send in this second.
pub const RECORD_CGROUP_BUDGET: u16 = 4;

const _: () = assert!(size_of::<Header>() == 16);
