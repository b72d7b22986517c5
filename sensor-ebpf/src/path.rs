//! Walks a path from its last component to the process's root, across mounts.
//!
//! The walk is a global function with scalar arguments: the verifier checks its body once, not once for each of the
//! two thousand components that PATH_MAX allows. So its state lies in scratch space and all reads are probed. Three of
//! them, one inside the other, keep each body short, which is most of the time that loading a program takes.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use sensor_ebpf::abi::{
    FILE_DETACHED_MOUNT, FILE_FOREIGN_MOUNT, FILE_NO_PARENT, FILE_OUTSIDE_ROOT, FILE_PATH_TRUNCATED, PATH_MAX,
};

use crate::action::slot_at;
use crate::emit::{ExecScratch, Scratch};
use crate::file::is_no_namespace;
use crate::kernel::{Access, Probed, Structure, Task, offset};

/// Components handled in one call of [`walk_components`].
const STEPS: u32 = 8;
/// Calls in each of two loops around it: together more than the 2,048 components that fit in PATH_MAX, and the mounts
/// between them.
const CALLS: u32 = 17;
/// A component holds at most 255 bytes and its NUL.
const COMPONENT_MAX: usize = 256;

/// State of a walk.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Walk {
    /// Current `struct dentry *`.
    dentry: u64,
    /// Current `struct mount *`.
    mount: u64,
    /// The process's root dentry, where the walk ends.
    root_dentry: u64,
    /// The process's root `struct vfsmount *`.
    root_vfsmount: u64,
    /// Where in the scratch data the next component goes.
    position: u32,
    /// Where the first component went.
    start: u32,
    /// `FILE_*` flags found on the way.
    flags: u32,
    /// Not zero once the walk has ended.
    done: u32,
}

/// Which work space a walk writes to.
#[derive(Clone, Copy)]
pub enum Walker {
    /// This CPU's exec scratch space.
    Exec,
    /// An action slot.
    Action(u32),
}

/// Where the process stands, which a path is seen from.
#[derive(Clone, Copy)]
pub struct Place {
    /// Its root: `struct vfsmount *`.
    pub root_vfsmount: *const u8,
    /// Its root: `struct dentry *`.
    pub root_dentry: *const u8,
    /// Its `struct mnt_namespace *`.
    pub mount_namespace: *const u8,
}

impl Place {
    /// Where a task stands.
    #[inline(always)]
    pub fn of<A: Access>(task: Task<A>) -> Self {
        let fs = Structure::<Probed>::new(task.pointer(offset!(task.fs)));
        let proxy = Structure::<Probed>::new(task.pointer(offset!(task.nsproxy)));
        Self {
            root_vfsmount: fs.pointer(offset!(fs.root_mnt)),
            root_dentry: fs.pointer(offset!(fs.root_dentry)),
            mount_namespace: proxy.pointer(offset!(nsproxy.mnt_ns)),
        }
    }

    /// In a mount namespace, with a root that no folder is: walks end at the top of the mounts.
    #[inline(always)]
    pub fn top(mount_namespace: *const u8) -> Self {
        Self { root_vfsmount: core::ptr::dangling(), root_dentry: core::ptr::null(), mount_namespace }
    }
}

/// Writes the components of `vfsmount`/`dentry` at `position` of the walker's scratch space, leaf first, each ended by
/// NUL. Gives the bytes written and `FILE_*` flags.
#[inline(always)]
pub fn walk<const BYTES: usize>(
    walker: Walker,
    scratch: &mut Scratch<BYTES>,
    position: u64,
    vfsmount: *const u8,
    dentry: *const u8,
    place: &Place,
) -> (u32, u32) {
    let mount = Structure::<Probed>::new(vfsmount.wrapping_sub(offset!(mount.mnt) as usize));
    let namespace = mount.pointer(offset!(mount.namespace));
    let mut flags = 0;
    if is_no_namespace(namespace) {
        flags |= FILE_DETACHED_MOUNT;
    }
    if namespace != place.mount_namespace {
        flags |= FILE_FOREIGN_MOUNT;
    }
    let state = Walk {
        dentry: dentry as u64,
        mount: mount.0 as u64,
        root_vfsmount: place.root_vfsmount as u64,
        root_dentry: place.root_dentry as u64,
        position: position as u32,
        start: position as u32,
        flags,
        done: 0,
    };
    // SAFETY: as below; volatile, so that it is written before the call.
    unsafe { core::ptr::write_volatile(&raw mut scratch.walk, state) };
    match walker {
        Walker::Exec => walk_path(CALLS),
        Walker::Action(slot) => walk_action_path(CALLS, slot),
    };
    // The callee wrote the state through a pointer of its own, which LLVM does not know.
    // SAFETY: plain reads of an initialised structure that lives in the map.
    let state = unsafe { core::ptr::read_volatile(&raw const scratch.walk) };
    let flags = if state.done == 0 { state.flags | FILE_PATH_TRUNCATED } else { state.flags };
    (state.position.wrapping_sub(state.start), flags)
}

