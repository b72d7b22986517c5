//! Names of files: links, symlinks, renames and removals, where they concern binaries of the runtime, lend privilege, or
//! put something in the place of a device that the runtime trusts.

use sensor_ebpf::abi::{EventKind, NAME_LINK, NAME_RENAME, NAME_SYMLINK, NAME_UNLINK, NAME_VALUE_OPERATION};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::{Tally, seen};
use crate::entries::{Way, argument, entries};
use crate::file::{File, OVERLAY_MAGIC, TYPE_MASK, TYPE_SYMLINK, is_privileged};
use crate::kernel::{Probed, Structure, offset};

entries!(link => link_lsm, link_fentry, link_kprobe);

/// `security_path_link(struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry)`, unchanged from
/// 5.10 to 7.2. Both names lie on one mount.
#[inline(always)]
fn link<W: Way>(way: &W) {
    let old_entry = argument!(way, link.old_entry) as *const u8;
    let folder = argument!(way, link.folder) as *const u8;
    let entry = argument!(way, link.entry) as *const u8;
    let Some(tally) = seen(EventKind::FileName) else { return };
    let mount = Structure::<Probed>::new(folder).pointer(0);
    let file = File::entry(mount, old_entry);
    let lends = file.is_regular() && is_privileged(file.mode()) && is_contained(current());
    if !(lends || file.is_watched()) {
        tally.filtered();
        return;
    }
    send::<W>(tally, NAME_LINK, &file, &File::entry(mount, entry));
}

entries!(rename => rename_lsm, rename_fentry, rename_kprobe);

/// `security_path_rename(const struct path *old_dir, struct dentry *old_dentry, const struct path *new_dir, struct dentry
/// *new_dentry, unsigned int flags)`, unchanged from 5.10 to 7.2.
#[inline(always)]
fn rename<W: Way>(way: &W) {
    let old_folder = argument!(way, rename.old_folder) as *const u8;
    let old_entry = argument!(way, rename.old_entry) as *const u8;
    let folder = argument!(way, rename.folder) as *const u8;
    let entry = argument!(way, rename.entry) as *const u8;
    let Some(tally) = seen(EventKind::FileName) else { return };
    let file = File::entry(Structure::<Probed>::new(old_folder).pointer(0), old_entry);
    let replaced = File::entry(Structure::<Probed>::new(folder).pointer(0), entry);
    let swapped =
        file.mode() & TYPE_MASK == TYPE_SYMLINK && is_trusted_device(entry) && is_contained(current());
    if !(swapped || file.is_watched() || replaced.is_watched()) {
        tally.filtered();
        return;
    }
    send::<W>(tally, NAME_RENAME, &file, &replaced);
}

entries!(unlink => unlink_lsm, unlink_fentry, unlink_kprobe);

/// `security_path_unlink(const struct path *dir, struct dentry *dentry)`, unchanged from 5.10 to 7.2.
#[inline(always)]
fn unlink<W: Way>(way: &W) {
    let folder = argument!(way, unlink.folder) as *const u8;
    let entry = argument!(way, unlink.entry) as *const u8;
    let Some(tally) = seen(EventKind::FileName) else { return };
    let file = File::entry(Structure::<Probed>::new(folder).pointer(0), entry);
    if !file.is_watched() {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(NAME_VALUE_OPERATION, NAME_UNLINK);
    action.file(&file);
    action.send();
}

entries!(symlink => symlink_lsm, symlink_fentry, symlink_kprobe);

/// `security_path_symlink(const struct path *dir, struct dentry *dentry, const char *old_name)`, unchanged from 5.10 to
/// 7.2. Images and package managers are full of symlinks: told are those in the place of a device, and those on volumes
/// that lead to an absolute path, which may mean another file to others who share the volume.
#[inline(always)]
fn symlink<W: Way>(way: &W) {
    let folder = argument!(way, symlink.folder) as *const u8;
    let entry = argument!(way, symlink.entry) as *const u8;
    let target = argument!(way, symlink.target) as *const u8;
    let Some(tally) = seen(EventKind::FileName) else { return };
    let dentry = Structure::<Probed>::new(entry);
    let super_block = Structure::<Probed>::new(dentry.pointer(offset!(dentry.sb)));
    let magic: u64 = super_block.field(offset!(super_block.magic));
    let first: u8 = Structure::<Probed>::new(target).field(0);
    let crosses = magic != OVERLAY_MAGIC && first == b'/';
    if !((crosses || is_trusted_device(entry)) && is_contained(current())) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(NAME_VALUE_OPERATION, NAME_SYMLINK);
    let file = File::entry(Structure::<Probed>::new(folder).pointer(0), entry);
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

#[inline(always)]
fn send<W: Way>(tally: Tally, operation: u64, file: &File, other: &File) {
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(NAME_VALUE_OPERATION, operation);
    action.file(file);
    action.other_file(other);
    action.filesystem_path(file);
    action.send();
}
