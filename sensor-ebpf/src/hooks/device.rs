//! Device nodes that are made, and files that are setuid from their first moment.

use sensor_ebpf::abi::{
    ATTRIBUTE_MODE, ATTRIBUTE_VALUE_CHANGED, ATTRIBUTE_VALUE_MODE, DEVICE_VALUE_MODE, DEVICE_VALUE_NUMBER,
    EventKind,
};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::file::{File, TYPE_REGULAR, is_privileged};
use crate::kernel::{Probed, Structure, offset};

entries!(device_node => device_node_lsm, device_node_fentry, device_node_kprobe);

/// `S_IFMT`, `S_IFCHR` and `S_IFBLK` of include/uapi/linux/stat.h.
pub const TYPE_MASK: u64 = 0o170_000;
/// A character device.
pub const TYPE_CHARACTER: u64 = 0o020_000;
/// A block device.
pub const TYPE_BLOCK: u64 = 0o060_000;

/// `security_path_mknod(const struct path *dir, struct dentry *dentry, umode_t mode, unsigned int dev)`, unchanged from
/// 5.10 to 7.2. It runs for every file that is made; `dev` is as user space writes it. Whether the maker is allowed to is
/// decided later.
#[inline(always)]
fn device_node<W: Way>(way: &W) {
    let folder = argument!(way, device_node.folder) as *const u8;
    let entry = argument!(way, device_node.entry) as *const u8;
    let mode = argument!(way, device_node.mode) & 0xffff;
    let device = argument!(way, device_node.device) & 0xffff_ffff;
    let Some(tally) = seen(EventKind::DeviceNode) else { return };
    if is_privileged(mode as u32) && mode & TYPE_MASK == u64::from(TYPE_REGULAR) && is_contained(current()) {
        tally.filtered();
        privileged_file::<W>(folder, entry, mode);
        return;
    }
    if !matches!(mode & TYPE_MASK, TYPE_CHARACTER | TYPE_BLOCK) || !is_contained(current()) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(DEVICE_VALUE_MODE, mode);
    action.value(DEVICE_VALUE_NUMBER, device_number(device));
    let mount = Structure::<Probed>::new(folder).pointer(0);
    action.file(&File::entry(mount, entry));
    // The entry has no inode yet.
    action.file_facts().mode = mode as u32;
    action.send();
}

/// A device number of user space as major << 20 | minor: `new_decode_dev` of include/linux/kdev_t.h.
#[inline(always)]
pub fn device_number(device: u64) -> u64 {
    let major = (device & 0xf_ff00) >> 8;
    let minor = (device & 0xff) | ((device >> 12) & 0xf_ff00);
    major << 20 | minor
}

/// A file that is setuid or setgid without a chmod. It has no inode yet; its maker will own it.
#[inline(always)]
fn privileged_file<W: Way>(folder: *const u8, entry: *const u8, mode: u64) {
    let Some(tally) = seen(EventKind::FileAttribute) else { return };
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(ATTRIBUTE_VALUE_CHANGED, ATTRIBUTE_MODE);
    action.value(ATTRIBUTE_VALUE_MODE, mode & 0o7777);
    let file = File::entry(Structure::<Probed>::new(folder).pointer(0), entry);
    action.file(&file);
    action.filesystem_path(&file);
    let owner = action.record().subject.credentials.fsuid;
    let super_block = Structure::<Probed>::new(Structure::<Probed>::new(entry).pointer(offset!(dentry.sb)));
    let facts = action.file_facts();
    facts.mode = TYPE_REGULAR;
    facts.uid = owner;
    facts.device = super_block.field(offset!(super_block.dev));
    facts.filesystem_magic = super_block.field::<u64>(offset!(super_block.magic)) as u32;
    action.send();
}
