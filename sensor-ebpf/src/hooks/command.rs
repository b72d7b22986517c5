//! Command names that processes give themselves.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use sensor_ebpf::abi::{EventKind, NameKey, RUNG_TRACEPOINT_BTF, WATCH_COMMAND};

use crate::action::{Action, current};
use crate::emit::seen;
use crate::kernel::{Probed, Structure, offset};
use crate::maps::WATCHED_NAMES;

/// Bytes of a command name, its NUL included.
const COMMAND_MAX: u32 = 16;
/// `PF_KTHREAD` of include/linux/sched.h.
const KERNEL_THREAD: u32 = 0x0020_0000;

/// `task_rename(struct task_struct *task, const char *comm)`, unchanged from 5.10 to 7.2. It runs at every exec too, with the
/// name of the new program, which is no lie: the executable has that name.
#[btf_tracepoint(function = "task_rename")]
pub fn command_change(context: BtfTracePointContext) -> i32 {
    let Some(tally) = seen(EventKind::CommandChange) else { return 0 };
    let task = current();
    let name: *const u8 = context.arg(1);
    let mut command = NameKey::default();
    read_name(name, &mut command);
    if !is_claimed(&command) || task.field::<u32>(offset!(task.flags)) & KERNEL_THREAD != 0 {
        tally.filtered();
        return 0;
    }
    let memory = Structure::<Probed>::new(task.pointer(offset!(task.mm)));
    // An exec that is under way has no arguments yet: its program is called as it was asked for, which may be a symlink.
    if memory.field::<u64>(offset!(mm.arg_start)) == 0 {
        tally.filtered();
        return 0;
    }
    let file = Structure::<Probed>::new(memory.pointer(offset!(mm.exe_file)));
    let entry = Structure::<Probed>::new(file.pointer(offset!(file.path_dentry)));
    let mut own = NameKey::default();
    read_name(entry.pointer(offset!(dentry.name)), &mut own);
    if own.words[0] == command.words[0] && own.words[1] == command.words[1] {
        tally.filtered();
        return 0;
    }
    let Some(mut action) = Action::begin(tally, RUNG_TRACEPOINT_BTF) else { return 0 };
    action.text(name);
    action.send();
    0
}

#[inline(always)]
fn read_name(name: *const u8, into: &mut NameKey) {
    // SAFETY: the key is longer than what is read; the helper checks the name.
    unsafe { bpf_probe_read_kernel_str((&raw mut into.words).cast(), COMMAND_MAX, name.cast()) };
}

/// Whether a name is that of a kernel thread, or of a program that others pretend to be.
#[inline(always)]
fn is_claimed(command: &NameKey) -> bool {
    const WORKER: u64 = u64::from_ne_bytes(*b"kworker/");
    const SOFT_INTERRUPT: u64 = u64::from_ne_bytes(*b"ksoftirq");
    const MIGRATION: u64 = u64::from_ne_bytes(*b"migratio");
    if matches!(command.words[0], WORKER | SOFT_INTERRUPT | MIGRATION) || command.words[0] as u8 == b'[' {
        return true;
    }
    match WATCHED_NAMES.get_ptr(command) {
        // SAFETY: the value lives as long as the map.
        Some(mask) => unsafe { *mask & WATCH_COMMAND != 0 },
        None => false,
    }
}
