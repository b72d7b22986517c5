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

const _: () = assert!(size_of::<InodeKey>() == 16);
const _: () = assert!(size_of::<ParameterCount>() == 16);
