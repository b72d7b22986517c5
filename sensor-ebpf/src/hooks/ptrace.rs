//! Access to other processes: attaching, their memory, their descriptors, their magic links in /proc.

use sensor_ebpf::abi::{EventKind, PTRACE_VALUE_MODE};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::kernel::{Probed, Task};

entries!(ptrace_access => ptrace_access_lsm, ptrace_access_fentry, ptrace_access_kprobe);

/// `PTRACE_MODE_ATTACH` of include/linux/ptrace.h.
pub const MODE_ATTACH: u64 = 2;

/// `security_ptrace_access_check(struct task_struct *child, unsigned int mode)`, unchanged from 5.10 to 7.2. Monitoring
/// agents of the host read all of /proc: of the host only attaching is told, of containers every access to another
/// process.
#[inline(always)]
fn ptrace_access<W: Way>(way: &W) {
    let child = Task::<Probed>::new(argument!(way, ptrace_access_check.child) as *const u8);
    let mode = argument!(way, ptrace_access_check.mode) & 0xffff_ffff;
    let Some(tally) = seen(EventKind::Ptrace) else { return };
    let task = current();
    let own = child.process_id() == task.process_id();
    if own || (mode & MODE_ATTACH == 0 && !is_contained(task)) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.target(child);
    action.value(PTRACE_VALUE_MODE, mode);
    action.send();
}
