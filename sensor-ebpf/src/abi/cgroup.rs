//! Records of the cgroup hooks.

use super::Header;

/// Longest cgroup path a record carries.
pub const CGROUP_PATH_MAX: usize = 4096;

/// A cgroup was created or removed; the path follows, without a trailing NUL.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CgroupRecord {
    /// `kind` is `CgroupCreate` or `CgroupRemove`.
    pub header: Header,
    /// The cgroup's id: its kernfs node id, which is the inode number of its folder.
    pub cgroup_id: u64,
    /// 0 for the unified (v2) hierarchy, else the number of a v1 hierarchy.
    pub hierarchy: u32,
    /// Bytes of the path that follow.
    pub path_length: u32,
}

const _: () = assert!(size_of::<CgroupRecord>() == 32);
