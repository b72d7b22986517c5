//! Opens, working folders, splices and device nodes.

use sensor_ebpf::abi::{DEVICE_VALUE_MODE, DEVICE_VALUE_NUMBER, EventKind};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::seen;
use crate::file::File;
use crate::hooks::device::{TYPE_BLOCK, TYPE_CHARACTER, TYPE_MASK, device_number};
use crate::hooks::handle::opened_by_handle;
use crate::hooks::open::opened;
use crate::hooks::open_attempt::{O_PATH, open_place};
use crate::hooks::splice::{FEW, splices};
use crate::hooks::working_folder::is_namespace_root;
use crate::kernel::{Probed, Structure, offset};
use crate::system_call::{SystemCall, system_calls};

system_calls! {
    /// open, openat, openat2, creat
    open_system_call => open;
    /// open_by_handle_at
    handle_open_system_call => handle_open;
    /// chdir, fchdir
    working_folder_system_call => working_folder;
    /// splice
    splice_system_call => splice;
    /// sendfile
    sendfile_system_call => sendfile;
    /// mknod
    mknod_system_call => mknod;
    /// mknodat
    mknodat_system_call => mknodat;
}

#[inline(always)]
fn open(call: &SystemCall) {
    let file = call.opened_file();
    let Some(tally) = seen(EventKind::FileOpen) else { return };
    if file.is_null() {
        tally.filtered();
        return;
    }
    let flags: u32 = Structure::<Probed>::new(file).field(offset!(file.flags));
    if flags & O_PATH != 0 {
        open_place(tally, &File::open(file), flags, call.entered());
    } else {
        opened(tally, file, call.entered());
    }
}

/// `open_by_handle_at(int mountdirfd, struct file_handle *handle, int flags)`, refused or not.
#[inline(always)]
fn handle_open(call: &SystemCall) {
    opened_by_handle(call.argument::<0>() as u32, call.pointer::<1>(), call.argument::<2>(), call.entered());
    if !call.failed() {
        open(call);
    }
}

/// The folder where the process stands now.
#[inline(always)]
fn working_folder(call: &SystemCall) {
    let task = current();
    let fs = Structure::<Probed>::new(task.pointer(offset!(task.fs)));
    let folder = File::entry(fs.pointer(offset!(fs.pwd_mnt)), fs.pointer(offset!(fs.pwd_dentry)));
    let Some(tally) = seen(EventKind::WorkingFolder) else { return };
    if call.failed() || !is_contained(task) || !folder.is_foreign_to(task) || is_namespace_root(&folder) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.file(&folder);
    action.filesystem_path(&folder);
    action.send();
}

/// `splice(int fd_in, loff_t *off_in, int fd_out, loff_t *off_out, size_t len, unsigned int flags)`
#[inline(always)]
fn splice(call: &SystemCall) {
    let Some(tally) = seen(EventKind::Splice) else { return };
    if call.failed() {
        tally.filtered();
        return;
    }
    splices(tally, [call.file::<0>(), call.file::<2>()], call.argument::<4>(), FEW, call.entered());
}

/// `sendfile(int out_fd, int in_fd, off_t *offset, size_t count)`
#[inline(always)]
fn sendfile(call: &SystemCall) {
    let Some(tally) = seen(EventKind::Splice) else { return };
    if call.failed() {
        tally.filtered();
        return;
    }
    splices(tally, [call.file::<1>(), call.file::<0>()], call.argument::<3>(), 0, call.entered());
}

/// `mknod(const char *path, mode_t mode, dev_t dev)`
#[inline(always)]
fn mknod(call: &SystemCall) {
    device_node(call, call.pointer::<0>(), call.argument::<1>(), call.argument::<2>());
}

/// `mknodat(int dirfd, const char *path, mode_t mode, dev_t dev)`
#[inline(always)]
fn mknodat(call: &SystemCall) {
    device_node(call, call.pointer::<1>(), call.argument::<2>(), call.argument::<3>());
}

/// Told with the path as it was passed.
#[inline(always)]
fn device_node(call: &SystemCall, path: *const u8, mode: u64, device: u64) {
    let Some(tally) = seen(EventKind::DeviceNode) else { return };
    let is_device = matches!(mode & TYPE_MASK, TYPE_CHARACTER | TYPE_BLOCK);
    if call.failed() || !is_device || !is_contained(current()) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.value(DEVICE_VALUE_MODE, mode & 0xffff);
    action.value(DEVICE_VALUE_NUMBER, device_number(device));
    action.user_text(path);
    action.send();
}
