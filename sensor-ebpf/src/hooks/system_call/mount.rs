//! Mounts, as the mount namespace shows them once the call has returned: whatever names led there, and whatever the
//! caller writes over them.

use sensor_ebpf::abi::{BIND_VALUE_NODE, EventKind, MISSING, MOUNT_VALUE_FLAGS};

use crate::action::{Action, current};
use crate::contained::{is_contained, seen_in_container};
use crate::emit::seen;
use crate::file::File;
use crate::hooks::mount::{BIND, REMOUNT, describe};
use crate::hooks::parameter::parameter_of;
use crate::kernel::{Probed, Structure, offset};
use crate::system_call::{SystemCall, system_calls};

system_calls! {
    /// mount
    mount_system_call => mount;
    /// fsmount
    fsmount_system_call => fsmount;
    /// move_mount
    move_mount_system_call => move_mount;
    /// fsconfig
    fsconfig_system_call => fsconfig;
}

/// `MS_MOVE` and the four kinds of propagation (include/uapi/linux/mount.h): nothing new is mounted.
const MOVE_OR_PROPAGATION: u64 = 0x2000 | 0x1e_0000;

/// `mount(const char *source, const char *target, const char *filesystem, unsigned long flags, const void *data)`
#[inline(always)]
fn mount(call: &SystemCall) {
    let Some(tally) = seen_in_container(EventKind::Mount) else {
        return shown(call);
    };
    if call.failed() {
        tally.filtered();
        return;
    }
    let flags = call.argument::<3>();
    let is_new = flags & (REMOUNT | MOVE_OR_PROPAGATION) == 0;
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.value(MOUNT_VALUE_FLAGS, flags);
    let (source, filesystem) = (call.pointer::<0>(), call.pointer::<2>());
    if is_new {
        action.file(&newest().1);
    }
    if !filesystem.is_null() {
        action.user_text(filesystem);
    }
    if !source.is_null() {
        action.other_user_text(source);
    }
    action.send();
    if is_new && flags & BIND == 0 {
        superblock(call, newest().0);
    }
    shown(call);
}

/// A folder or file that mount(2) shows in a second place.
#[inline(always)]
fn shown(call: &SystemCall) {
    if call.failed() || call.argument::<3>() & (BIND | REMOUNT | MOVE_OR_PROPAGATION) != BIND {
        return;
    }
    let Some(tally) = seen(EventKind::BindMount) else { return };
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    let (source, target) = newest();
    action.value(BIND_VALUE_NODE, u64::from(source.device()));
    action.file(&target);
    action.other_file(&source);
    action.filesystem_path(&source);
    action.user_text(call.pointer::<0>());
    action.send();
}

/// `fsmount(int fs_fd, unsigned int flags, unsigned int attributes)` gives the new mount as a descriptor.
#[inline(always)]
fn fsmount(call: &SystemCall) {
    let file = call.opened_file();
    if !file.is_null() && is_contained(current()) {
        superblock(call, File::open(file));
    }
}

#[inline(always)]
fn superblock(call: &SystemCall, mounted: File) {
    let Some(tally) = seen(EventKind::Superblock) else { return };
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    describe(&mut action, mounted.super_block());
    action.send();
}

/// `move_mount(int from_dirfd, const char *from_path, int to_dirfd, const char *to_path, unsigned int flags)`: of a mount
/// that was opened as a descriptor, which those of the new mount API are.
#[inline(always)]
fn move_mount(call: &SystemCall) {
    /// `MOVE_MOUNT_F_EMPTY_PATH` of include/uapi/linux/mount.h.
    const FROM_DESCRIPTOR: u64 = 4;
    let Some(tally) = seen(EventKind::MoveMount) else { return };
    if call.failed() || call.argument::<4>() & FROM_DESCRIPTOR == 0 {
        tally.filtered();
        return;
    }
    let from = File::open(call.file::<0>());
    let Some(mut action) = Action::begin_entered(tally, call.entered()) else { return };
    action.file(&mount_point(from.mount.wrapping_sub(offset!(mount.mnt) as usize)));
    action.other_file(&from);
    action.filesystem_path(&from);
    action.value(BIND_VALUE_NODE, u64::from(from.device()));
    describe(&mut action, from.super_block());
    action.send();
}

/// `fsconfig(int fd, unsigned int command, const char *key, const void *value, int aux)`
#[inline(always)]
fn fsconfig(call: &SystemCall) {
    /// Commands of include/uapi/linux/mount.h up to `FSCONFIG_SET_FD` give a parameter, those behind it do something.
    const SET_FD: u64 = 5;
    let file = call.file::<0>();
    if call.argument::<1>() > SET_FD || file.is_null() {
        return;
    }
    let context = Structure::<Probed>::new(file).pointer(offset!(file.private_data));
    let Some(mut action) = parameter_of(Structure::new(context), call.entered()) else { return };
    action.other_user_text(call.pointer::<2>());
    action.send();
}

/// The root of the newest mount in the current mount namespace, and where that is attached.
#[inline(always)]
fn newest() -> (File, File) {
    let proxy = Structure::<Probed>::new(current().pointer(offset!(task.nsproxy)));
    let namespace = Structure::<Probed>::new(proxy.pointer(offset!(nsproxy.mnt_ns)));
    let mount = if offset!(mnt_namespace.tree) == MISSING {
        // Before 6.8 a list, to whose end new mounts are added.
        let last = namespace.pointer(offset!(mnt_namespace.list_last));
        last.wrapping_sub(offset!(mount.list) as usize)
    } else {
        // A tree by their unique numbers, which grow.
        last_node(namespace.pointer(offset!(mnt_namespace.tree))).wrapping_sub(offset!(mount.node) as usize)
    };
    let vfsmount = Structure::<Probed>::new(mount.wrapping_add(offset!(mount.mnt) as usize));
    (File::entry(vfsmount.0, vfsmount.pointer(offset!(vfsmount.root))), mount_point(mount))
}

/// The last `struct rb_node` of a tree, whose root is given.
#[inline(always)]
fn last_node(root: *const u8) -> *const u8 {
    /// Trees of 100,000 mounts, the kernel's limit for a namespace, are at most this high.
    const HEIGHT: u32 = 34;
    /// Where `struct rb_node` (include/linux/rbtree_types.h) holds `rb_right`.
    const RIGHT: u32 = 8;
    let mut node = root;
    let mut level = 0;
    while level < HEIGHT {
        let right = Structure::<Probed>::new(node).pointer(RIGHT);
        if right.is_null() {
            break;
        }
        node = right;
        level += 1;
    }
    node
}

/// Where a `struct mount *` is attached.
#[inline(always)]
fn mount_point(mount: *const u8) -> File {
    let mount = Structure::<Probed>::new(mount);
    let parent = mount.pointer(offset!(mount.parent)).wrapping_add(offset!(mount.mnt) as usize);
    File::entry(parent, mount.pointer(offset!(mount.mountpoint)))
}