/// Calls `walk` up to `calls` times, at most [`CALLS`], until it says that the walk has ended.
#[inline(always)]
fn repeat(calls: u32, walk: impl Fn() -> u32) -> u32 {
    let mut call = 0;
    while call < CALLS {
        if call >= calls || walk() != 0 {
            return 1;
        }
        call += 1;
    }
    0
}

/// Walks a whole path in the exec scratch space; not zero once the walk has ended.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn walk_path(calls: u32) -> u32 {
    repeat(calls, || walk_stretch(CALLS))
}

/// Walks a stretch of a path in the exec scratch space; not zero once the walk has ended.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn walk_stretch(calls: u32) -> u32 {
    repeat(calls, || walk_components(STEPS))
}

/// Walks a whole path in an action slot; not zero once the walk has ended.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn walk_action_path(calls: u32, slot: u32) -> u32 {
    repeat(calls, || walk_action_stretch(CALLS, slot))
}

/// Walks a stretch of a path in an action slot; not zero once the walk has ended.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn walk_action_stretch(calls: u32, slot: u32) -> u32 {
    repeat(calls, || walk_action_components(STEPS, slot))
}

/// Walks up to `steps` components in the exec scratch space; not zero once the walk has ended.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn walk_components(steps: u32) -> u32 {
    match ExecScratch::mine() {
        Some(scratch) => take_steps(scratch, steps),
        None => 1,
    }
}

/// Walks up to `steps` components in an action slot; not zero once the walk has ended.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn walk_action_components(steps: u32, slot: u32) -> u32 {
    match slot_at(slot) {
        Some(slot) => take_steps(&mut slot.scratch, steps),
        None => 1,
    }
}

#[inline(always)]
fn take_steps<const BYTES: usize>(scratch: &mut Scratch<BYTES>, steps: u32) -> u32 {
    let mut step = 0;
    while step < STEPS {
        if step >= steps || !walk_component(scratch) {
            scratch.walk.done = 1;
            return 1;
        }
        step += 1;
    }
    0
}

/// One component; false once the walk has ended.
#[inline(always)]
fn walk_component<const BYTES: usize>(scratch: &mut Scratch<BYTES>) -> bool {
    let state = &mut scratch.walk;
    let dentry = Structure::<Probed>::new(state.dentry as *const u8);
    let mount = Structure::<Probed>::new(state.mount as *const u8);
    let vfsmount = Structure::<Probed>::new(mount.0.wrapping_add(offset!(mount.mnt) as usize));
    if state.dentry == state.root_dentry && vfsmount.0 as u64 == state.root_vfsmount {
        return false;
    }
    let parent = dentry.pointer(offset!(dentry.parent));
    let mount_root = vfsmount.pointer(offset!(vfsmount.root));
    if dentry.0 == mount_root {
        let mount_parent = mount.pointer(offset!(mount.parent));
        if mount_parent == mount.0 || mount_parent.is_null() {
            state.flags |= FILE_OUTSIDE_ROOT;
            return false;
        }
        state.dentry = mount.pointer(offset!(mount.mountpoint)) as u64;
        state.mount = mount_parent as u64;
        return true;
    }
    let no_parent = parent == dentry.0 || parent.is_null();
    if state.position.wrapping_sub(state.start) >= PATH_MAX as u32 {
        state.flags |= FILE_PATH_TRUNCATED;
        return false;
    }
    let position = state.position;
    let name = dentry.pointer(offset!(dentry.name));
    let target = scratch.at(u64::from(position));
    // SAFETY: `target` has room for a component; the helper checks `name`.
    let read = unsafe { bpf_probe_read_kernel_str(target.cast(), COMPONENT_MAX as u32, name.cast()) };
    let state = &mut scratch.walk;
    if read <= 0 {
        return false;
    }
    state.position = position + (read as u32 & 0x1ff);
    if no_parent {
        state.flags |= FILE_NO_PARENT;
        return false;
    }
    state.dentry = parent as u64;
    true
}
