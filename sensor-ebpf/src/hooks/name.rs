//! Names of files: links, symlinks, renames and removals, where they concern binaries of the runtime, lend privilege, or
//! put something in the place of a device that the runtime trusts, or are on a watch list.
//!
//! Folder entries are copied out of the context, because kernels before 6.3 take no typed pointer for the number that a
//! global function wants.

use sensor_ebpf::abi::{
    EventKind, NAME_LINK, NAME_MAKE_FOLDER, NAME_REMOVE_FOLDER, NAME_RENAME, NAME_SYMLINK, NAME_UNLINK,
    NAME_VALUE_OPERATION, RingClass, WATCH_NAME,
};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::{Tally, seen};
use crate::entries::{Way, argument, entries};
use crate::file::{File, OVERLAY_MAGIC, TYPE_MASK, TYPE_SYMLINK, is_privileged};
use crate::hooks::destruction::destroys;
use crate::kernel::{Probed, Structure, offset};
use crate::watch::{is_wanted, is_wanted_and_followed};

entries!(link => link_lsm, link_fentry, link_kprobe);

/// `security_path_link(struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry)`, unchanged from
/// 5.10 to 7.2. Both names lie on one mount.
#[inline(always)]
fn link<W: Way>(way: &W) {
    let old_entry = argument!(way, link.old_entry, copied_argument) as *const u8;
    let folder = argument!(way, link.folder) as *const u8;
    let entry = argument!(way, link.entry, copied_argument) as *const u8;
    let Some(tally) = seen(EventKind::FileName) else { return };
    let mount = Structure::<Probed>::new(folder).pointer(0);
    let file = File::entry(mount, old_entry);
    let lends = file.is_regular() && is_privileged(file.mode()) && is_contained(current());
    let other = File::entry(mount, entry);
    let critical = lends || file.is_watched();
    let listed = is_wanted_and_followed(&file, WATCH_NAME) || is_wanted(&other, WATCH_NAME);
    send::<W>(tally, NAME_LINK, [critical, listed], &file, Some(&other));
}

entries!(rename => rename_lsm, rename_fentry, rename_kprobe);

/// `security_path_rename(const struct path *old_dir, struct dentry *old_dentry, const struct path *new_dir, struct dentry
/// *new_dentry, unsigned int flags)`, unchanged from 5.10 to 7.2.
#[inline(always)]
fn rename<W: Way>(way: &W) {
    let old_folder = argument!(way, rename.old_folder) as *const u8;
    let old_entry = argument!(way, rename.old_entry, copied_argument) as *const u8;
    let folder = argument!(way, rename.folder) as *const u8;
    let entry = argument!(way, rename.entry, copied_argument) as *const u8;
    let Some(tally) = seen(EventKind::FileName) else { return };
    let file = File::entry(Structure::<Probed>::new(old_folder).pointer(0), old_entry);
    let replaced = File::entry(Structure::<Probed>::new(folder).pointer(0), entry);
    let swapped =
        file.mode() & TYPE_MASK == TYPE_SYMLINK && is_trusted_device(entry) && is_contained(current());
    let critical = swapped || file.is_watched() || replaced.is_watched();
    let listed = is_wanted_and_followed(&file, WATCH_NAME) || is_wanted(&replaced, WATCH_NAME);
    destroys(&file, W::RUNG);
    send::<W>(tally, NAME_RENAME, [critical, listed], &file, Some(&replaced));
}

entries!(unlink => unlink_lsm, unlink_fentry, unlink_kprobe);

/// `security_path_unlink(const struct path *dir, struct dentry *dentry)`, unchanged from 5.10 to 7.2.
#[inline(always)]
fn unlink<W: Way>(way: &W) {
    let folder = argument!(way, unlink.folder) as *const u8;
    let entry = argument!(way, unlink.entry, copied_argument) as *const u8;
    let Some(tally) = seen(EventKind::FileName) else { return };
    let file = File::entry(Structure::<Probed>::new(folder).pointer(0), entry);
    destroys(&file, W::RUNG);
    send::<W>(tally, NAME_UNLINK, [file.is_watched(), is_wanted(&file, WATCH_NAME)], &file, None);
}

entries!(make_folder => make_folder_lsm, make_folder_fentry, make_folder_kprobe);

