//! Disks of the node that fill up, and who writes most meanwhile.
//!
//! Nobody's writes are followed. Free space is asked for every ten seconds, and only while it falls the kernel's account of
//! what each process wrote (`/proc/PID/io`). That account is of all disks together, so who has the full one mounted or a file
//! open on it goes before others.

use std::collections::{HashMap, VecDeque};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sensor_ebpf::abi::{DISK_VALUE_FREE, DISK_VALUE_GROWTH, EventKind};

use super::fork_limits::made_event;
use super::host::HostRoot;
use super::mounts::{disks, shows};
use super::process::Process;
use super::runtime::device_number;
use crate::event::{Body, Event, ProcessKey};

/// Nanoseconds between two looks.
const AGE: u64 = 10_000_000_000;
/// Nanoseconds over which growth is measured, and between two tellings of one disk.
const WINDOW: u64 = 60_000_000_000;
/// Percent of a disk that are free when it counts as full soon.
const LITTLE: u64 = 15;
/// Percent of a disk that must have been filled within the window.
const FAST: u64 = 5;
/// Percent from which on writers are looked at.
const WATCHED: u64 = 1;
/// Disks that are looked at.
const DISKS: usize = 64;
/// Open files of a process, and processes of a container, that are asked for their disk.
const ASKED: usize = 256;

/// Free space and its history.
#[derive(Debug, Default)]
struct Disk {
    samples: VecDeque<(u64, u64)>,
    told: Option<u64>,
}

/// All disks.
pub struct Disks {
    root: HostRoot,
    proc: PathBuf,
    mountinfo: PathBuf,
    looked: u64,
    disks: HashMap<PathBuf, Disk>,
    written: HashMap<ProcessKey, u64>,
}

impl Disks {
    /// Disks as a process of the node sees them.
    pub fn new(root: HostRoot, proc: &Path, pid: u32) -> Self {
        Self {
            root,
            proc: proc.to_owned(),
            mountinfo: proc.join(pid.to_string()).join("mountinfo"),
            looked: 0,
            disks: HashMap::new(),
            written: HashMap::new(),
        }
    }

    /// Looks at free space; gives an event for each disk that fills fast and has little left, done by who wrote most.
    pub fn look<'a>(&mut self, now: u64, processes: impl Iterator<Item = &'a Process>) -> Vec<Event> {
        if now.saturating_sub(self.looked) < AGE {
            return Vec::new();
        }
        self.looked = now;
        let (mut full, mut falling) = (Vec::new(), false);
        for point in disks(&self.mountinfo).into_iter().take(DISKS) {
            let Some((total, free)) = space(&self.root.path(&point)) else { continue };
            let disk = self.disks.entry(point.clone()).or_default();
            let growth = disk.sample(now, free);
            falling |= growth * 100 >= total * WATCHED;
            let fast = free * 100 < total * LITTLE && growth * 100 >= total * FAST;
            if fast && disk.told.is_none_or(|told| now.saturating_sub(told) >= WINDOW) {
                full.push((point, free * 100 / total.max(1), growth));
            }
        }
        let writers = if falling { self.writers(now, processes) } else { Vec::new() };
        let told = |(point, free, growth): (PathBuf, u64, u64)| {
            // Without a writer the next look tells it.
            let writer = self.writer_to(&point, growth, &writers)?.newest;
            if let Some(disk) = self.disks.get_mut(&point) {
                disk.told = Some(now);
            }
            let mut event = made_event(writer, EventKind::DiskFill, now);
            if let Body::Action(action) = &mut event.body {
                action.text = point.as_os_str().as_bytes().to_vec();
                action.values[DISK_VALUE_FREE] = free;
                action.values[DISK_VALUE_GROWTH] = growth;
            }
            Some(event)
        };
        full.into_iter().filter_map(told).collect()
    }

    /// Who wrote most: of those that reach the disk, if what they wrote may have filled it, else of all.
    fn writer_to<'w, 'a>(
        &self,
        point: &Path,
        growth: u64,
        writers: &'w [Writer<'a>],
    ) -> Option<&'w Writer<'a>> {
        let device = std::fs::metadata(self.root.path(point)).map(|found| found.dev()).ok();
        let reaches = |writer: &&Writer<'_>| {
            writer.bytes >= growth / 4 && device.is_some_and(|device| writer.reaches(&self.proc, device))
        };
        let most = |writer: &&Writer<'_>| writer.bytes;
        writers.iter().filter(reaches).max_by_key(most).or_else(|| writers.iter().max_by_key(most))
    }

    /// What each container wrote since the last look, and of the host each process.
    fn writers<'a>(&mut self, now: u64, processes: impl Iterator<Item = &'a Process>) -> Vec<Writer<'a>> {
        let mut written = HashMap::new();
        let mut writers: HashMap<u64, Writer<'_>> = HashMap::new();
        for process in processes.filter(|process| process.exited.is_none()) {
            let Some(bytes) = written_by(&self.proc, process.key.pid) else { continue };
            // What an older process wrote before anybody looked says nothing of now; its ended children's writes are in it.
            let young = now.saturating_sub(process.key.start_time) < WINDOW;
            let before = self.written.get(&process.key).copied().unwrap_or(if young { 0 } else { bytes });
            written.insert(process.key, bytes);
            let group =
                process.origin.container().map_or(u64::from(process.key.pid), |handle| handle.number());
            let writer = writers.entry(group).or_insert_with(|| Writer {
                bytes: 0,
                newest: process,
                pids: Vec::new(),
            });
            writer.bytes += bytes.saturating_sub(before);
            writer.pids.push(process.key.pid);
            if process.key.start_time > writer.newest.key.start_time {
                writer.newest = process;
            }
        }
        self.written = written;
        writers.into_values().filter(|writer| writer.bytes > 0).collect()
    }
}

