//! The rung of last resort: programs that run when a system call returns, found by the call's number.

use aya::maps::{MapError, ProgramArray};
use aya::programs::{BtfTracePoint, Program, ProgramError, ProgramFd};
use aya::{Btf, Ebpf};
use sensor_ebpf::abi::SYSTEM_CALL_COMPAT;

/// The tracepoint, and the program that hands over to those of the calls.
const TRACEPOINT: &str = "sys_exit";
const ROUTER: &str = "system_call";
const MAP: &str = "SYSTEM_CALLS";

/// Why a program cannot be run by a system call.
#[derive(Debug, thiserror::Error)]
pub enum SystemCallError {
    /// A program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A descriptor.
    #[error(transparent)]
    Descriptor(#[from] std::io::Error),
    /// The map of programs.
    #[error("BPF map {MAP} cannot be used: {0}")]
    Map(#[from] MapError),
    /// The object lacks something.
    #[error("the object has no {0}")]
    Missing(String),
}

/// The way into system calls.
#[derive(Default)]
pub struct SystemCalls {
    /// Whether the router is attached, as it is once the first of the calls has a program.
    routed: bool,
}

impl SystemCalls {
    /// Runs the programs at the return of their calls, each in both its native and its 32-bit form: `programs` and
    /// `calls` hold as many groups separated by `|`, the calls of a group are separated by spaces. Gives the program
    /// that the kernel counts the runs of, by the descriptor that `ebpf` keeps open.
    ///
    /// # Errors
    /// If the kernel refuses a program or the map.
    pub fn attach<'a>(
        &mut self,
        ebpf: &'a mut Ebpf,
        btf: &Btf,
        programs: &str,
        calls: &str,
    ) -> Result<&'a ProgramFd, SystemCallError> {
        for (program, calls) in programs.split('|').zip(calls.split('|')) {
            let loaded = load(ebpf, btf, program)?;
            let map = ebpf.map_mut(MAP).ok_or_else(|| SystemCallError::Missing(format!("map {MAP}")))?;
            let mut map = ProgramArray::try_from(map)?;
            for index in calls.split(' ').flat_map(indices) {
                map.set(index, &loaded, 0)?;
            }
        }
        let router = tracepoint(ebpf, ROUTER)?;
        if !self.routed {
            if router.fd().is_err() {
                router.load(TRACEPOINT, btf)?;
            }
            router.attach()?;
            self.routed = true;
        }
        Ok(router.fd()?)
    }
}

fn load(ebpf: &mut Ebpf, btf: &Btf, name: &str) -> Result<ProgramFd, SystemCallError> {
    let program = tracepoint(ebpf, name)?;
    // Hooks share the programs of calls that do several things.
    if program.fd().is_err() {
        program.load(TRACEPOINT, btf)?;
    }
    Ok(program.fd()?.try_clone()?)
}

fn tracepoint<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut BtfTracePoint, SystemCallError> {
    let program: &mut Program =
        ebpf.program_mut(name).ok_or_else(|| SystemCallError::Missing(format!("program {name}")))?;
    Ok(program.try_into()?)
}

/// Where the map holds the programs of a call: its native number, if this architecture has the call, and its 32-bit one.
fn indices(call: &str) -> impl Iterator<Item = u32> {
    let numbers = NUMBERS.iter().find(|(name, ..)| *name == call);
    let (native, compat) = numbers.map_or((None, None), |&(_, native, compat)| (native, compat));
    native.into_iter().chain(compat.map(|number| SYSTEM_CALL_COMPAT + number))
}

/// A call of which every architecture has a number, or of which x86 alone has.
macro_rules! native {
    ($everywhere:ident) => {
        Some(libc::$everywhere as u32)
    };
    (x86 $number:literal) => {
        if cfg!(target_arch = "x86_64") { Some($number) } else { None }
    };
}

/// The number of a 32-bit call on x86 (arch/x86/entry/syscalls/syscall_32.tbl). 32-bit calls of arm64 are not looked at.
const fn x86(number: u32) -> Option<u32> {
    if cfg!(target_arch = "x86_64") { Some(number) } else { None }
}

