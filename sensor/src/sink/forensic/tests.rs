//! The event log as a sink: full disk, blocked folder, order.

use std::ffi::CString;
use std::path::Path;

use super::super::queue::{Outlet, QueueConfig};
use super::super::tests::{finding, telemetry};
use super::super::{BuildInfo, Metrics};
use super::*;

pub(in crate::sink) fn config(directory: &Path) -> ForensicConfig {
    ForensicConfig { telemetry: true, ..ForensicConfig::new(directory.to_owned()) }
}

/// All lines of the log's files, oldest first.
pub(super) fn lines(directory: &Path) -> Vec<Bytes> {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = names.filter(|path| path.to_string_lossy().contains("Z-")).collect();
    files.sort_unstable();
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
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
    std::fs::write(&blocked, "").unwrap();
    let (mut outlet, task, counts, health) = connected(&blocked);
    outlet.send(finding("f0"));
    wait_until("two failures", || counts.errors.get() >= 2).await;
    assert!(!log_is_writable(&health));
    std::fs::remove_file(&blocked).unwrap();
    wait_until("written", || counts.written_bytes.get() == 3).await;
    wait_until("ready", || log_is_writable(&health)).await;
    std::fs::remove_dir_all(&blocked).unwrap();
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
    std::fs::write(&blocked, "").unwrap();
    let (mut outlet, task, counts, _) = connected(&blocked);
    (0..4).for_each(|_| outlet.send(finding("f")));
    drop(outlet);
    tokio::time::timeout(Duration::from_secs(2), task).await.unwrap().unwrap();
    assert_eq!(counts.dropped_findings.get(), 4);
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
        std::fs::write(&ballast, vec![0; 32 * 1024]).unwrap();
        let mut segments = Segments::new(config(&directory));
        let batch: Vec<Bytes> = (0..100).map(|number| Bytes::from(format!("{number:0999}"))).collect();
        let (first, result) = segments.append(&batch, true);
        assert!(matches!(result, Err(LogError::Write { .. })));
        assert!((20..33).contains(&first), "what fits stays: {first}");
        assert_eq!(lines(&directory), batch[..first]);
        assert!(segments.append(&batch[first..], true).1.is_err());
        std::fs::remove_file(&ballast).unwrap();
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
