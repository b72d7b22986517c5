//! The attach ladder: for each hook the ways in, tried in their order, and which one holds on this kernel.

use std::os::fd::{AsFd, AsRawFd};

use aya::programs::{BtfTracePoint, FEntry, KProbe, Lsm, Program, ProgramError, ProgramFd};
use aya::{Btf, Ebpf};
use clap::ValueEnum;
use sensor_ebpf::abi::{ARGUMENT_SOURCES, EventKind, MISSING, RingClass};

use super::hooks::{EXEC_AGAIN, HOOKS, Hook, Way};
use super::offsets::ResolvedOffsets;
use super::preemption;
use super::system_call::SystemCalls;

/// A way into a hook, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rung {
    /// BTF-typed raw tracepoint: stable and cheap.
    TracepointBtf,
    /// BPF LSM: as cheap as a trampoline; only where `bpf` is among the active LSMs, and only when asked for.
    Lsm,
    /// Trampoline at a function's entry.
    Fentry,
    /// Breakpoint or ftrace at a function's entry: more per hit.
    Kprobe,
    /// The return of a system call: costs every system call, and sees neither what io_uring does nor what is refused.
    SystemCall,
}

impl Rung {
    /// The name used in `doctor`, records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::TracepointBtf => "tp_btf",
            Self::Lsm => "lsm",
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::SystemCall => "system_call",
        }
    }
}

/// Which rungs may be taken. Hooks whose only way in is a stable tracepoint are not concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Ladder {
    /// The best way that this kernel offers, hook by hook.
    #[default]
    Auto,
    /// BPF LSM where it is active, else function entry by BPF trampoline.
    Lsm,
    /// Function entry by BPF trampoline.
    Fentry,
    /// Function entry by breakpoint or ftrace.
    Kprobe,
    /// Tracepoints, those of system calls among them.
    Tracepoint,
}

impl Ladder {
    fn allows(self, rung: Rung) -> bool {
        match rung {
            Rung::TracepointBtf => true,
            Rung::Lsm => self == Self::Lsm,
            Rung::Fentry => matches!(self, Self::Auto | Self::Lsm | Self::Fentry),
            Rung::Kprobe => matches!(self, Self::Auto | Self::Kprobe),
            Rung::SystemCall => matches!(self, Self::Auto | Self::Tracepoint),
        }
    }
}

/// A hook that is attached.
#[derive(Clone, Copy, Debug)]
pub struct AttachedHook {
    /// Its name.
    pub name: &'static str,
    /// What it reports.
    pub kind: EventKind,
    /// The way in.
    pub rung: Rung,
    /// Descriptor of the loaded program whose runs the kernel counts; open as long as the program is loaded.
    pub program: i32,
}

/// How attaching one hook went.
#[derive(Clone, Debug)]
pub struct HookReport {
    /// The hook.
    pub name: &'static str,
    /// What it reports.
    pub kind: EventKind,
    /// The tracepoint or function.
    pub target: &'static str,
    /// The rung that holds, or why none does.
    pub result: Result<AttachedHook, String>,
    /// Why none of the better rungs holds that were tried; empty if the best one does, or none.
    pub passed_over: String,
}

/// Attaches every hook that this kernel allows, [`EXEC_AGAIN`] only where it needs that one; a hook that cannot be attached
/// never stops the others.
pub fn attach_all(
    ebpf: &mut Ebpf,
    btf: &Btf,
    offsets: &ResolvedOffsets,
    ladder: Ladder,
    running: &preemption::Kernel,
) -> Vec<HookReport> {
    let exec_again = running.preempts_tracepoints();
    let mut kernel = Kernel {
        ebpf,
        btf,
        offsets,
        lsm: lsm_is_active(),
        preempts_trampolines: running.preempts_trampolines(),
        refused: Vec::new(),
        system_calls: SystemCalls::default(),
    };
    let wanted = HOOKS.iter().filter(|hook| exec_again || hook.name != EXEC_AGAIN);
    wanted.map(|hook| kernel.climb(hook, ladder)).collect()
}

