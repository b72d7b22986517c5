//! fork and exit.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use sensor_ebpf::abi::{EventKind, ExitRecord, FORK_VALUE_COUNT, ForkRecord, RUNG_TRACEPOINT_BTF};

use crate::action::Action;
use crate::contained::{forget, is_elsewhere, is_tracked, mount_namespace, track};
use crate::emit::seen;
use crate::kernel::{Structure, Task, Typed, offset};
use crate::maps::FORKS;
use crate::window::{count, crosses};

/// `sched_process_fork(struct task_struct *parent, struct task_struct *child)`, unchanged from 5.10 to 7.2.
/// `parent` is the task that called fork, whatever the child's parent becomes.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn fork(context: BtfTracePointContext) -> i32 {
    let creator = Task::<Typed>::new(context.arg(0));
    let child = Task::<Typed>::new(context.arg(1));
    let Some(mut tally) = seen(EventKind::Fork) else { return 0 };
    if child.process_id() != child.thread_id() {
        tally.filtered();
        return 0;
    }
    if (is_tracked(creator.process_id()) || is_elsewhere(mount_namespace(child)))
        && !track(child.process_id())
    {
        tally.untracked();
    }
    let (namespace_pid, _) = child.namespace_pid();
    let record = ForkRecord {
        header: tally.header(size_of::<ForkRecord>()),
        child: child.identity(),
        creator: creator.identity(),
        parent: child.parent().identity(),
        cgroup_id: child.cgroup_id(),
        namespaces: child.namespaces(),
        namespace_pid,
        uid: child.credentials().field(offset!(cred.uid)),
    };
    tally.send_fixed(&record);
    if is_tracked(creator.process_id()) {
        flood(record.cgroup_id);
    }
    0
}

/// Nanoseconds in which births are counted.
const WINDOW: u64 = 3_000_000_000;
/// So many of them are a flood: builds stay below.
const MANY: u32 = 3000;

/// A process of a container was born.
#[inline(always)]
fn flood(cgroup_id: u64) {
    let many = count(&FORKS, &cgroup_id, WINDOW);
    if !crosses(many, MANY) {
        return;
    }
    let Some(tally) = seen(EventKind::ForkFlood) else { return };
    let Some(mut action) = Action::begin(tally, RUNG_TRACEPOINT_BTF) else { return };
    action.value(FORK_VALUE_COUNT, u64::from(many));
    action.send();
}

/// `sched_process_exit(struct task_struct *task)`; 6.17 added `bool group_dead`, which older kernels lack, so the
/// count of live threads decides. Two threads that end together may both report; user space takes the first.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn exit(context: BtfTracePointContext) -> i32 {
    let task = Task::<Typed>::new(context.arg(0));
    let Some(tally) = seen(EventKind::Exit) else { return 0 };
    let signal = task.signal();
    let live: u32 = Structure::<crate::kernel::Probed>::new(signal.0).field(offset!(signal.live));
    if live != 0 {
        tally.filtered();
        return 0;
    }
    forget(task.process_id());
    let group: u32 = signal.field(offset!(signal.group_exit_code));
    let status = if group != 0 { group } else { task.field(offset!(task.exit_code)) };
    let record = ExitRecord {
        header: tally.header(size_of::<ExitRecord>()),
        process: task.identity(),
        status,
        reserved: 0,
    };
    tally.send_fixed(&record);
    0
}
