//! What a process runs: its program since the last exec, kept for as long as a process or a descendant needs it.

use std::sync::Arc;

use super::Drift;
use crate::event::{Args, Credentials, Exec, FileFacts, ProcessKey};

/// Longest path that is kept of a program after its exec was judged.
const EXE_KEPT: usize = 1024;
/// Longest arguments that are kept of a program after its exec was judged.
const ARGS_KEPT: usize = 1024;

/// A program as it was started. Paths and arguments are clipped: an attacker chooses their length, and every
/// descendant's finding shows them again.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The process that called execve, `None` in a program whose start was not seen.
    pub key: Option<ProcessKey>,
    /// When, nanoseconds of CLOCK_BOOTTIME; 0 if before the sensor.
    pub time: u64,
    /// Path of the executable; of a longer one the last part.
    pub exe: Box<[u8]>,
    /// Command name.
    pub command: Box<[u8]>,
    /// Arguments, NUL-separated.
    pub args: Args,
    /// The script, if one was started.
    pub script: Option<Box<[u8]>>,
    /// The working folder that it was started in; empty if it is not known, or longer than what is kept.
    pub cwd: Box<[u8]>,
    /// The executable's inode.
    pub file: FileFacts,
    /// Credentials after the exec.
    pub credentials: Credentials,
    /// How it came into its container.
    pub entry: Entry,
    /// Whether it is part of its container's image, once that was concluded.
    pub drift: Drift,
    /// It is the dynamic loader, which was started as a program to run another one.
    pub is_loader: bool,
}

/// How a program came into its container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entry {
    /// Started by something that was in there, or on the host.
    #[default]
    Inside,
    /// The container's own first program.
    Entrypoint,
    /// Brought in later by the container runtime: `kubectl exec`, `runc exec`, a probe.
    ExecSession,
}

impl Entry {
    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Entrypoint => "entrypoint",
            Self::ExecSession => "exec_session",
        }
    }
}

impl Image {
    /// The image of an exec event.
    pub fn of(exec: &Exec, time: u64, entry: Entry) -> Self {
        Self {
            key: Some(exec.key()),
            time,
            exe: last(&exec.exe, EXE_KEPT).into(),
            command: exec.command.as_slice().into(),
            args: clipped(&exec.args),
            script: exec.is_script().then(|| last(&exec.filename, EXE_KEPT).into()),
            cwd: if exec.cwd.len() <= EXE_KEPT { exec.cwd.as_slice().into() } else { Box::default() },
            file: exec.file,
            credentials: exec.credentials,
            entry,
            drift: Drift::NotApplicable,
            is_loader: is_loader(&exec.exe) && !lists_libraries(exec),
        }
    }

    /// The names this program goes by: command name, base names of executable, first argument and script.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        names(&self.command, &self.exe, &self.args, self.script.as_deref())
    }
}

/// The names a program goes by. The executable's own name decides nothing alone: busybox is many programs, and a script
/// is run by an interpreter.
pub fn names<'a>(
    command: &'a [u8],
    exe: &'a [u8],
    args: &'a Args,
    script: Option<&'a [u8]>,
) -> impl Iterator<Item = &'a [u8]> {
    let first = args.iter().next().map(|first| base_name(first.strip_prefix(b"-").unwrap_or(first)));
    [Some(command), Some(base_name(exe)), first, script.map(base_name)].into_iter().flatten()
}

/// The part of a path behind its last slash.
pub fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// Whether a path is that of the dynamic loader: names of glibc's and musl's.
pub fn is_loader(exe: &[u8]) -> bool {
    let name = base_name(exe);
    (name.starts_with(b"ld-") || name.starts_with(b"ld.so") || name.starts_with(b"ld64.so"))
        && name.windows(3).any(|part| part == b".so")
}

/// Whether the loader was asked for a program's libraries, as ldd(1) does: then it maps the program and runs nothing of it.
fn lists_libraries(exec: &Exec) -> bool {
    exec.environment.iter().any(|variable| variable.starts_with(b"LD_TRACE_LOADED_OBJECTS="))
}

fn last(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(most)..]
}

fn clipped(args: &Args) -> Args {
    if args.bytes.len() <= ARGS_KEPT {
        return args.clone();
    }
    Args { bytes: args.bytes[..ARGS_KEPT].to_vec(), gap: Some(ARGS_KEPT), ..*args }
}

/// A process that a program descends from, and what it ran at the time of the fork.
#[derive(Clone, Debug)]
pub struct Ancestor {
    /// Who.
    pub key: ProcessKey,
    /// What it ran.
    pub image: Arc<Image>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_shell_goes_by_its_name_without_the_dash() {
        let image = Image {
            exe: (*b"/bin/busybox").into(),
            command: (*b"sh").into(),
            args: Args { bytes: b"-sh\0".to_vec(), ..Args::default() },
            ..Image::default()
        };
        let names: Vec<&[u8]> = image.names().collect();
        assert_eq!(names, [b"sh".as_slice(), b"busybox", b"sh"]);
    }

    #[test]
    fn loaders_are_known() {
        assert!(is_loader(b"/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"));
        assert!(is_loader(b"/lib/ld-musl-x86_64.so.1") && is_loader(b"/usr/bin/ld.so"));
        assert!(!is_loader(b"/usr/bin/ld") && !is_loader(b"/usr/bin/ld-gold"));
        let loader = |environment: &[u8]| {
            let environment = vec![environment.to_vec()];
            let exec = Exec { exe: b"/usr/bin/ld.so".to_vec(), environment, ..Exec::default() };
            Image::of(&exec, 1, Entry::Inside).is_loader
        };
        assert!(loader(b"LD_PRELOAD=/x.so") && !loader(b"LD_TRACE_LOADED_OBJECTS=1"));
    }

    #[test]
    fn what_an_attacker_made_long_is_clipped() {
        let exec = Exec {
            exe: [b"/".as_slice(), &[b'a'; 4000], b"/x"].concat(),
            args: Args { bytes: vec![b'b'; 20_000], gap: None, length: 20_000, count: 1 },
            ..Exec::default()
        };
        let image = Image::of(&exec, 1, Entry::Inside);
        assert_eq!(image.exe.len(), EXE_KEPT);
        assert!(image.exe.ends_with(b"/x"));
        assert_eq!(image.args.bytes.len(), ARGS_KEPT);
        assert!(image.args.truncated());
    }
}
