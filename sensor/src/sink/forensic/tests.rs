//! The event log's files, and the log as a sink: rotation, retention, full disk, blocked folder, order.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::queue::{Outlet, QueueConfig};
use super::super::tests::{finding, telemetry};
use super::super::{BuildInfo, Metrics};
use super::segments::{is_own_name, list};
use super::*;

pub(in crate::sink) fn config(directory: &Path) -> ForensicConfig {
    ForensicConfig { telemetry: true, ..ForensicConfig::new(directory.to_owned()) }
}

/// All lines of the log's files, oldest first.
fn lines(directory: &Path) -> Vec<Bytes> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = names.filter(|path| path.to_string_lossy().contains("Z-")).collect();
    files.sort_unstable();
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| Bytes::copy_from_slice(line.as_bytes())).collect()
}

fn connected(directory: &Path) -> (Outlet, tokio::task::JoinHandle<()>, SinkCounts, Arc<Health>) {
    let metrics = Metrics::new(BuildInfo::default());
    let health = Arc::new(Health::default());
    let mut outlet = Outlet::default();
    let inlet = outlet.connect(&QueueConfig::default(), true, metrics.sink("forensic"));
    let task = run(inlet, Segments::new(config(directory)), metrics.sink("forensic"), health.clone());
    (outlet, tokio::spawn(task), metrics.sink("forensic"), health)
}

async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn log_is_writable(health: &Health) -> bool {
    !health.not_ready().contains(&"the event log cannot be written")
}

#[tokio::test]
async fn findings_are_written_before_telemetry_that_came_first() {
    let folder = tempfile::tempdir().unwrap();
    let (mut outlet, task, counts, _) = connected(folder.path());
    (0..3).for_each(|number| outlet.send(telemetry(&format!("t{number}"))));
    (0..2).for_each(|number| outlet.send(finding(&format!("f{number}"))));
    drop(outlet);
    task.await.unwrap();
    assert_eq!(lines(folder.path()), ["f0", "f1", "t0", "t1", "t2"]);
    assert_eq!((counts.errors.get(), counts.written_bytes.get()), (0, 15));
}

#[tokio::test]
async fn a_blocked_folder_is_counted_and_lines_wait_until_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("log");
    fs::write(&blocked, "").unwrap();
    let (mut outlet, task, counts, health) = connected(&blocked);
    outlet.send(finding("f0"));
    wait_until("two failures", || counts.errors.get() >= 2).await;
    assert!(!log_is_writable(&health));
    fs::remove_file(&blocked).unwrap();
    wait_until("written", || counts.written_bytes.get() == 3).await;
    wait_until("ready", || log_is_writable(&health)).await;
    fs::remove_dir_all(&blocked).unwrap();
    wait_until("noticed without a line", || blocked.exists()).await;
    outlet.send(finding("f1"));
    drop(outlet);
    task.await.unwrap();
    assert_eq!(lines(&blocked), ["f1"]);
    assert_eq!(counts.dropped_findings.get(), 0);
}

#[tokio::test]
async fn a_log_that_stays_blocked_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("log");
    fs::write(&blocked, "").unwrap();
    let (mut outlet, task, counts, _) = connected(&blocked);
    (0..4).for_each(|_| outlet.send(finding("f")));
    drop(outlet);
    tokio::time::timeout(Duration::from_secs(2), task).await.unwrap().unwrap();
    assert_eq!(counts.dropped_findings.get(), 4);
}

fn batch(count: usize, length: usize) -> Vec<Bytes> {
    (0..count).map(|number| Bytes::from(format!("{number:0length$}"))).collect()
}

#[test]
fn folder_and_file_are_for_the_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("a/b");
    let mut segments = Segments::new(config(&directory));
    assert!(segments.append(&batch(1, 10), true).1.is_ok());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let files = list(&directory).unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(mode(&files[0].0), 0o600);
}

#[test]
fn files_rotate_before_their_limit_and_hold_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mut segments = Segments::new(ForensicConfig { file_bytes: 100, ..config(folder.path()) });
    // Lines of 25 bytes with their newline: four to a file, to the byte.
    let (written, result) = segments.append(&batch(10, 24), true);
    assert_eq!((written, result.is_ok()), (10, true));
    let sizes: Vec<u64> = list(folder.path()).unwrap().into_iter().map(|(_, size)| size).collect();
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(lines(folder.path()), batch(10, 24));
    assert_eq!(segments.take_written_bytes(), 250);
}

#[test]
fn a_line_longer_than_a_file_gets_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut segments = Segments::new(ForensicConfig { file_bytes: 100, ..config(folder.path()) });
    for length in [10, 500, 10, 99, 100] {
        assert_eq!(segments.append(&batch(1, length), true).0, 1);
    }
    let sizes: Vec<u64> = list(folder.path()).unwrap().into_iter().map(|(_, size)| size).collect();
    assert_eq!(sizes, [11, 501, 11, 100, 101]);
}

