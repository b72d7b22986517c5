//! Mounts, by both APIs: mount(2), and fsopen, fsmount and move_mount. Both set up a superblock.
//!
//! The host mounts for containers all day: of it only what shows a folder in a second place is told.

use sensor_ebpf::abi::{
    BIND_VALUE_NODE, EventKind, MOUNT_VALUE_FLAGS, SUPERBLOCK_VALUE_BLOCK_BACKED, SUPERBLOCK_VALUE_DEVICE,
    SUPERBLOCK_VALUE_FLAGS, SUPERBLOCK_VALUE_USER_NAMESPACE_LEVEL,
};

use crate::action::{Action, current};
use crate::bounds::differs;
use crate::contained::{is_contained, seen_in_container};
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::file::File;
use crate::hooks::bind;
use crate::kernel::{Probed, Structure, offset};

entries!(superblock => superblock_lsm, superblock_fentry, superblock_kprobe);

/// `security_sb_set_mnt_opts(struct super_block *sb, ...)`: at the end of `vfs_get_tree`, also where the superblock was
/// there before. Unchanged from 5.10 to 7.2.
#[inline(always)]
fn superblock<W: Way>(way: &W) {
    let super_block = Structure::<Probed>::new(argument!(way, superblock.sb) as *const u8);
    // SB_KERNMOUNT says nothing here: the kernel's own first mount of tracefs leaves it set for all later ones.
    let Some(tally) = seen_in_container(EventKind::Superblock) else { return };
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    describe(&mut action, super_block);
    action.send();
}

/// What is known of a superblock. Texts are its type and what it calls itself: of a disk the device's name.
#[inline(always)]
pub fn describe(action: &mut Action, super_block: Structure<Probed>) {
    /// `FS_REQUIRES_DEV` of include/linux/fs.h. btrfs needs a device, but its superblocks name none.
    const NEEDS_DEVICE: u64 = 1;
    let kind = Structure::<Probed>::new(super_block.pointer(offset!(super_block.fs_type)));
    let owner = Structure::<Probed>::new(super_block.pointer(offset!(super_block.user_ns)));
    let has_device = differs(super_block.pointer(offset!(super_block.bdev)) as u64, 0);
    let needs_device = u64::from(kind.field::<u32>(offset!(filesystem_type.flags))) & NEEDS_DEVICE;
    action.value(SUPERBLOCK_VALUE_DEVICE, u64::from(super_block.field::<u32>(offset!(super_block.dev))));
    action.value(SUPERBLOCK_VALUE_FLAGS, super_block.field::<u64>(offset!(super_block.flags)) & 0xffff_ffff);
    action.value(
        SUPERBLOCK_VALUE_USER_NAMESPACE_LEVEL,
        u64::from(owner.field::<u32>(offset!(user_namespace.level))),
    );
    action.value(SUPERBLOCK_VALUE_BLOCK_BACKED, has_device | needs_device);
    action.text(kind.pointer(offset!(filesystem_type.name)));
    action.other_text(super_block.0.wrapping_add(offset!(super_block.id) as usize));
}

/// `MS_REMOUNT` of include/uapi/linux/mount.h.
pub const REMOUNT: u64 = 0x20;
/// `MS_BIND` of the same file.
pub const BIND: u64 = 0x1000;

entries!(mount => mount_lsm, mount_fentry, mount_kprobe);

/// `security_sb_mount(const char *dev_name, const struct path *path, const char *type, unsigned long flags, void *data)`,
/// unchanged from 5.10 to 7.2. The names were copied from user memory; either may be absent.
#[inline(always)]
fn mount<W: Way>(way: &W) {
    let source = argument!(way, mount.source) as *const u8;
    let path = argument!(way, mount.path) as *const u8;
    let filesystem = argument!(way, mount.filesystem) as *const u8;
    let flags = argument!(way, mount.flags);
    let Some(tally) = seen(EventKind::Mount) else { return };
    let target = File::path(path);
    if flags & (BIND | REMOUNT) == BIND {
        bind::remember(&target, source);
    }
    if !is_contained(current()) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.value(MOUNT_VALUE_FLAGS, flags);
    action.file(&target);
    if !filesystem.is_null() {
        action.text(filesystem);
    }
    if !source.is_null() {
        action.other_text(source);
    }
    action.send();
}

entries!(move_mount => move_mount_lsm, move_mount_fentry, move_mount_kprobe);

/// `security_move_mount(const struct path *from_path, const struct path *to_path)`, unchanged from 5.10 to 7.2. What was
/// opened with open_tree, or made by fsmount, is seen in its new place here only. The host's own are told too: newer
/// mount programs make bind mounts so.
#[inline(always)]
fn move_mount<W: Way>(way: &W) {
    let from = argument!(way, move_mount.from) as *const u8;
    let to = argument!(way, move_mount.to) as *const u8;
    let Some(tally) = seen(EventKind::MoveMount) else { return };
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    let from = File::path(from);
    action.file(&File::path(to));
    action.other_file(&from);
    action.filesystem_path(&from);
    action.value(BIND_VALUE_NODE, u64::from(from.device()));
    describe(&mut action, from.super_block());
    action.send();
}
