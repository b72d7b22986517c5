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

/// What the tracepoint at the end of system calls does with one of them; 0 for nothing.
pub type SyscallRoute = u32;

/// System call numbers that can be routed: more than any architecture has.
pub const SYSCALL_SLOTS: usize = 512;

const _: () = assert!(size_of::<InodeKey>() == 16);