/// `security_path_mkdir(const struct path *dir, struct dentry *dentry, umode_t mode)`, unchanged from 5.10 to 7.2.
#[inline(always)]
fn make_folder<W: Way>(way: &W) {
    let folder = argument!(way, make_folder.folder) as *const u8;
    let entry = argument!(way, make_folder.entry, copied_argument) as *const u8;
    let Some(tally) = seen(EventKind::FileName) else { return };
    let file = File::entry(Structure::<Probed>::new(folder).pointer(0), entry);
    send::<W>(tally, NAME_MAKE_FOLDER, [false, is_wanted(&file, WATCH_NAME)], &file, None);
}

entries!(remove_folder => remove_folder_lsm, remove_folder_fentry, remove_folder_kprobe);

/// `security_path_rmdir(const struct path *dir, struct dentry *dentry)`, unchanged from 5.10 to 7.2.
#[inline(always)]
fn remove_folder<W: Way>(way: &W) {
    let folder = argument!(way, remove_folder.folder) as *const u8;
    let entry = argument!(way, remove_folder.entry, copied_argument) as *const u8;
    let Some(tally) = seen(EventKind::FileName) else { return };
    let file = File::entry(Structure::<Probed>::new(folder).pointer(0), entry);
    send::<W>(tally, NAME_REMOVE_FOLDER, [false, is_wanted(&file, WATCH_NAME)], &file, None);
}

entries!(symlink => symlink_lsm, symlink_fentry, symlink_kprobe);

/// `security_path_symlink(const struct path *dir, struct dentry *dentry, const char *old_name)`, unchanged from 5.10 to
/// 7.2. Images and package managers are full of symlinks: told are those in the place of a device, and those on volumes
/// that lead to an absolute path, which may mean another file to others who share the volume.
#[inline(always)]
fn symlink<W: Way>(way: &W) {
    let folder = argument!(way, symlink.folder) as *const u8;
    let entry = argument!(way, symlink.entry, copied_argument) as *const u8;
    let target = argument!(way, symlink.target) as *const u8;
    let Some(tally) = seen(EventKind::FileName) else { return };
    let dentry = Structure::<Probed>::new(entry);
    let super_block = Structure::<Probed>::new(dentry.pointer(offset!(dentry.sb)));
    let magic: u64 = super_block.field(offset!(super_block.magic));
    let first: u8 = Structure::<Probed>::new(target).field(0);
    let crosses = magic != OVERLAY_MAGIC && first == b'/';
    let file = File::entry(Structure::<Probed>::new(folder).pointer(0), entry);
    let critical = (crosses || is_trusted_device(entry)) && is_contained(current());
    if !critical && !is_wanted(&file, WATCH_NAME) {
        tally.filtered();
        return;
    }
    let mut tally = tally;
    if !critical {
        tally.travel(RingClass::Bulk);
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(NAME_VALUE_OPERATION, NAME_SYMLINK);
    action.file(&file);
    action.filesystem_path(&file);
    // The entry has no inode yet.
    let facts = action.file_facts();
    facts.mode = TYPE_SYMLINK;
    facts.device = super_block.field(offset!(super_block.dev));
    facts.filesystem_magic = magic as u32;
    action.text(target);
    action.send();
}

/// Whether an entry has the name of a device that a runtime uses on behalf of a container: `null`, `console`, or a
/// terminal below `pts`.
#[inline(always)]
fn is_trusted_device(entry: *const u8) -> bool {
    let name = first_word(entry);
    let parent = Structure::<Probed>::new(entry).pointer(offset!(dentry.parent));
    let pts = u32::from_ne_bytes(*b"pts\0");
    name == u64::from_ne_bytes(*b"console\0")
        || name as u32 == u32::from_ne_bytes(*b"null") && (name >> 32) as u8 == 0
        || name as u32 == pts
        || first_word(parent) as u32 == pts
}

/// The first eight bytes of an entry's name, which lies in room of more than that.
#[inline(always)]
fn first_word(entry: *const u8) -> u64 {
    let name = Structure::<Probed>::new(entry).pointer(offset!(dentry.name));
    Structure::<Probed>::new(name).field(0)
}

/// `reasons`: whether it is rare and of high value, and whether it is on a watch list. With neither it is not told.
#[inline(always)]
fn send<W: Way>(mut tally: Tally, operation: u64, reasons: [bool; 2], file: &File, other: Option<&File>) {
    let [critical, listed] = reasons;
    // overlayfs does the same below, with its own credentials.
    if !(critical || listed) || current().acts_for_another() {
        tally.filtered();
        return;
    }
    if !critical {
        tally.travel(RingClass::Bulk);
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(NAME_VALUE_OPERATION, operation);
    action.file(file);
    if let Some(other) = other {
        action.other_file(other);
    }
    action.filesystem_path(file);
    action.send();
}
