//! Resource limits that a process sets of another one.

use sensor_ebpf::abi::{EventKind, LIMIT_VALUE_RESOURCE};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::kernel::{Probed, Task};

entries!(limit_change => limit_change_lsm, limit_change_fentry, limit_change_kprobe);

/// `security_task_setrlimit(struct task_struct *p, unsigned int resource, struct rlimit *new_rlim)`, unchanged from 5.10 to
/// 7.2.
#[inline(always)]
fn limit_change<W: Way>(way: &W) {
    let target = Task::<Probed>::new(argument!(way, limit_change.target) as *const u8);
    let resource = argument!(way, limit_change.resource) & 0xffff_ffff;
    let Some(tally) = seen(EventKind::LimitChange) else { return };
    let task = current();
    if target.process_id() == task.process_id() || !is_contained(task) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.target(target);
    action.value(LIMIT_VALUE_RESOURCE, resource);
    action.send();
}
