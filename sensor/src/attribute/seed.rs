//! Reads from /proc what was running before the sensor, and what a lost event should have told.

use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Drift;
use super::image::{Entry, Image, is_loader};
use super::known::KnownCredentials;
use super::process::{Origin, Process, RuntimeRole};
use crate::event::{Args, Credentials, FileFacts, Namespaces, ProcessKey};

/// Bytes read of any file of /proc.
const READ_MAX: u64 = 64 * 1024;
/// Bytes kept of a command line.
const ARGS_MAX: usize = 1024;
/// One clock tick (USER_HZ = 100) in nanoseconds.
const TICK: u64 = 10_000_000;

/// What /proc says of a process.
#[derive(Debug)]
pub struct Seeded {
    /// The process, with its origin still unknown and a start in whole ticks.
    pub process: Process,
    /// The text of /proc/PID/cgroup.
    pub cgroup: String,
}

/// The ids of all processes in `proc`, in the order of their numbers, so that most parents come first.
pub fn process_ids(proc: &Path) -> Vec<u32> {
    let names = fs::read_dir(proc).into_iter().flatten().flatten();
    let mut ids: Vec<u32> = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    ids.sort_unstable();
    ids
}

/// Reads one process; `None` if it is gone, or ended while it was read.
pub fn read(proc: &Path, pid: u32) -> Option<Seeded> {
    let folder = proc.join(pid.to_string());
    let (parent, start_time) = stat(&read_file(&folder.join("stat"))?)?;
    let status = read_file(&folder.join("status")).unwrap_or_default();
    let args = read_file(&folder.join("cmdline")).unwrap_or_default();
    let command = read_file(&folder.join("comm")).unwrap_or_default();
    let cgroup = String::from_utf8_lossy(&read_file(&folder.join("cgroup")).unwrap_or_default()).into_owned();
    let exe = fs::read_link(folder.join("exe")).unwrap_or_default();
    let file = exe_facts(&folder);
    let namespaces = namespaces(&folder);
    let credentials = credentials(&status);
    let namespace_pid = namespace_pid(&status).unwrap_or(0);
    // Read again last: if the number was reused meanwhile, what was read belongs to two processes.
    if stat(&read_file(&folder.join("stat"))?)? != (parent, start_time) {
        return None;
    }
    let exe = without_deleted(exe);
    let is_loader = is_loader(&exe);
    let length = args.len();
    let kept = args[..length.min(ARGS_MAX)].to_vec();
    let image = Image {
        key: None,
        time: 0,
        exe,
        command: command.strip_suffix(b"\n").unwrap_or(&command).into(),
        args: Args {
            gap: (length > kept.len()).then_some(kept.len()),
            bytes: kept,
            length: length as u32,
            count: 0,
        },
        script: None,
        cwd: Box::default(),
        file,
        credentials,
        entry: Entry::Inside,
        drift: Drift::NotApplicable,
        is_loader,
    };
    let process = Process {
        key: ProcessKey { pid, start_time },
        parent: ProcessKey { pid: parent, start_time: 0 },
        namespace_pid,
        image: Arc::new(image),
        ancestors: Vec::new(),
        origin: Origin::Unknown,
        origin_seen: false,
        role: RuntimeRole::None,
        cgroup_id: 0,
        namespaces,
        known: Some(KnownCredentials { credentials, user_namespace: namespaces.user }),
        server: None,
        session: None,
        exited: None,
    };
    Some(Seeded { process, cgroup })
}

/// What a process is at this moment, for the sweep.
#[derive(Debug)]
pub struct Standing {
    /// Its credentials, of its first thread.
    pub credentials: Credentials,
    /// Its namespaces, 0 where they cannot be read.
    pub namespaces: Namespaces,
    /// Its path in the unified cgroup hierarchy, empty if there is none.
    pub cgroup: String,
    /// Seccomp mode: 0 off, 1 strict, 2 filter.
    pub seccomp_mode: u32,
    /// no_new_privs is set.
    pub no_new_privileges: bool,
    /// Inode number and device of its root folder, 0 where they cannot be read.
    pub root: (u64, u32),
    /// Number of its threads.
    pub threads: u32,
    /// Its security label, empty where there is none.
    pub security_label: String,
}

/// Looks at a process; `None` if it is gone, or its number belongs to another one before or after.
pub fn standing(proc: &Path, key: ProcessKey) -> Option<Standing> {
    let folder = proc.join(key.pid.to_string());
    let is_it = || {
        let started = start_time(proc, key.pid)?;
        (started / TICK == key.start_time / TICK).then_some(())
    };
    is_it()?;
    let status = read_file(&folder.join("status"))?;
    let cgroup = String::from_utf8_lossy(&read_file(&folder.join("cgroup"))?).into_owned();
    let number = |name| status_field(&status, name).next().and_then(|text| text.parse::<u32>().ok());
    let standing = Standing {
        credentials: credentials(&status),
        namespaces: namespaces(&folder),
        cgroup: cgroup.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned(),
        // A kernel without seccomp has no such line, and its containers no filter.
        seccomp_mode: number("Seccomp:").unwrap_or(0),
        no_new_privileges: number("NoNewPrivs:").unwrap_or(0) != 0,
        root: root_folder(&folder.join("root")),
        threads: number("Threads:").unwrap_or(0),
        security_label: read_file(&folder.join("attr/current"))
            .map(|label| String::from_utf8_lossy(&label).trim_end_matches(['\0', '\n']).to_owned())
            .unwrap_or_default(),
    };
    is_it().map(|()| standing)
}

