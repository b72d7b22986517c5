//! The attach ladder: which hooks there are, the ways into each, and which way holds on this kernel.

use aya::programs::BtfTracePoint;
use aya::{Btf, Ebpf};
use sensor_ebpf::abi::EventKind;

use super::offsets::ResolvedOffsets;

/// A way into a hook, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rung {
    /// BTF-typed raw tracepoint: stable and cheap.
    TracepointBtf,
}

impl Rung {
    /// The name used in `doctor` and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::TracepointBtf => "tp_btf",
        }
    }
}

/// One hook of the object.
#[derive(Debug)]
pub struct Hook {
    /// Program name in the object.
    pub name: &'static str,
    /// What it reports.
    pub kind: EventKind,
    /// The tracepoint.
    pub tracepoint: &'static str,
    /// Kernel structures without which it would report nothing of use.
    needs: &'static [&'static str],
}

/// All hooks. Exit comes before fork and exec, so that no process is seen to start whose end would be missed.
pub const HOOKS: &[Hook] = &[
    Hook {
        name: "cgroup_create",
        kind: EventKind::CgroupCreate,
        tracepoint: "cgroup_mkdir",
        needs: &["cgroup.", "cgroup_root.", "kernfs_node."],
    },
    Hook {
        name: "cgroup_remove",
        kind: EventKind::CgroupRemove,
        tracepoint: "cgroup_rmdir",
        needs: &["cgroup.", "cgroup_root.", "kernfs_node."],
    },
    Hook {
        name: "exit",
        kind: EventKind::Exit,
        tracepoint: "sched_process_exit",
        needs: &["task_struct.tgid", "task_struct.start_boottime", "signal_struct.live"],
    },
    Hook {
        name: "fork",
        kind: EventKind::Fork,
        tracepoint: "sched_process_fork",
        needs: &["task_struct.tgid", "task_struct.start_boottime", "task_struct.real_parent"],
    },
    Hook {
        name: "exec",
        kind: EventKind::Exec,
        tracepoint: "sched_process_exec",
        needs: &[
            "task_struct.tgid",
            "task_struct.start_boottime",
            "linux_binprm.file",
            "file.",
            "inode.i_ino",
            "dentry.",
            "mount.mnt",
            "vfsmount.",
            "mm_struct.",
            "fs_struct.",
        ],
    },
];

/// A hook that is attached.
#[derive(Clone, Copy, Debug)]
pub struct AttachedHook {
    /// Its name.
    pub name: &'static str,
    /// What it reports.
    pub kind: EventKind,
    /// The way in.
    pub rung: Rung,
    /// Descriptor of the loaded program.
    pub program: i32,
}

/// How attaching one hook went.
#[derive(Clone, Debug)]
pub struct HookReport {
    /// The hook.
    pub name: &'static str,
    /// The tracepoint or function.
    pub target: &'static str,
    /// The rung that holds, or why none does.
    pub result: Result<AttachedHook, String>,
}

/// Attaches every hook that this kernel allows; a hook that cannot be attached never stops the others.
pub fn attach_all(ebpf: &mut Ebpf, btf: &Btf, offsets: &ResolvedOffsets) -> Vec<HookReport> {
    let attach = |hook: &'static Hook| HookReport {
        name: hook.name,
        target: hook.tracepoint,
        result: attach(ebpf, btf, offsets, hook),
    };
    HOOKS.iter().map(attach).collect()
}

fn attach(
    ebpf: &mut Ebpf,
    btf: &Btf,
    offsets: &ResolvedOffsets,
    hook: &'static Hook,
) -> Result<AttachedHook, String> {
    let missing: Vec<&str> = offsets
        .missing
        .iter()
        .map(String::as_str)
        .filter(|field| {
            hook.needs.iter().any(|need| field == need || need.ends_with('.') && field.starts_with(need))
        })
        .collect();
    if !missing.is_empty() {
        return Err(format!("this kernel's BTF has no {}", missing.join(", ")));
    }
    let program =
        ebpf.program_mut(hook.name).ok_or_else(|| format!("the object has no program {}", hook.name))?;
    let program: &mut BtfTracePoint = program.try_into().map_err(|error| chain(&error))?;
    program.load(hook.tracepoint, btf).map_err(|error| chain(&error))?;
    program.attach().map_err(|error| chain(&error))?;
    let descriptor = program.fd().map_err(|error| chain(&error))?;
    let program = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(descriptor));
    Ok(AttachedHook { name: hook.name, kind: hook.kind, rung: Rung::TracepointBtf, program })
}

/// An error with its causes on one line, the verifier's log cut to its last lines, where the reason stands.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let keep = lines.len().saturating_sub(12);
    if keep > 1 { format!("{} [...] {}", lines[0], lines[keep..].join(" | ")) } else { lines.join(" | ") }
}
