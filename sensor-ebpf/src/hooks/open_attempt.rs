//! Opens that `security_file_open` does not see: those that only name a place (O_PATH), and writes that the kernel refuses
//! before it asks anybody, because the file runs (ETXTBSY) or lies on a read-only mount (EROFS).
//!
//! The exit of `do_filp_open` would show the error but not the file. So the attempt is taken at its entry, where the file
//! is known, and judged by the state that the kernel itself looks at next.

use sensor_ebpf::abi::{
    EventKind, OPEN_FOREIGN_MOUNT, OPEN_VALUE_FLAGS, OPEN_VALUE_MODE, OPEN_VALUE_REASONS, OPEN_WATCHED,
};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::{Tally, seen};
use crate::entries::{Entered, Way, argument, entries};
use crate::file::File;
use crate::hooks::open::MODE_WRITE;
use crate::kernel::{Probed, Structure, offset};

/// `O_PATH` of include/uapi/asm-generic/fcntl.h.
pub const O_PATH: u32 = 0o10_000_000;
/// `O_WRONLY | O_TRUNC`
const WRITE_AND_TRUNCATE: u64 = 0o1001;
/// `ETXTBSY` of include/uapi/asm-generic/errno-base.h.
const TEXT_FILE_BUSY: i32 = 26;
/// `EROFS` of the same file.
const READ_ONLY_FILESYSTEM: i32 = 30;

entries!(open_attempt => open_attempt_fentry, open_attempt_kprobe);

/// `vfs_open(const struct path *path, struct file *file)`, unchanged from 5.10 to 7.2: the last step of every open by
/// path. `file` has its flags by now, but not its path.
#[inline(always)]
fn open_attempt<W: Way>(way: &W) {
    let path = argument!(way, open_attempt.path) as *const u8;
    let file = Structure::<Probed>::new(argument!(way, open_attempt.file) as *const u8);
    let Some(tally) = seen(EventKind::FileOpen) else { return };
    let flags: u32 = file.field(offset!(file.flags));
    let mode: u32 = file.field(offset!(file.mode));
    if flags & O_PATH == 0 && mode & MODE_WRITE == 0 || current().acts_for_another() {
        tally.filtered();
        return;
    }
    let target = File::path(path);
    if flags & O_PATH != 0 {
        open_place(tally, &target, flags, Entered::by(W::RUNG));
        return;
    }
    let result = refusal(&target);
    if result == 0 || !target.is_watched() {
        tally.filtered();
        return;
    }
    let values = [u64::from(flags), u64::from(mode), OPEN_WATCHED];
    send(tally, &target, values, Entered { rung: W::RUNG, result });
}

/// An open with O_PATH, whatever it asks for besides.
#[inline(always)]
pub fn open_place(tally: Tally, target: &File, flags: u32, entered: Entered) {
    let task = current();
    let mut reasons = 0;
    if is_contained(task) {
        if target.is_foreign_to(task) {
            reasons |= OPEN_FOREIGN_MOUNT;
        }
        if target.is_watched() {
            reasons |= OPEN_WATCHED;
        }
    }
    if reasons == 0 {
        tally.filtered();
        return;
    }
    send(tally, target, [u64::from(flags), 0, reasons], entered);
}

/// The error with which the kernel will refuse to open a file for writing; 0 if none of these applies. As
/// `do_dentry_open` decides: `get_write_access`, then `mnt_get_write_access`.
#[inline(always)]
fn refusal(file: &File) -> i32 {
    let inode = Structure::<Probed>::new(file.inode);
    if inode.field::<i32>(offset!(inode.writecount)) < 0 {
        return -TEXT_FILE_BUSY;
    }
    if is_read_only(Structure::new(file.mount)) { -READ_ONLY_FILESYSTEM } else { 0 }
}

/// Whether a `struct vfsmount` or its superblock is read-only.
#[inline(always)]
fn is_read_only(mount: Structure<Probed>) -> bool {
    /// `MNT_READONLY` of include/linux/mount.h.
    const MOUNT_READ_ONLY: u32 = 0x40;
    /// `SB_RDONLY` of include/linux/fs.h.
    const SUPERBLOCK_READ_ONLY: u64 = 1;
    let super_block = Structure::<Probed>::new(mount.pointer(offset!(vfsmount.sb)));
    let mount_flag = u64::from(mount.field::<u32>(offset!(vfsmount.flags)) & MOUNT_READ_ONLY);
    let super_block_flag = super_block.field::<u64>(offset!(super_block.flags)) & SUPERBLOCK_READ_ONLY;
    mount_flag | super_block_flag != 0
}

entries!(mount_write => mount_write_fentry, mount_write_kprobe);

/// `mnt_want_write(struct vfsmount *m)`, unchanged from 5.10 to 7.2. An open with O_TRUNC asks this before all else, so on
/// a read-only mount it comes no further. The file is where the task's walk along the path stands.
#[inline(always)]
fn mount_write<W: Way>(way: &W) {
    let mount = Structure::<Probed>::new(argument!(way, mount_write.mount) as *const u8);
    let Some(tally) = seen(EventKind::FileOpen) else { return };
    if !is_read_only(mount) {
        tally.filtered();
        return;
    }
    let walk = Structure::<Probed>::new(current().pointer(offset!(task.nameidata)));
    let target =
        File::entry(walk.pointer(offset!(nameidata.path_mnt)), walk.pointer(offset!(nameidata.path_dentry)));
    if walk.0.is_null() || !target.is_watched() {
        tally.filtered();
        return;
    }
    let values = [WRITE_AND_TRUNCATE, u64::from(MODE_WRITE), OPEN_WATCHED];
    send(tally, &target, values, Entered { rung: W::RUNG, result: -READ_ONLY_FILESYSTEM });
}

/// `values`: flags, mode and reasons.
#[inline(always)]
fn send(tally: Tally, file: &File, values: [u64; 3], entered: Entered) {
    let Some(mut action) = Action::begin_entered(tally, entered) else { return };
    action.value(OPEN_VALUE_FLAGS, values[0]);
    action.value(OPEN_VALUE_MODE, values[1]);
    action.value(OPEN_VALUE_REASONS, values[2]);
    action.file(file);
    action.send();
}