/// Whether a process is still there, and has namespaces: one that has ended and was not waited for has none.
pub fn is_alive(proc: &Path, key: ProcessKey) -> bool {
    let started = start_time(proc, key.pid);
    started.is_some_and(|started| started / TICK == key.start_time / TICK)
        && fs::read_link(proc.join(key.pid.to_string()).join("ns/mnt")).is_ok()
}

/// Inode number and device, in the kernel's own form, of a folder; zeros if it cannot be looked at.
pub fn root_folder(path: &Path) -> (u64, u32) {
    fs::metadata(path).map_or((0, 0), |metadata| (metadata.ino(), device(metadata.dev())))
}

/// A device number of stat(2) as the kernel has it: major << 20 | minor.
fn device(number: u64) -> u32 {
    (libc::major(number) << 20) | (libc::minor(number) & 0xf_ffff)
}

/// When a process started, in whole ticks.
pub fn start_time(proc: &Path, pid: u32) -> Option<u64> {
    stat(&read_file(&proc.join(pid.to_string()).join("stat"))?).map(|(_, start)| start)
}

/// Reads at most [`READ_MAX`] bytes; a process can make its own files there endless.
fn read_file(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(READ_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Parent id and start time of a stat line. The command name in parentheses may hold anything, so fields count from the
/// last closing one (proc_pid_stat(5)).
fn stat(line: &[u8]) -> Option<(u32, u64)> {
    let end = line.iter().rposition(|&byte| byte == b')')?;
    let text = std::str::from_utf8(line.get(end + 1..)?).ok()?;
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    let ticks: u64 = fields.get(19)?.parse().ok()?;
    Some((parent, ticks.saturating_mul(TICK)))
}

fn status_field<'a>(status: &'a [u8], name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let line = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(name.as_bytes()));
    let text = line.and_then(|line| std::str::from_utf8(line).ok()).unwrap_or("");
    text.trim_start_matches(':').split_ascii_whitespace()
}

fn namespace_pid(status: &[u8]) -> Option<u32> {
    status_field(status, "NSpid").last()?.parse().ok()
}

fn credentials(status: &[u8]) -> Credentials {
    let ids = |name| -> [u32; 4] {
        let mut ids = [0; 4];
        for (id, text) in ids.iter_mut().zip(status_field(status, name)) {
            *id = text.parse().unwrap_or(u32::MAX);
        }
        ids
    };
    let set = |name| {
        status_field(status, name).next().and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(0)
    };
    let [uid, euid, suid, fsuid] = ids("Uid");
    let [gid, egid, sgid, fsgid] = ids("Gid");
    Credentials {
        uid,
        gid,
        euid,
        egid,
        suid,
        sgid,
        fsuid,
        fsgid,
        inheritable: set("CapInh"),
        permitted: set("CapPrm"),
        effective: set("CapEff"),
        bounding: set("CapBnd"),
        ambient: set("CapAmb"),
    }
}

fn namespaces(folder: &Path) -> Namespaces {
    let inum = |name: &str| {
        let link = fs::read_link(folder.join("ns").join(name)).unwrap_or_default();
        let text = link.to_str().unwrap_or("");
        text.rsplit('[').next().and_then(|tail| tail.trim_end_matches(']').parse().ok()).unwrap_or(0)
    };
    Namespaces {
        mount: inum("mnt"),
        pid: inum("pid"),
        network: inum("net"),
        ipc: inum("ipc"),
        uts: inum("uts"),
        cgroup: inum("cgroup"),
        time: inum("time"),
        user: inum("user"),
    }
}

/// The executable's inode, with the device in the kernel's own form.
fn exe_facts(folder: &Path) -> FileFacts {
    let Ok(metadata) = fs::metadata(folder.join("exe")) else { return FileFacts::default() };
    FileFacts {
        inode: metadata.ino(),
        size: metadata.size(),
        change_time: metadata.ctime(),
        modify_time: metadata.mtime(),
        device: device(metadata.dev()),
        mode: metadata.mode(),
        link_count: metadata.nlink() as u32,
        uid: metadata.uid(),
        filesystem_magic: 0,
        flags: 0,
    }
}

/// /proc marks a deleted executable in the link's text.
fn without_deleted(exe: PathBuf) -> Box<[u8]> {
    let bytes = exe.as_os_str().as_bytes();
    bytes.strip_suffix(b" (deleted)").unwrap_or(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_by_its_number_and_start() {
        let proc = Path::new("/proc");
        let pid = std::process::id();
        let start_time = start_time(proc, pid).expect("this process");
        assert!(is_alive(proc, ProcessKey { pid, start_time }));
        assert!(
            !is_alive(proc, ProcessKey { pid, start_time: start_time + 10 * TICK }),
            "another one of this number"
        );
        assert!(!is_alive(proc, ProcessKey { pid: u32::MAX, start_time }));
    }

    #[test]
    fn a_command_name_cannot_shift_the_fields_of_stat() {
        let tail = "S 7 1 1 0 -1 4194560 1 1 1 1 0 0 0 0 20 0 1 0 1234 0 0";
        let line = format!("42 (evil) R 1 (x) {tail}");
        assert_eq!(stat(line.as_bytes()), Some((7, 1234 * TICK)));
        assert_eq!(stat(b"42 no parentheses"), None);
        assert_eq!(stat(b"42 (x) S 1"), None);
    }

    #[test]
    fn this_process_is_read() {
        let seeded = read(Path::new("/proc"), std::process::id()).expect("alive");
        assert!(seeded.process.image.exe.starts_with(b"/"));
        assert!(seeded.process.namespaces.mount > 0);
        assert!(seeded.process.image.file.inode > 0);
        assert!(seeded.process.key.start_time > 0);
        assert!(!seeded.cgroup.is_empty());
    }

    #[test]
    fn one_that_is_gone_is_none() {
        assert!(read(Path::new("/proc"), u32::MAX).is_none());
    }
}
