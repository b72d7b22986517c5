//! Changes of the root folder: chroot and pivot_root.

use sensor_ebpf::abi::EventKind;

use crate::action::Action;
use crate::contained::seen_in_container;
use crate::entries::{Way, argument, entries};
use crate::file::File;

entries!(chroot => chroot_lsm, chroot_fentry, chroot_kprobe);

/// `security_path_chroot(const struct path *path)`, unchanged from 5.10 to 7.2. Daemons of the host that lock themselves
/// up are not told.
#[inline(always)]
fn chroot<W: Way>(way: &W) {
    let path = argument!(way, chroot.path) as *const u8;
    let Some(tally) = seen_in_container(EventKind::Chroot) else { return };
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    let root = File::path(path);
    action.file(&root);
    action.filesystem_path(&root);
    action.send();
}

entries!(pivot_root => pivot_root_lsm, pivot_root_fentry, pivot_root_kprobe);

/// `security_sb_pivotroot(const struct path *old_path, const struct path *new_path)`, unchanged from 5.10 to 7.2;
/// `old_path` is where the old root is put.
#[inline(always)]
fn pivot_root<W: Way>(way: &W) {
    let old = argument!(way, pivot_root.old) as *const u8;
    let new = argument!(way, pivot_root.new) as *const u8;
    let Some(tally) = seen_in_container(EventKind::PivotRoot) else { return };
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.file(&File::path(new));
    action.other_file(&File::path(old));
    action.send();
}