/// A container, or a process of the host.
struct Writer<'a> {
    /// Bytes written since the last look.
    bytes: u64,
    newest: &'a Process,
    pids: Vec<u32>,
}

impl Writer<'_> {
    /// Whether it has a file open on a disk (`st_dev`), or is a container that has it mounted: the host sees all disks.
    fn reaches(&self, proc: &Path, device: u64) -> bool {
        let is_container = self.newest.origin.container().is_some();
        let mut processes = self.pids.iter().take(ASKED).map(|pid| proc.join(pid.to_string()));
        processes.any(|process| {
            is_container && shows(&process.join("mountinfo"), device_number(device))
                || has_open(&process.join("fd"), device)
        })
    }
}

/// Whether a folder `/proc/PID/fd` has a file on a disk.
fn has_open(folder: &Path, device: u64) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let files = entries.flatten().take(ASKED).filter_map(|entry| std::fs::metadata(entry.path()).ok());
    files.into_iter().any(|file| file.is_file() && file.dev() == device)
}

impl Disk {
    /// Takes a sample; gives by how much free space fell within the window.
    fn sample(&mut self, now: u64, free: u64) -> u64 {
        while self.samples.front().is_some_and(|(time, _)| now.saturating_sub(*time) > WINDOW) {
            self.samples.pop_front();
        }
        let most = self.samples.iter().map(|(_, free)| *free).max().unwrap_or(free);
        self.samples.push_back((now, free));
        most.saturating_sub(free)
    }
}

/// Bytes of a file system, and those that are free for others than root.
fn space(point: &Path) -> Option<(u64, u64)> {
    let path = CString::new(point.as_os_str().as_bytes()).ok()?;
    // SAFETY: all bytes zero is a valid `struct statvfs`.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a C string, and the structure outlives the call.
    let result = unsafe { libc::statvfs(path.as_ptr(), &raw mut found) };
    (result == 0 && found.f_blocks > 0)
        .then(|| (found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize))
}

/// `write_bytes` of /proc/PID/io: what a process made the kernel write to disks (proc_pid_io(5)).
fn written_by(proc: &Path, pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(proc.join(pid.to_string()).join("io")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_what_became_less_within_the_window() {
        let mut disk = Disk::default();
        assert_eq!(disk.sample(0, 100), 0);
        assert_eq!(disk.sample(AGE, 90), 10);
        assert_eq!(disk.sample(2 * AGE, 95), 5, "something was deleted");
        assert_eq!(disk.sample(2 * AGE + WINDOW, 80), 15, "the first ones are too old");
        assert_eq!(disk.sample(9 * WINDOW, 70), 0);
    }

    #[test]
    fn who_reaches_a_disk_is_known_by_open_files_and_mounts() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = tempfile::tempfile_in(folder.path()).expect("temporary file");
        let device = file.metadata().expect("facts").dev();
        let own = Path::new("/proc/self");
        assert!(has_open(&own.join("fd"), device));
        assert!(!has_open(&own.join("fd"), u64::MAX));
    }

    #[test]
    fn space_and_writes_are_read() {
        let (total, free) = space(Path::new("/")).expect("a root");
        assert!(total >= free && total > 0);
        assert_eq!(space(Path::new("/nowhere/at/all")), None);
        assert!(written_by(Path::new("/proc"), std::process::id()).is_some());
        assert_eq!(written_by(Path::new("/proc"), u32::MAX), None);
    }
}
