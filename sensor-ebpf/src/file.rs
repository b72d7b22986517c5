//! Facts of files: from an open file, or from a mount and a folder entry.

use sensor_ebpf::abi::{FILE_OVERLAY, FILE_OVERLAY_UPPER, FILE_UNLINKED, FileFacts, InodeKey};

use crate::kernel::{Probed, Structure, Task, offset};
use crate::maps::WATCHED_INODES;

/// `OVERLAYFS_SUPER_MAGIC` of include/uapi/linux/magic.h.
pub const OVERLAY_MAGIC: u64 = 0x794c_7630;
/// `TMPFS_MAGIC` of the same file.
pub const TMPFS_MAGIC: u64 = 0x0102_1994;

// Types and bits of `i_mode` (include/uapi/linux/stat.h).
/// `S_IFMT`
pub const TYPE_MASK: u32 = 0o170_000;
/// `S_IFREG`
pub const TYPE_REGULAR: u32 = 0o100_000;
/// `S_IFLNK`
pub const TYPE_SYMLINK: u32 = 0o120_000;

/// Whether a mode lets whoever runs the file act as its owner or group. setgid without the group's right to run it means
/// something else (mandatory locks).
#[inline(always)]
pub fn is_privileged(mode: u32) -> bool {
    mode & 0o4000 != 0 || mode & 0o2010 == 0o2010
}

/// Whether a `struct mnt_namespace *` stands for none: it is null for detached mounts, an error value for those that the
/// kernel made for itself (of pipes, sockets, memfds), and without a number of its own for those that were made or copied
/// by the new mount API and not attached yet.
#[inline(always)]
pub fn is_no_namespace(namespace: *const u8) -> bool {
    /// First of the kernel's error values (MAX_ERRNO).
    const ERROR_VALUES: u64 = -4095_i64 as u64;
    /// `MNT_NS_ANON_INO` of include/uapi/linux/nsfs.h, in newer kernels; 0 before.
    const ANONYMOUS: u32 = 0xefff_fff7;
    if namespace.is_null() || namespace as u64 >= ERROR_VALUES {
        return true;
    }
    let number: u32 = Structure::<Probed>::new(namespace).field(offset!(mnt_namespace.inum));
    number == 0 || number == ANONYMOUS
}

/// A file by where it lies and what it is.
#[derive(Clone, Copy)]
pub struct File {
    /// `struct vfsmount *`; null where the hook does not know the mount.
    pub mount: *const u8,
    /// `struct dentry *`
    pub dentry: *const u8,
    /// `struct inode *`
    pub inode: *const u8,
}

impl File {
    /// Of a `struct file *`.
    #[inline(always)]
    pub fn open(file: *const u8) -> Self {
        let file = Structure::<Probed>::new(file);
        Self {
            mount: file.pointer(offset!(file.path_mnt)),
            dentry: file.pointer(offset!(file.path_dentry)),
            inode: file.pointer(offset!(file.inode)),
        }
    }

    /// Of a `struct path *`: a mount and an entry, in this order since 2.6.25.
    #[inline(always)]
    pub fn path(path: *const u8) -> Self {
        let path = Structure::<Probed>::new(path);
        Self::entry(path.pointer(0), path.pointer(8))
    }

    /// Of a mount (null if not known) and a `struct dentry *`.
    #[inline(always)]
    pub fn entry(mount: *const u8, dentry: *const u8) -> Self {
        let inode = Structure::<Probed>::new(dentry).pointer(offset!(dentry.inode));
        Self { mount, dentry, inode }
    }

    /// The superblock.
    #[inline(always)]
    pub fn super_block(&self) -> Structure<Probed> {
        // By way of the entry, which has one also while there is no inode yet.
        Structure::new(Structure::<Probed>::new(self.dentry).pointer(offset!(dentry.sb)))
    }

    /// `i_mode`
    #[inline(always)]
    pub fn mode(&self) -> u32 {
        u32::from(Structure::<Probed>::new(self.inode).field::<u16>(offset!(inode.mode)))
    }

    /// `i_rdev`: of a device node its device, major << 20 | minor.
    #[inline(always)]
    pub fn device(&self) -> u32 {
        Structure::<Probed>::new(self.inode).field(offset!(inode.rdev))
    }

    /// Whether user space watches the inode.
    #[inline(always)]
    pub fn is_watched(&self) -> bool {
        WATCHED_INODES.get_ptr(self.key()).is_some()
    }