/// Calls with their native and 32-bit numbers. `socketcall`, by which old 32-bit programs reach all of sockets, is not
/// among them.
const NUMBERS: &[(&str, Option<u32>, Option<u32>)] = &[
    ("open", native!(x86 2), x86(5)),
    ("creat", native!(x86 85), x86(8)),
    ("openat", native!(SYS_openat), x86(295)),
    ("openat2", native!(SYS_openat2), x86(437)),
    ("open_by_handle_at", native!(SYS_open_by_handle_at), x86(342)),
    ("chdir", native!(SYS_chdir), x86(12)),
    ("fchdir", native!(SYS_fchdir), x86(133)),
    ("splice", native!(SYS_splice), x86(313)),
    ("sendfile", native!(SYS_sendfile), x86(187)),
    ("sendfile64", None, x86(239)),
    ("mknod", native!(x86 133), x86(14)),
    ("mknodat", native!(SYS_mknodat), x86(297)),
    ("setns", native!(SYS_setns), x86(346)),
    ("unshare", native!(SYS_unshare), x86(310)),
    ("clone", native!(SYS_clone), x86(120)),
    ("clone3", native!(SYS_clone3), x86(435)),
    ("chroot", native!(SYS_chroot), x86(61)),
    ("pivot_root", native!(SYS_pivot_root), x86(217)),
    ("ptrace", native!(SYS_ptrace), x86(26)),
    ("mount", native!(SYS_mount), x86(21)),
    ("fsmount", native!(SYS_fsmount), x86(432)),
    ("move_mount", native!(SYS_move_mount), x86(429)),
    ("fsconfig", native!(SYS_fsconfig), x86(431)),
    ("perf_event_open", native!(SYS_perf_event_open), x86(336)),
    ("userfaultfd", native!(SYS_userfaultfd), x86(374)),
    ("io_uring_setup", native!(SYS_io_uring_setup), x86(425)),
    ("socket", native!(SYS_socket), x86(359)),
    ("bind", native!(SYS_bind), x86(361)),
    ("listen", native!(SYS_listen), x86(363)),
    ("connect", native!(SYS_connect), x86(362)),
    ("ioctl", native!(SYS_ioctl), x86(54)),
    ("syslog", native!(SYS_syslog), x86(103)),
    ("bpf", native!(SYS_bpf), x86(357)),
    ("init_module", native!(SYS_init_module), x86(128)),
    ("finit_module", native!(SYS_finit_module), x86(350)),
    ("kexec_load", native!(SYS_kexec_load), x86(283)),
    ("kexec_file_load", native!(SYS_kexec_file_load), None),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::HOOKS;
    use crate::probe::Rung;

    #[test]
    fn every_way_by_system_calls_names_known_calls_for_each_of_its_programs() {
        let ways = HOOKS.iter().flat_map(|hook| hook.ways).filter(|way| way.rung == Rung::SystemCall);
        let mut count = 0;
        for way in ways {
            count += 1;
            assert_eq!(way.program.split('|').count(), way.target.split('|').count(), "{}", way.program);
            for call in way.target.split(['|', ' ']) {
                assert!(NUMBERS.iter().any(|(name, ..)| *name == call), "{call} of {}", way.program);
            }
        }
        assert!(count > 20, "{count}");
    }

    #[test]
    fn a_call_has_one_program() {
        let mut programs: Vec<(&str, &str)> = Vec::new();
        for way in HOOKS.iter().flat_map(|hook| hook.ways).filter(|way| way.rung == Rung::SystemCall) {
            for (program, calls) in way.program.split('|').zip(way.target.split('|')) {
                programs.extend(calls.split(' ').map(|call| (call, program)));
            }
        }
        for (call, program) in &programs {
            let other = programs.iter().find(|(same, other)| same == call && other != program);
            assert!(other.is_none(), "{call} is run by {program} and {other:?}");
        }
    }

    #[test]
    fn numbers_are_within_the_map() {
        for (name, native, compat) in NUMBERS {
            let numbers = native.iter().chain(compat);
            assert!(numbers.copied().all(|number| number < SYSTEM_CALL_COMPAT), "{name}");
        }
        assert_eq!(indices("openat").next(), Some(libc::SYS_openat as u32));
    }
}
