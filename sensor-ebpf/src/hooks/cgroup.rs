//! Creation and removal of cgroups, and moves into them.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use sensor_ebpf::abi::{CGROUP_PATH_MAX, CgroupRecord, EventKind, RUNG_TRACEPOINT_BTF};

use crate::action::Action;
use crate::emit::{ExecScratch, seen};
use crate::kernel::{Cgroup, Probed, Task, Typed};
use crate::maps::CGROUP_SCRATCH;

/// `cgroup_mkdir(struct cgroup *cgrp, const char *path)`, unchanged from 5.10 to 7.2.
#[btf_tracepoint(function = "cgroup_mkdir")]
pub fn cgroup_create(context: BtfTracePointContext) -> i32 {
    report(&context, EventKind::CgroupCreate)
}

/// `cgroup_rmdir(struct cgroup *cgrp, const char *path)`, unchanged from 5.10 to 7.2.
#[btf_tracepoint(function = "cgroup_rmdir")]
pub fn cgroup_remove(context: BtfTracePointContext) -> i32 {
    report(&context, EventKind::CgroupRemove)
}

#[inline(always)]
fn report(context: &BtfTracePointContext, kind: EventKind) -> i32 {
    let cgroup = Cgroup::<Typed>::new(context.arg(0));
    let path: *const u8 = context.arg(1);
    let Some(tally) = seen(kind) else { return 0 };
    let hierarchy = cgroup.hierarchy();
    let Some(scratch) = ExecScratch::of(&CGROUP_SCRATCH) else {
        tally.scratch_full();
        return 0;
    };
    let target = scratch.at(size_of::<CgroupRecord>() as u64);
    // SAFETY: the scratch space has room for the path; the helper checks the source.
    let read = unsafe { bpf_probe_read_kernel_str(target.cast(), CGROUP_PATH_MAX as u32, path.cast()) };
    let path_length = if read > 0 { read as u32 - 1 } else { 0 };
    let record = CgroupRecord { header: tally.header(0), cgroup_id: cgroup.id(), hierarchy, path_length };
    // SAFETY: the record lies at the start of the scratch space, which is eight-byte aligned.
    unsafe { core::ptr::write(scratch.data.as_mut_ptr().cast::<CgroupRecord>(), record) };
    tally.send(scratch, size_of::<CgroupRecord>() as u64 + u64::from(path_length), read <= 0);
    0
}

/// `cgroup_attach_task(struct cgroup *dst_cgrp, const char *path, struct task_struct *task, bool threadgroup)`, unchanged
/// from 5.10 to 7.2: the task is there already. A process that is born in another cgroup (CLONE_INTO_CGROUP) is told by
/// its fork.
#[btf_tracepoint(function = "cgroup_attach_task")]
pub fn cgroup_move(context: BtfTracePointContext) -> i32 {
    let cgroup = Cgroup::<Typed>::new(context.arg(0));
    let path: *const u8 = context.arg(1);
    let task = Task::<Probed>::new(context.arg(2));
    let Some(tally) = seen(EventKind::CgroupMove) else { return 0 };
    // Other hierarchies limit resources only.
    if cgroup.hierarchy() != 0 {
        tally.filtered();
        return 0;
    }
    let Some(mut action) = Action::begin(tally, RUNG_TRACEPOINT_BTF) else { return 0 };
    action.target(task);
    action.record().target_cgroup_id = cgroup.id();
    action.text(path);
    action.send();
    0
}
