//! What the kernel side decides by before it sends anything, filled by the sensor.

/// An inode: the key of the watch list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct InodeKey {
    /// Inode number.
    pub inode: u64,
    /// `s_dev` of the superblock: major << 20 | minor.
    pub device: u32,
    /// Reserved, zero.
    pub reserved: u32,
}

/// Parameters that one file system context was given. Only the kernel side uses it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ParameterCount {
    /// Time of the last one, nanoseconds of CLOCK_BOOTTIME.
    pub last: u64,
    /// How many.
    pub count: u32,
    /// Reserved, zero.
    pub reserved: u32,
}

/// Where a connection leads: the key of the list of watched addresses and ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct DestinationKey {
    /// The address as in memory, of IPv4 the mapped one; zero for any.
    pub address: [u64; 2],
    /// The port; 0 for any.
    pub port: u32,
    /// Reserved, zero.
    pub reserved: u32,
}

impl DestinationKey {
    /// The second word of an IPv4 address as IPv6 maps it; `address` as in memory.
    pub const fn mapped(address: u32) -> u64 {
        const PREFIX: u64 = 0xffff_0000;
        PREFIX | (address as u64) << 32
    }
}

/// A destination of one cgroup. Only the kernel side uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct CgroupDestination {
    /// The cgroup.
    pub cgroup_id: u64,
    /// The destination.
    pub destination: DestinationKey,
}

/// A file that a program maps executable. Only the kernel side uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct MappedKey {
    /// The file.
    pub file: InodeKey,
    /// Inode number of the program that maps it.
    pub program: u64,
}

/// Actions of one kind that a process may send within [`BUDGET_WINDOW`] while a ring is fuller than
/// [`BUDGET_PRESSURE`]: a flood leaves room for others.
pub const PROCESS_BUDGET: u32 = 128;
/// The same of all processes of a cgroup.
pub const CGROUP_BUDGET: u32 = 512;
/// Bytes of a ring that wait to be read when budgets begin to hold: an eighth.
pub const BUDGET_PRESSURE: u64 = super::RING_BYTES as u64 / 8;
/// By what budgets are divided from twice that on.
pub const BUDGET_SCARCE: u32 = 8;
/// Nanoseconds for which a budget holds.
pub const BUDGET_WINDOW: u64 = 1_000_000_000;

/// Whose budget it is. Only the kernel side uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct BudgetKey {
    /// The process's or the cgroup's id.
    pub id: u64,
    /// An [`EventKind`](super::EventKind) as its number.
    pub kind: u32,
    /// 0: a process; 1: a cgroup.
    pub scope: u32,
}

/// How many within a window of time. Only the kernel side uses it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct WindowCount {
    /// When the window began, nanoseconds of CLOCK_BOOTTIME.
    pub start: u64,
    /// How many.
    pub count: u32,
    /// What else is counted: failed connections; the process signalled last.
    pub other: u32,
}

const _: () = assert!(size_of::<DestinationKey>() == 24);
const _: () = assert!(size_of::<CgroupDestination>() == 32);
const _: () = assert!(size_of::<BudgetKey>() == 16);
const _: () = assert!(size_of::<WindowCount>() == 16);
const _: () = assert!(size_of::<InodeKey>() == 16);
const _: () = assert!(size_of::<MappedKey>() == 24);
const _: () = assert!(size_of::<ParameterCount>() == 16);
