//! What files are given: modes that lend privilege, and file capabilities; and changes to binaries of the runtime.
//!
//! These hooks do not know the mount: the path is told from the root of the file's own file system.

use sensor_ebpf::abi::{
    ATTRIBUTE_CAPABILITIES, ATTRIBUTE_FLAGS, ATTRIBUTE_GROUP, ATTRIBUTE_MODE, ATTRIBUTE_MODIFY_TIME,
    ATTRIBUTE_OWNER, ATTRIBUTE_SIZE, ATTRIBUTE_VALUE_CAPABILITIES, ATTRIBUTE_VALUE_CHANGED,
    ATTRIBUTE_VALUE_FLAGS, ATTRIBUTE_VALUE_MODE, ATTRIBUTE_VALUE_MODIFY_TIME, EventKind, FILE_FLAG_APPEND,
    FILE_FLAG_IMMUTABLE, RingClass, WATCH_ATTRIBUTE, WATCH_TRUNCATE,
};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::file::{File, is_privileged};
use crate::hooks::destruction::destroys;
use crate::kernel::{Probed, Structure, offset};
use crate::watch::is_wanted;

/// Seconds by which a file is made older than its last change before that is told.
const BACKDATED: i64 = 86_400;

entries!(set_attribute => set_attribute_fentry, set_attribute_kprobe);

/// `security_inode_setattr(struct dentry *dentry, struct iattr *attr)`, with an id map before them since 6.3. chmod, chown
/// and truncate come through here, by whatever system call, and what the kernel does by itself.
/// LSM is no way in: in some kernels its hook has no id map although the function has one.
#[inline(always)]
fn set_attribute<W: Way>(way: &W) {
    let entry = argument!(way, set_attribute.entry, copied_argument) as *const u8;
    let attributes = Structure::<Probed>::new(argument!(way, set_attribute.attributes) as *const u8);
    let Some(tally) = seen(EventKind::FileAttribute) else { return };
    let valid = u64::from(attributes.field::<u32>(offset!(iattr.valid)));
    let changed =
        valid & (ATTRIBUTE_MODE | ATTRIBUTE_OWNER | ATTRIBUTE_GROUP | ATTRIBUTE_SIZE | ATTRIBUTE_MODIFY_TIME);
    // overlayfs changes the file below with its own credentials.
    if changed == 0 || current().acts_for_another() {
        tally.filtered();
        return;
    }
    let file = File::entry(core::ptr::null(), entry);
    let mode = if changed & ATTRIBUTE_MODE != 0 {
        u32::from(attributes.field::<u16>(offset!(iattr.mode)))
    } else {
        0
    };
    if changed & ATTRIBUTE_SIZE != 0 {
        destroys(&file, W::RUNG);
    }
    let critical = is_privileged(mode) && file.is_regular() || file.is_watched();
    let modified: i64 = attributes.field(offset!(iattr.mtime));
    if !critical && !is_listed(&file, changed, mode, modified) {
        tally.filtered();
        return;
    }
    let mut tally = tally;
    if !critical {
        tally.travel(RingClass::Bulk);
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(ATTRIBUTE_VALUE_MODIFY_TIME, modified as u64);
    action.value(ATTRIBUTE_VALUE_CHANGED, changed);
    action.value(ATTRIBUTE_VALUE_MODE, u64::from(mode));
    action.file_without_mount(&file);
    action.send();
}

/// Whether a change concerns a watched file, makes a file of a container executable, or makes an executable look old.
#[inline(always)]
fn is_listed(file: &File, changed: u64, mode: u32, modified: i64) -> bool {
    let truncates = if changed & ATTRIBUTE_SIZE != 0 { WATCH_TRUNCATE } else { 0 };
    let others = if changed & !ATTRIBUTE_SIZE != 0 { WATCH_ATTRIBUTE } else { 0 };
    if is_wanted(file, truncates | others) {
        return true;
    }
    if !file.is_regular() || !is_contained(current()) {
        return false;
    }
    let executable = file.mode() & 0o111 != 0;
    let inode = Structure::<Probed>::new(file.inode);
    let old = changed & ATTRIBUTE_MODIFY_TIME != 0
        && modified < inode.field::<i64>(offset!(inode.ctime)) - BACKDATED;
    !executable && mode & 0o111 != 0 || executable && old
}

entries!(set_extended => set_extended_lsm, set_extended_fentry, set_extended_kprobe);

/// `security_inode_setxattr(struct dentry *dentry, const char *name, const void *value, size_t size, int flags)`, with an
/// id map before them since 5.12. Name and value were copied from user memory.
#[inline(always)]
fn set_extended<W: Way>(way: &W) {
    let entry = argument!(way, set_extended.entry) as *const u8;
    let name = Structure::<Probed>::new(argument!(way, set_extended.name) as *const u8);
    let value = Structure::<Probed>::new(argument!(way, set_extended.value, copied_argument) as *const u8);
    let Some(tally) = seen(EventKind::FileAttribute) else { return };
    let is_capability = name.field::<u64>(0) == u64::from_ne_bytes(*b"security")
        && name.field::<u64>(8) == u64::from_ne_bytes(*b".capabil")
        && name.field::<u32>(16) == u32::from_ne_bytes(*b"ity\0");
    if !is_capability || current().acts_for_another() {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    // `struct vfs_cap_data` of include/uapi/linux/capability.h: a word of flags, then permitted and inheritable words.
    let permitted = u64::from(value.field::<u32>(4)) | u64::from(value.field::<u32>(12)) << 32;
    action.value(ATTRIBUTE_VALUE_CHANGED, ATTRIBUTE_CAPABILITIES);
    action.value(ATTRIBUTE_VALUE_CAPABILITIES, permitted);
    action.file_without_mount(&File::entry(core::ptr::null(), entry));
    action.send();
}

entries!(file_flags => file_flags_fentry, file_flags_kprobe);

/// `vfs_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry, struct file_kattr *fa)`: chattr(1), by either ioctl and
/// by file_setattr(2).
#[inline(always)]
fn file_flags<W: Way>(way: &W) {
    // `struct file_kattr` (include/linux/fileattr.h) begins with `u32 flags` and `u32 fsx_xflags`; each is filled from the
    // other. `FS_IMMUTABLE_FL` and `FS_APPEND_FL` of include/uapi/linux/fs.h; `S_IMMUTABLE` and `S_APPEND` of
    // include/linux/fs.h.
    const NEW: [u32; 2] = [0x10, 0x20];
    const OLD: [u32; 2] = [8, 4];
    let entry = argument!(way, file_flags.entry, copied_argument) as *const u8;
    let attributes =
        Structure::<Probed>::new(argument!(way, file_flags.attributes, copied_argument) as *const u8);
    let Some(tally) = seen(EventKind::FileAttribute) else { return };
    let file = File::entry(core::ptr::null(), entry);
    let flags = |bits: u32, [immutable, append]: [u32; 2]| {
        let one = |bit: u32, flag: u64| if bits & bit != 0 { flag } else { 0 };
        one(immutable, FILE_FLAG_IMMUTABLE) | one(append, FILE_FLAG_APPEND)
    };
    let new = flags(attributes.field::<u32>(0), NEW);
    let old = flags(Structure::<Probed>::new(file.inode).field::<u32>(offset!(inode.flags)), OLD);
    // overlayfs does the same below, with its own credentials.
    if new == old || current().acts_for_another() {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(ATTRIBUTE_VALUE_CHANGED, ATTRIBUTE_FLAGS);
    action.value(ATTRIBUTE_VALUE_FLAGS, new | old << 32);
    action.file_without_mount(&file);
    action.send();
}