struct Kernel<'a> {
    ebpf: &'a mut Ebpf,
    btf: &'a Btf,
    offsets: &'a ResolvedOffsets,
    lsm: bool,
    /// Trampolines miss what happens while a task is preempted in one: kprobes are better.
    preempts_trampolines: bool,
    /// Rungs that this kernel refuses to everybody, with the reason: they are not tried again for each hook.
    refused: Vec<(Rung, String)>,
    system_calls: SystemCalls,
}

impl Kernel<'_> {
    fn climb(&mut self, hook: &'static Hook, ladder: Ladder) -> HookReport {
        let begin = std::time::Instant::now();
        let report = self.try_hook(hook, ladder);
        tracing::debug!(
            hook = hook.name,
            milliseconds = begin.elapsed().as_millis() as u64,
            "tried to attach"
        );
        report
    }

    fn try_hook(&mut self, hook: &'static Hook, ladder: Ladder) -> HookReport {
        let first = hook.ways.first().map_or("", |way| way.target);
        if let Some(reason) = self.missing_field(hook) {
            return HookReport {
                name: hook.name,
                kind: hook.kind,
                target: first,
                result: Err(reason),
                passed_over: String::new(),
            };
        }
        self.first_that_holds(hook, ladder)
    }

    /// Tries the ways that are allowed in their order.
    fn first_that_holds(&mut self, hook: &'static Hook, ladder: Ladder) -> HookReport {
        let (name, kind) = (hook.name, hook.kind);
        let mut reasons = Vec::new();
        // A forced rung concerns hooks on actions.
        let is_lineage = hook.kind.class() == RingClass::Lineage;
        let mut ways: Vec<&Way> =
            hook.ways.iter().filter(|way| is_lineage || ladder.allows(way.rung)).collect();
        if self.preempts_trampolines && ladder == Ladder::Auto {
            // Right behind kprobes, as the last but for system calls.
            ways.sort_by_key(|way| match way.rung {
                Rung::Fentry => (Rung::Kprobe, true),
                rung => (rung, false),
            });
            if ways.iter().any(|way| way.rung == Rung::Fentry) {
                reasons.push("fentry: this kernel preempts trampolines, which then miss events".to_owned());
            }
        }
        for way in ways {
            match self.attach(way, ladder) {
                Ok((target, program)) => {
                    let attached = AttachedHook { name, kind, rung: way.rung, program };
                    return HookReport {
                        name,
                        kind,
                        target,
                        result: Ok(attached),
                        passed_over: reasons.join("; "),
                    };
                }
                Err(reason) => reasons.push(format!("{}: {reason}", way.rung.name())),
            }
        }
        let reason = if reasons.is_empty() {
            "no way in that the settings allow".to_owned()
        } else {
            reasons.join("; ")
        };
        let target = hook.ways.first().map_or("", |way| way.target);
        HookReport { name, kind, target, result: Err(reason), passed_over: String::new() }
    }

    fn missing_field(&self, hook: &Hook) -> Option<String> {
        let is_needed = |field: &&str| {
            hook.needs.iter().any(|need| field == need || need.ends_with('.') && field.starts_with(need))
        };
        let missing: Vec<&str> = self.offsets.missing.iter().map(String::as_str).filter(is_needed).collect();
        (!missing.is_empty()).then(|| format!("this kernel's BTF has no {}", missing.join(", ")))
    }

    /// Gives the target that took the program, and the program's descriptor.
    fn attach(&mut self, way: &'static Way, ladder: Ladder) -> Result<(&'static str, i32), String> {
        if way.rung == Rung::Lsm && !self.lsm {
            return Err("`bpf` is not among the active LSMs (/sys/kernel/security/lsm)".to_owned());
        }
        if let Some(parameter) = self.missing_argument(way) {
            return Err(format!("this kernel's BTF has no {parameter}"));
        }
        if let Some((_, reason)) = self.refused.iter().find(|(rung, _)| *rung == way.rung) {
            return Err(reason.clone());
        }
        if way.rung == Rung::SystemCall {
            if self.has_better_ways(ladder) {
                return Err("costs every system call: taken only where nothing better is allowed".to_owned());
            }
            let attached = self.system_calls.attach(self.ebpf, self.btf, way.program, way.target);
            return attached.map(|program| (way.target, descriptor(program))).map_err(|error| chain(&error));
        }
        let mut last = "no target".to_owned();
        for target in way.target.split('|') {
            let program = self.ebpf.program_mut(way.program);
            let program = program.ok_or_else(|| format!("the object has no program {}", way.program))?;
            match attach_to(program, way, target, self.btf) {
                Ok(program) => return Ok((target, program)),
                Err(error) => {
                    last = chain(&error);
                    if is_of_the_kernel(way.rung, &error) {
                        self.refused.push((way.rung, last.clone()));
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    /// Whether this kernel has a better rung than system calls for some hook, and may take it.
    fn has_better_ways(&self, ladder: Ladder) -> bool {
        let is_refused = |rung| self.refused.iter().any(|(refused, _)| *refused == rung);
        [Rung::Fentry, Rung::Kprobe].into_iter().any(|rung| ladder.allows(rung) && !is_refused(rung))
    }

    /// The first argument that the hook's function lacks on this kernel.
    fn missing_argument(&self, way: &Way) -> Option<String> {
        let function = way.function.unwrap_or(way.target);
        let sources = ARGUMENT_SOURCES.iter().zip(&self.offsets.arguments);
        let mut missing =
            sources.filter(|(source, position)| source.is_needed_by(function) && **position == MISSING);
        missing.next().map(|(source, _)| match source.pointee {
            "" => format!("{}({})", source.function, source.parameter),
            pointee => format!("{}(struct {pointee} *{})", source.function, source.parameter),
        })
    }
}

/// Loads a program for its target and attaches it; gives its descriptor.
fn attach_to(program: &mut Program, way: &Way, target: &str, btf: &Btf) -> Result<i32, ProgramError> {
    match way.rung {
        Rung::TracepointBtf => {
            let program: &mut BtfTracePoint = (&mut *program).try_into()?;
            program.load(target, btf)?;
            program.attach()?;
        }
        Rung::Lsm => {
            let program: &mut Lsm = (&mut *program).try_into()?;
            program.load(target, btf)?;
            program.attach()?;
        }
        Rung::Fentry => {
            let program: &mut FEntry = (&mut *program).try_into()?;
            program.load(target, btf)?;
            program.attach()?;
        }
        Rung::Kprobe => {
            let program: &mut KProbe = (&mut *program).try_into()?;
            // A kprobe is loaded without its target: it may have been loaded for a target before this one.
            if program.fd().is_err() {
                program.load()?;
            }
            program.attach(target, 0)?;
        }
        // They share one tracepoint, see `SystemCalls`.
        Rung::SystemCall => return Err(ProgramError::UnexpectedProgramType),
    }
    Ok(descriptor(program.fd()?))
}

fn descriptor(program: &ProgramFd) -> i32 {
    program.as_fd().as_raw_fd()
}

/// Whether an error says that this kernel has a rung for nobody: trampolines that are not permitted although tracepoints
/// are, or no kprobes at all.
fn is_of_the_kernel(rung: Rung, error: &ProgramError) -> bool {
    match (rung, error) {
        (Rung::Fentry | Rung::Lsm, ProgramError::LoadError { io_error, .. }) => {
            io_error.kind() == std::io::ErrorKind::PermissionDenied
                && io_error.raw_os_error() == Some(libc::EPERM)
        }
        (Rung::Kprobe, _) => !std::path::Path::new("/sys/bus/event_source/devices/kprobe").exists(),
        _ => false,
    }
}

fn lsm_is_active() -> bool {
    let list = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    list.trim().split(',').any(|name| name == "bpf")
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
