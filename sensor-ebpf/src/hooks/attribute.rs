//! What files are given: modes that lend privilege, and file capabilities; and changes to binaries of the runtime.
//!
//! These hooks do not know the mount: the path is told from the root of the file's own file system.

use sensor_ebpf::abi::{
    ATTRIBUTE_CAPABILITIES, ATTRIBUTE_GROUP, ATTRIBUTE_MODE, ATTRIBUTE_OWNER, ATTRIBUTE_SIZE,
    ATTRIBUTE_VALUE_CAPABILITIES, ATTRIBUTE_VALUE_CHANGED, ATTRIBUTE_VALUE_MODE, EventKind,
};

use crate::action::{Action, current};
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::file::{File, is_privileged};
use crate::kernel::{Probed, Structure, offset};

entries!(set_attribute => set_attribute_fentry, set_attribute_kprobe);

/// `security_inode_setattr(struct dentry *dentry, struct iattr *attr)`, with an id map before them since 6.3. chmod, chown
/// and truncate come through here, by whatever system call, and what the kernel does by itself.
/// LSM is no way in: in some kernels its hook has no id map although the function has one.
#[inline(always)]
fn set_attribute<W: Way>(way: &W) {
    let entry = argument!(way, set_attribute.entry) as *const u8;
    let attributes = Structure::<Probed>::new(argument!(way, set_attribute.attributes) as *const u8);
    let Some(tally) = seen(EventKind::FileAttribute) else { return };
    let valid = u64::from(attributes.field::<u32>(offset!(iattr.valid)));
    let changed = valid & (ATTRIBUTE_MODE | ATTRIBUTE_OWNER | ATTRIBUTE_GROUP | ATTRIBUTE_SIZE);
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
    if !(is_privileged(mode) && file.is_regular() || file.is_watched()) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(ATTRIBUTE_VALUE_CHANGED, changed);
    action.value(ATTRIBUTE_VALUE_MODE, u64::from(mode));
    action.file_without_mount(&file);
    action.send();
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
