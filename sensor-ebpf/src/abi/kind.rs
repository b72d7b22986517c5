//! The kinds of records, and the ring each of them travels in.

/// What a record tells. The number is part of the ABI: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum EventKind {
    /// A new process (threads are filtered in the kernel).
    Fork = 1,
    /// A process replaced its program.
    Exec = 2,
    /// The last thread of a process ended.
    Exit = 3,
    /// A cgroup was created.
    CgroupCreate = 4,
    /// A cgroup was removed.
    CgroupRemove = 5,
}

/// Number of slots in maps that are indexed by kind. Slot 0 is never used, so that a zeroed record is no valid one.
pub const KIND_SLOTS: usize = 6;

impl EventKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; KIND_SLOTS - 1] =
        [Self::Fork, Self::Exec, Self::Exit, Self::CgroupCreate, Self::CgroupRemove];

    /// The kind of a number read from a record; `None` for one this version does not know.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Fork),
            2 => Some(Self::Exec),
            3 => Some(Self::Exit),
            4 => Some(Self::CgroupCreate),
            5 => Some(Self::CgroupRemove),
            _ => None,
        }
    }

    /// The name used in JSON, metrics and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Exec => "exec",
            Self::Exit => "exit",
            Self::CgroupCreate => "cgroup_create",
            Self::CgroupRemove => "cgroup_remove",
        }
    }
}