#[test]
fn the_oldest_go_when_the_total_is_reached_and_foreign_files_stay() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("events-notes.jsonl");
    fs::write(&foreign, "x".repeat(10_000)).unwrap();
    let limits = ForensicConfig { file_bytes: 100, total_bytes: 350, ..config(folder.path()) };
    let mut segments = Segments::new(limits);
    for number in 0..40 {
        let line = Bytes::from(format!("{number:024}"));
        assert_eq!(segments.append(&[line], false).0, 1);
        let total: u64 = list(folder.path()).unwrap().iter().map(|(_, size)| size).sum();
        assert!(total <= 350, "{total}");
    }
    let kept: Vec<usize> =
        lines(folder.path()).iter().map(|line| String::from_utf8_lossy(line).parse().unwrap()).collect();
    assert_eq!(kept, (28..40).collect::<Vec<_>>());
    assert!(foreign.exists());
}

#[test]
fn restarts_leave_no_empty_files_and_never_write_into_an_old_one() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        assert!(Segments::new(config(folder.path())).open().is_ok());
    }
    assert!(list(folder.path()).unwrap().is_empty());
    for _ in 0..3 {
        assert!(Segments::new(config(folder.path())).append(&batch(1, 5), true).1.is_ok());
    }
    assert_eq!(list(folder.path()).unwrap().len(), 3);
}

#[test]
fn a_removed_folder_is_noticed_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("log");
    let mut segments = Segments::new(config(&directory));
    assert!(segments.append(&batch(1, 5), true).1.is_ok());
    fs::remove_dir_all(&directory).unwrap();
    let (written, result) = segments.append(&batch(2, 5), true);
    assert!(matches!(result, Err(LogError::Removed { .. })) && written == 0);
    assert_eq!(segments.append(&batch(2, 5), true).0, 2);
    assert_eq!(lines(&directory).len(), 2);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    fs::write(&blocked, "").unwrap();
    let mut segments = Segments::new(config(&blocked.join("log")));
    let (written, result) = segments.append(&batch(2, 5), true);
    let message = result.unwrap_err().to_string();
    assert!(written == 0 && message.contains("file/log") && message.contains("--log-dir"), "{message}");
    fs::remove_file(&blocked).unwrap();
    assert_eq!(segments.append(&batch(2, 5), true).0, 2);
}

#[test]
fn only_own_names_are_own() {
    assert!(is_own_name("events-20261124T083215Z-000001.jsonl"));
    for name in
        ["events-20261124T083215Z-1.jsonl", "events-.jsonl", "events-20261124T083215Z-00000x.jsonl", "x"]
    {
        assert!(!is_own_name(name), "{name}");
    }
}

/// On a real full disk (a tmpfs in a mount namespace of one thread): whole lines only, and no line twice.
#[test]
fn a_full_disk_tears_no_line_and_loses_none_that_it_can_keep() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_owned();
    let test = std::thread::spawn(move || {
        if let Err(error) = mount_small_disk(&directory) {
            println!("skipped: no tmpfs can be mounted here: {error}");
            return;
        }
        let ballast = directory.join("ballast");
        fs::write(&ballast, vec![0; 32 * 1024]).unwrap();
        let mut segments = Segments::new(config(&directory));
        let batch: Vec<Bytes> = (0..100).map(|number| Bytes::from(format!("{number:0999}"))).collect();
        let (first, result) = segments.append(&batch, true);
        assert!(matches!(result, Err(LogError::Write { .. })));
        assert!((20..33).contains(&first), "what fits stays: {first}");
        assert_eq!(lines(&directory), batch[..first]);
        assert!(segments.append(&batch[first..], true).1.is_err());
        fs::remove_file(&ballast).unwrap();
        let (more, result) = segments.append(&batch[first..first + 20], true);
        assert!(result.is_ok() && more == 20, "{result:?}");
        assert_eq!(lines(&directory), batch[..first + 20]);
    });
    test.join().unwrap();
}

/// Gives the calling thread its own mounts, and a disk of 64 KiB at `directory`.
fn mount_small_disk(directory: &Path) -> std::io::Result<()> {
    let check = |result| if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    let target = CString::new(directory.as_os_str().as_encoded_bytes())?;
    // SAFETY: unshare takes no pointers and changes only the calling thread, which ends after the test.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    let (private, none) = (libc::MS_REC | libc::MS_PRIVATE, std::ptr::null());
    // SAFETY: the path is a valid C string; the other pointers may be null for a change of propagation.
    check(unsafe { libc::mount(none, c"/".as_ptr(), none, private, none.cast()) })?;
    // SAFETY: all strings are valid C strings that outlive the call.
    check(unsafe {
        libc::mount(c"tmpfs".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, c"size=65536".as_ptr().cast())
    })
}
