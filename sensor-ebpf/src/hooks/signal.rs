//! Signals that end or stop other processes.

use sensor_ebpf::abi::{EventKind, SIGNAL_VALUE_MANY, SIGNAL_VALUE_NUMBER};

use crate::action::{Action, current};
use crate::contained::is_contained;
use crate::emit::seen;
use crate::entries::{Way, argument, entries};
use crate::kernel::{Probed, Task};
use crate::maps::SIGNALS;
use crate::window::{count, crosses};

/// Nanoseconds in which signalled processes are counted.
const WINDOW: u64 = 5_000_000_000;
/// So many of them are many.
const MANY: u32 = 20;

entries!(signal => signal_lsm, signal_fentry, signal_kprobe);

/// `security_task_kill(struct task_struct *p, struct kernel_siginfo *info, int sig, const struct cred *cred)`, unchanged
/// from 5.10 to 7.2. It runs for every process that a signal is meant for. Of containers are told those to processes outside
/// the sender's cgroup, of the host those that end or stop.
#[inline(always)]
fn signal<W: Way>(way: &W) {
    let target = Task::<Probed>::new(argument!(way, signal.target) as *const u8);
    let information = argument!(way, signal.information);
    let number = argument!(way, signal.number) & 0xffff_ffff;
    let Some(tally) = seen(EventKind::Signal) else { return };
    let task = current();
    // Small numbers stand for the kernel itself (SEND_SIG_PRIV).
    let by_kernel = information == 1;
    let own = target.process_id() == task.process_id();
    // Who started a process may end it.
    let child = target.parent().process_id() == task.process_id();
    if by_kernel || own || child || !stops(number) {
        tally.filtered();
        return;
    }
    let many = count(&SIGNALS, &task.process_id(), WINDOW);
    let elsewhere = !is_contained(task) || target.cgroup_id() != task.cgroup_id();
    if !(elsewhere || crosses(many, MANY)) {
        tally.filtered();
        return;
    }
    let Some(mut action) = Action::begin(tally, W::RUNG) else { return };
    action.target(target);
    action.value(SIGNAL_VALUE_NUMBER, number);
    if crosses(many, MANY) {
        action.value(SIGNAL_VALUE_MANY, u64::from(many));
    }
    action.send();
}

/// SIGQUIT, SIGABRT, SIGKILL, SIGSEGV, SIGTERM, SIGSTOP: as include/uapi/asm-generic/signal.h numbers them.
#[inline(always)]
fn stops(number: u64) -> bool {
    matches!(number, 3 | 6 | 9 | 11 | 15 | 19)
}
