//! Bind mounts by mount(2): what the kernel found at the source, which mount(2)'s own hook knows only the name of.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use sensor_ebpf::abi::{BIND_VALUE_NODE, EventKind};

use crate::action::Action;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::file::File;
use crate::kernel::offset;
use crate::maps::PENDING_BINDS;

/// A bind mount whose source is not found yet. The kernel keeps what the pointers lead to until mount(2) returns.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct PendingBind {
    /// `struct vfsmount *` of where it is attached.
    mount: u64,
    /// `struct dentry *` of where it is attached.
    dentry: u64,
    /// The source's name as passed, copied from user memory.
    source: u64,
}

/// Remembers a bind mount that the current thread asks for.
#[inline(always)]
pub fn remember(target: &File, source: *const u8) {
    let pending =
        PendingBind { mount: target.mount as u64, dentry: target.dentry as u64, source: source as u64 };
    // Without room the mount is told by its names only.
    let _ = PENDING_BINDS.insert(bpf_get_current_pid_tgid(), pending, 0);
}

entries!(bind_mount => bind_mount_fentry, bind_mount_kprobe);

/// `clone_mnt(struct mount *old, struct dentry *root, int flag)`, unchanged from 5.10 to 7.2: a bind mount is a clone of a
/// mount with another root. So is a new mount namespace, but with other flags.
#[inline(always)]
fn bind_mount<W: Way>(way: &W) {
    /// `CL_COPY_UNBINDABLE` of fs/pnode.h: all copies for a new namespace have it, no bind mount has.
    const COPY_ALL: u64 = 4;
    let old = argument!(way, clone_mount.old) as *const u8;
    let root = argument!(way, clone_mount.root) as *const u8;
    let flags = argument!(way, clone_mount.flags);
    let Some(tally) = seen(EventKind::BindMount) else { return };
    let thread = bpf_get_current_pid_tgid();
    let pending = match PENDING_BINDS.get_ptr(thread) {
        // SAFETY: the pointer comes from the map; only this thread writes its own entry.
        Some(pending) => unsafe { *pending },
        None => {
            tally.filtered();
            return;
        }
    };
    // One that is gone already was pushed out, which is no harm.
    let _ = PENDING_BINDS.remove(thread);
    if flags & COPY_ALL != 0 {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    let source = File::entry(old.wrapping_add(offset!(mount.mnt) as usize), root);
    action.value(BIND_VALUE_NODE, u64::from(source.device()));
    action.file(&File::entry(pending.mount as *const u8, pending.dentry as *const u8));
    action.other_file(&source);
    action.filesystem_path(&source);
    action.text(pending.source as *const u8);
    action.send();
}
