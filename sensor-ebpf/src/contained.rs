//! Which processes the filters take for a container's: those in another mount namespace than the host's, and all that
//! descend from one that ever was. User space decides exactly; this only keeps what nobody wants out of the rings.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use sensor_ebpf::abi::{EventKind, Settings};

use crate::action::current;
use crate::emit::{Tally, seen};
use crate::kernel::{Access, Probed, Structure, Task, offset};
use crate::maps::{CONTAINED, SETTINGS};

/// A load-time setting, as the constant that the verifier knows from the frozen map.
#[inline(always)]
pub fn settings() -> Settings {
    // SAFETY: a read of an initialised static; volatile, because the loader overrides it after compilation.
    unsafe { core::ptr::read_volatile(&raw const SETTINGS) }
}

/// Counts one run of a hook; `None`, counted as filtered, if the current task is none of a container.
#[inline(always)]
pub fn seen_in_container(kind: EventKind) -> Option<Tally> {
    let tally = seen(kind)?;
    if is_contained(current()) {
        return Some(tally);
    }
    tally.filtered();
    None
}

/// Whether the current task, which is `task`, is a container's.
#[inline(always)]
pub fn is_contained(task: Task<Probed>) -> bool {
    let process_id = (bpf_get_current_pid_tgid() >> 32) as u32;
    is_tracked(process_id) || is_elsewhere(mount_namespace(task))
}

/// Whether a process is remembered as a container's.
#[inline(always)]
pub fn is_tracked(process_id: u32) -> bool {
    CONTAINED.get_ptr(process_id).is_some()
}

/// Whether a mount namespace is another than the host's. A task that is exiting has none.
#[inline(always)]
pub fn is_elsewhere(mount_namespace: u32) -> bool {
    mount_namespace != 0 && mount_namespace != settings().host_mount_namespace
}

/// Remembers a process; false if there is no room.
#[inline(always)]
pub fn track(process_id: u32) -> bool {
    CONTAINED.insert(process_id, 1, 0).is_ok()
}

/// Forgets a process that has ended.
#[inline(always)]
pub fn forget(process_id: u32) {
    // One that was not there needs no forgetting.
    let _ = CONTAINED.remove(process_id);
}

/// Inode number of a task's mount namespace.
#[inline(always)]
pub fn mount_namespace<A: Access>(task: Task<A>) -> u32 {
    let proxy = Structure::<Probed>::new(task.pointer(offset!(task.nsproxy)));
    Structure::<Probed>::new(proxy.pointer(offset!(nsproxy.mnt_ns))).field(offset!(mnt_namespace.inum))
}
