//! Many files of a container that are removed, renamed or emptied within a short time.

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use sensor_ebpf::abi::{DESTRUCTION_VALUE_COUNT, EventKind};

use crate::action::{Action, current};
use crate::contained::{is_contained, settings};
use crate::emit::seen;
use crate::file::File;
use crate::kernel::{Probed, Structure, offset};
use crate::maps::DESTRUCTIONS;
use crate::window::{count, crosses};

/// Nanoseconds in which files are counted.
const WINDOW: u64 = 10_000_000_000;
/// So many of them are many.
const MANY: u32 = 200;
/// Seconds since its last change after which a file counts: younger ones are the process's own temporary files.
const AGE: i64 = 5;

/// The current task, a container's or not, takes a file's name or content away.
#[inline(always)]
pub fn destroys(file: &File, rung: u32) {
    let task = current();
    if !is_contained(task) || !file.is_regular() || task.acts_for_another() {
        return;
    }
    // SAFETY: the helper takes no arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() } / 1_000_000_000 + u64::from(settings().boot_epoch);
    let changed: i64 = Structure::<Probed>::new(file.inode).field(offset!(inode.ctime));
    if changed.wrapping_add(AGE) > now as i64 {
        return;
    }
    let many = count(&DESTRUCTIONS, &task.cgroup_id(), WINDOW);
    if !crosses(many, MANY) {
        return;
    }
    let Some(tally) = seen(EventKind::FileDestruction) else { return };
    let Some(mut action) = Action::begin(tally, rung) else { return };
    action.value(DESTRUCTION_VALUE_COUNT, u64::from(many));
    action.file_without_mount(file);
    action.send();
}