    /// Inode number and device.
    #[inline(always)]
    pub fn key(&self) -> InodeKey {
        let inode = Structure::<Probed>::new(self.inode).field(offset!(inode.ino));
        InodeKey { inode, device: self.super_block().field(offset!(super_block.dev)), reserved: 0 }
    }

    /// Whether it has no name in any folder (`d_unhashed`).
    #[inline(always)]
    pub fn is_unlinked(&self) -> bool {
        Structure::<Probed>::new(self.dentry).pointer(offset!(dentry.hash_pprev)).is_null()
    }

    /// Of a file on an overlay file system: whether its data lies in the upper layer.
    #[inline(always)]
    pub fn is_upper(&self) -> bool {
        // The overlay module embeds its inode around the generic one.
        let overlay = self.inode.wrapping_sub(offset!(overlay.vfs_inode) as usize);
        !Structure::<Probed>::new(overlay).pointer(offset!(overlay.upper)).is_null()
    }

    /// Whether it is a regular file.
    #[inline(always)]
    pub fn is_regular(&self) -> bool {
        self.mode() & TYPE_MASK == TYPE_REGULAR
    }

    /// Whether the mount is in another mount namespace than a task, and not in none.
    #[inline(always)]
    pub fn is_foreign_to(&self, task: Task<Probed>) -> bool {
        let proxy = Structure::<Probed>::new(task.pointer(offset!(task.nsproxy)));
        let namespace = self.mount_namespace();
        !is_no_namespace(namespace) && namespace != proxy.pointer(offset!(nsproxy.mnt_ns))
    }

    /// `struct mnt_namespace *` of the mount; null if the mount is detached.
    #[inline(always)]
    pub fn mount_namespace(&self) -> *const u8 {
        let mount = Structure::<Probed>::new(self.mount.wrapping_sub(offset!(mount.mnt) as usize));
        mount.pointer(offset!(mount.namespace))
    }
}

/// Descriptors looked up; more than any process may have.
pub const DESCRIPTORS: u32 = 1 << 20;

/// The `struct file *` of a task's descriptor; null if it has no such.
#[inline(always)]
pub fn descriptor(task: Task<Probed>, number: u32) -> *const u8 {
    let files = Structure::<Probed>::new(task.pointer(offset!(task.files)));
    let table = Structure::<Probed>::new(files.pointer(offset!(files.fdt)));
    let max: u32 = table.field(offset!(fdtable.max_fds));
    if number >= max || number >= DESCRIPTORS {
        return core::ptr::null();
    }
    Structure::<Probed>::new(table.pointer(offset!(fdtable.fd))).pointer(number * 8)
}

/// Inode number and device of the root folder that a `struct fs_struct` names.
#[inline(always)]
pub fn root_folder(fs: Structure<Probed>) -> (u64, u32) {
    let root = Structure::<Probed>::new(fs.pointer(offset!(fs.root_dentry)));
    let inode = Structure::<Probed>::new(root.pointer(offset!(dentry.inode)));
    let super_block = Structure::<Probed>::new(inode.pointer(offset!(inode.sb)));
    (inode.field(offset!(inode.ino)), super_block.field(offset!(super_block.dev)))
}

/// Reads what the inode says. Flags of the path are added by the walk.
#[inline(always)]
pub fn read_inode(file: &File, facts: &mut FileFacts) {
    let inode = Structure::<Probed>::new(file.inode);
    let super_block = file.super_block();
    let magic: u64 = super_block.field(offset!(super_block.magic));
    let mut flags = 0;
    if magic == OVERLAY_MAGIC {
        flags |= FILE_OVERLAY;
        if file.is_upper() {
            flags |= FILE_OVERLAY_UPPER;
        }
    }
    if file.is_unlinked() {
        flags |= FILE_UNLINKED;
    }
    facts.inode = inode.field(offset!(inode.ino));
    facts.size = inode.field(offset!(inode.size));
    facts.change_time = inode.field(offset!(inode.ctime));
    facts.modify_time = inode.field(offset!(inode.mtime));
    facts.device = super_block.field(offset!(super_block.dev));
    facts.mode = u32::from(inode.field::<u16>(offset!(inode.mode)));
    facts.link_count = inode.field(offset!(inode.nlink));
    facts.uid = inode.field(offset!(inode.uid));
    facts.filesystem_magic = magic as u32;
    facts.flags = flags;
}
