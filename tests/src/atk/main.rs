//! `atk`: a static multi-call helper that carries out single techniques for the scenarios.
//!
//! It lies in the lower layer of the scenario images, so running it is not drift in itself. Each
//! sub-command does one thing with as few system calls as it can, so that a scenario shows just that.

mod anonymous;
mod arguments;
mod files;
mod identity;
mod kernel;
mod library;
mod module;
mod mounts;
mod network;
mod process;
mod spawn;
mod storm;
mod system;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

/// What a sub-command returns: the exit code, or what went wrong.
type Outcome = std::io::Result<u8>;

/// A sub-command: its name, its operands for the help, how many it needs at least, and its function.
struct Command {
    name: &'static str,
    operands: &'static str,
    required: usize,
    run: fn(&[OsString]) -> Outcome,
}

const COMMANDS: &[Command] = &[
    Command { name: "memfd-exec", operands: "NAME BINARY [ARG]...", required: 2, run: anonymous::memfd_exec },
    Command { name: "memfd-procfd", operands: "BINARY [ARG]...", required: 1, run: anonymous::memfd_procfd },
    Command {
        name: "otmpfile-exec",
        operands: "DIRECTORY BINARY [ARG]...",
        required: 2,
        run: anonymous::otmpfile_exec,
    },
    Command {
        name: "unlink-exec",
        operands: "PATH BINARY [ARG]...",
        required: 2,
        run: anonymous::unlink_exec,
    },
    Command { name: "fd-exec", operands: "BINARY [ARG]...", required: 1, run: anonymous::descriptor_exec },
    Command {
        name: "revshell",
        operands: "dup2|dup3|fdupfd|inherit IP PORT [SHELL]",
        required: 3,
        run: network::reverse_shell,
    },
    Command { name: "listen", operands: "PORT [LINE]...", required: 1, run: network::listen },
    Command { name: "true", operands: "", required: 0, run: |_| Ok(0) },
    Command { name: "--version", operands: "", required: 0, run: |_| Ok(0) },
    Command { name: "spawn-fast", operands: "COUNT COMMAND [ARG]...", required: 2, run: spawn::fast },
    Command {
        name: "storm",
        operands: "syscall|open|mount|connect COUNT FOLDER [contained]",
        required: 3,
        run: storm::storm,
    },
    Command { name: "flood", operands: "SECONDS THREADS FILE...", required: 3, run: storm::flood },
    Command { name: "make-nodes", operands: "SECONDS PROCESSES FOLDER", required: 3, run: storm::make_nodes },
    Command { name: "thread-exec", operands: "COMMAND [ARG]...", required: 1, run: spawn::thread_exec },
    Command {
        name: "double-fork",
        operands: "SECONDS COMMAND [ARG]...",
        required: 2,
        run: spawn::double_fork,
    },
    Command { name: "fork-workers", operands: "COUNT SECONDS", required: 2, run: spawn::fork_workers },
    Command { name: "exec-noargv", operands: "BINARY", required: 1, run: arguments::exec_without_argv },
    Command { name: "many-args", operands: "COUNT COMMAND [ARG]...", required: 2, run: arguments::many },
    Command { name: "huge-arg", operands: "BYTES COMMAND [ARG]...", required: 2, run: arguments::huge },
    Command { name: "hostile-args", operands: "COMMAND", required: 1, run: arguments::hostile },
    Command {
        name: "deep-exec",
        operands: "DIRECTORY LEVELS BINARY [ARG]...",
        required: 3,
        run: arguments::deep,
    },
    Command { name: "prctl-name", operands: "NAME COMMAND [ARG]...", required: 2, run: identity::prctl_name },
    Command { name: "argv0", operands: "ARGV0 COMMAND [ARG]...", required: 2, run: identity::argv0 },
    Command { name: "ptrace-attach", operands: "PID", required: 1, run: process::ptrace_attach },
    Command { name: "ptrace-poke", operands: "PID ADDRESS TEXT", required: 3, run: process::poke },
    Command { name: "vm-write", operands: "PID ADDRESS TEXT", required: 3, run: process::write_memory },
    Command { name: "steal-descriptor", operands: "PID FD", required: 2, run: process::steal_descriptor },
    Command { name: "pidfd-setns", operands: "PID COMMAND [ARG]...", required: 2, run: process::pidfd_setns },
    Command { name: "map-library", operands: "LIBRARY TARGET", required: 2, run: library::unpack_and_map },
    Command {
        name: "map-memory",
        operands: "private|shared NAME LIBRARY",
        required: 3,
        run: anonymous::map_memory,
    },
    Command { name: "adjust-clock", operands: "SECONDS [slew]", required: 1, run: kernel::adjust_clock },
    Command { name: "fsmount", operands: "TYPE SOURCE TARGET", required: 3, run: mounts::fsmount },
    Command { name: "fsconfig-flood", operands: "TYPE COUNT", required: 2, run: mounts::fsconfig_flood },
    Command { name: "reboot", operands: "RESTART|HALT", required: 1, run: kernel::reboot },
    Command { name: "tiocsti", operands: "TEXT", required: 1, run: process::type_into_terminal },
    Command { name: "afalg-bind", operands: "TYPE NAME", required: 2, run: kernel::afalg_bind },
    Command { name: "bpf-load", operands: "TYPE", required: 1, run: kernel::bpf_load },
    Command { name: "perf", operands: "cpu0|self", required: 1, run: kernel::perf },
    Command { name: "userfaultfd", operands: "", required: 0, run: kernel::userfaultfd },
    Command { name: "afalg", operands: "", required: 0, run: kernel::afalg },
    Command { name: "init-module", operands: "FILE", required: 1, run: kernel::init_module },
    Command { name: "finit-module", operands: "FILE", required: 1, run: kernel::finit_module },
    Command {
        name: "fit-module",
        operands: "OBJECT MODEL OUTPUT commit|overwrite PID",
        required: 5,
        run: module::fit,
    },
    Command { name: "delete-module", operands: "NAME", required: 1, run: kernel::delete_module },
    Command { name: "exe-overwrite-watch", operands: "NAME", required: 1, run: files::overwrite_watch },
    Command { name: "splice1", operands: "FILE [sendfile]", required: 1, run: files::splice_one },
    Command { name: "setuid-create", operands: "PATH", required: 1, run: files::create_setuid },
    Command { name: "file-capability", operands: "FILE BIT", required: 2, run: files::set_capability },
    Command {
        name: "fake-runc",
        operands: "SOURCE TARGET [open_tree]",
        required: 2,
        run: files::fake_runtime,
    },
    Command {
        name: "fake-kubelet",
        operands: "SOURCE TARGET [open_tree]",
        required: 2,
        run: files::fake_kubelet,
    },
    Command { name: "handle", operands: "FILE INODE", required: 2, run: kernel::handle },
    Command { name: "hostile-network", operands: "", required: 0, run: network::hostile },
    Command { name: "keyctl-scan", operands: "COUNT", required: 1, run: kernel::scan_keys },
    Command { name: "uring-open", operands: "PATH", required: 1, run: kernel::uring_open },
];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some((name, operands)) = arguments.split_first() else {
        return usage("a sub-command is missing");
    };
    let Some(command) = COMMANDS.iter().find(|command| name == command.name) else {
        return usage(&format!("there is no sub-command {}", name.display()));
    };
    if operands.len() < command.required {
        return usage(&format!("{} needs: {}", command.name, command.operands));
    }
    match (command.run)(operands) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&format!("atk {}: {error}", command.name));
            ExitCode::from(1)
        }
    }
}

fn usage(problem: &str) -> ExitCode {
    complain(&format!("atk: {problem}\nusage: atk SUB-COMMAND OPERANDS"));
    for command in COMMANDS {
        complain(&format!("  {} {}", command.name, command.operands));
    }
    ExitCode::from(2)
}

/// Writes one line to standard error; a closed standard error is no reason to fail.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
