//! Small facts and services of this host: shell scripts, random ids, mounts, capabilities.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A script of a scenario as a process of the host, in a session of its own, output into one file.
pub fn shell(script: &str, output: &Path) -> io::Result<Command> {
    let file = File::options().create(true).append(true).open(output)?;
    let mut command = Command::new("/bin/sh");
    command.arg("-eu").arg("-c").arg(script).stdin(Stdio::null());
    command.stdout(file.try_clone()?).stderr(file);
    // SAFETY: setsid is async-signal-safe and touches no memory.
    unsafe {
        command.pre_exec(|| match libc::setsid() {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        })
    };
    Ok(command)
}

/// Waits for the end of a process; after `limit` kills it with its whole session's group and returns `None`.
pub fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            kill_group(child)?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Kills a process that [`shell`] started, and those it started in the same group, and reaps it.
pub fn kill_group(child: &mut Child) -> io::Result<()> {
    if child.try_wait()?.is_none() {
        let group = child.id() as libc::pid_t;
        // SAFETY: kill has no memory arguments. The child is not reaped, so the number is still its own.
        unsafe { libc::kill(-group, libc::SIGKILL) };
        child.kill()?;
    }
    child.wait().map(drop)
}

/// How a process ended, for a message.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown end".into(),
    }
}

/// The first program of this name in PATH and the system folders.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Mounts; the error says what.
pub fn mount(source: &str, target: &Path, kind: &str, data: &str) -> io::Result<()> {
    let text = |value: &OsStr| CString::new(value.as_bytes()).map_err(io::Error::other);
    let (source, kind, data) = (text(source.as_ref())?, text(kind.as_ref())?, text(data.as_ref())?);
    let path = text(target.as_os_str())?;
    // SAFETY: four C strings that outlive the call; no flags.
    let result =
        unsafe { libc::mount(source.as_ptr(), path.as_ptr(), kind.as_ptr(), 0, data.as_ptr().cast()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Unmounts, at once for everybody or when its last user is gone.
pub fn unmount(target: &Path) {
    if let Ok(path) = CString::new(target.as_os_str().as_bytes()) {
        // SAFETY: a C string that outlives the call. A target that is not mounted is no harm.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}

/// So many random bytes in hex.
pub fn random_hex(bytes: usize) -> io::Result<String> {
    let mut buffer = vec![0; bytes];
    File::open("/dev/urandom")?.read_exact(&mut buffer)?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A random UUID, as the API server gives to pods.
pub fn random_uuid() -> io::Result<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/uuid").map(|text| text.trim().to_owned())
}

/// Whether cgroup v2 is mounted alone, not beside v1.
pub fn is_unified_only() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// Mount points of all cgroup hierarchies, and which of them is v2.
pub fn cgroup_mounts() -> Vec<(PathBuf, bool)> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    fields
        .filter(|(_, kind)| matches!(*kind, "cgroup" | "cgroup2"))
        .map(|(path, kind)| (PathBuf::from(path), kind == "cgroup2"))
        .collect()
}

/// The capabilities that this process may pass on, by name.
pub fn own_capabilities() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bounding = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    let held = |&(bit, _): &(usize, &&str)| bounding & (1 << bit) != 0;
    CAPABILITIES.iter().enumerate().filter(held).map(|(_, name)| format!("CAP_{name}")).collect()
}

/// By bit, from linux/capability.h.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The release of the running kernel.
pub fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// How much longer everything may take here: under emulation by QEMU a multiple of the native time.
pub fn patience() -> u32 {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if cpu.contains("QEMU TCG") || cpu.contains("QEMU Virtual CPU") { 8 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_hangs_is_killed_with_its_children() {
        let output = std::env::temp_dir().join(format!("e2e-host-{}", std::process::id()));
        let mut child = shell("echo before; sleep 600; echo after", &output).unwrap().spawn().unwrap();
        assert!(wait(&mut child, Duration::from_millis(300)).unwrap().is_none());
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "before\n");
        std::fs::remove_file(output).unwrap();
    }

    #[test]
    fn random_ids_have_the_right_form() {
        assert_eq!(random_hex(32).unwrap().len(), 64);
        assert_eq!(random_uuid().unwrap().len(), 36);
    }
}
