//! Follows the sensor's event log: every complete line of every `*.jsonl` file, in the order it appears.

use crate::schema::Complaints;
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Records kept. A run has some ten thousand; more come when something else on the machine starts processes in masses,
/// and holding them all would take the machine's memory.
const RECORDS_MAX: usize = 100_000;

/// The records read so far, growing in the background.
pub struct Log {
    shared: Arc<Shared>,
    follower: Option<JoinHandle<()>>,
}

struct Shared {
    records: Mutex<Contents>,
    grown: Condvar,
    stop: AtomicBool,
}

/// What has been read.
#[derive(Default)]
struct Contents {
    records: Vec<Arc<Value>>,
    invalid: Vec<String>,
    /// Records beyond [`RECORDS_MAX`].
    left_out: usize,
    /// What is not as the published schema says; set at the end.
    complaints: Vec<String>,
}

impl Log {
    /// Starts to follow the files of a folder, from their beginning.
    pub fn follow(folder: &Path) -> Self {
        let shared = Arc::new(Shared {
            records: Mutex::default(),
            grown: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let mut reader =
            Reader { folder: folder.to_path_buf(), files: HashMap::new(), complaints: Complaints::default() };
        let follower = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                loop {
                    // Asked before the last read, so that what was written before the request is still read.
                    let last = shared.stop.load(Ordering::Acquire);
                    let read = reader.read();
                    if !read.records.is_empty() || !read.invalid.is_empty() {
                        let mut contents = shared.lock();
                        let room = RECORDS_MAX - contents.records.len();
                        contents.left_out += read.records.len().saturating_sub(room);
                        contents.records.extend(read.records.into_iter().take(room));
                        contents.invalid.extend(read.invalid);
                        shared.grown.notify_all();
                    }
                    if last {
                        let mut contents = shared.lock();
                        contents.invalid.extend(reader.unfinished());
                        contents.complaints = reader.complaints.told();
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        });
        Self { shared, follower: Some(follower) }
    }

    /// How many records there are now.
    pub fn len(&self) -> usize {
        self.shared.lock().records.len()
    }

    /// The records from an index on.
    pub fn since(&self, start: usize) -> Vec<Arc<Value>> {
        self.shared.lock().records.get(start..).unwrap_or_default().to_vec()
    }

    /// Waits until a record from `start` on fulfils `wanted`.
    pub fn wait_for(&self, start: usize, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Result<()> {
        let end = Instant::now() + limit;
        let mut next = start;
        let mut contents = self.shared.lock();
        loop {
            if contents.records.get(next..).unwrap_or_default().iter().any(|record| wanted(record)) {
                return Ok(());
            }
            if contents.left_out > 0 {
                bail!("{}", full(contents.left_out));
            }
            next = next.max(contents.records.len());
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("not in the event log after {} s", limit.as_secs());
            }
            contents =
                self.shared.grown.wait_timeout(contents, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Reads to the end and stops. Returns what was not a JSON object on a line of its own.
    pub fn finish(&mut self) -> Vec<String> {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(follower) = self.follower.take()
            && follower.join().is_err()
        {
            self.shared.lock().invalid.push("the reader of the log panicked".into());
        }
        let contents = self.shared.lock();
        let full = (contents.left_out > 0).then(|| full(contents.left_out));
        contents.invalid.iter().cloned().chain(full).collect()
    }
}

impl Log {
    /// What is not as the published schema says; known once [`Log::finish`] was called.
    pub fn complaints(&self) -> Vec<String> {
        self.shared.lock().complaints.clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where reading stopped in each file. Files are known by name: the sensor gives each a new one and never renames,
/// while the number of an inode is used again as soon as an old file is removed.
struct Reader {
    folder: PathBuf,
    files: HashMap<PathBuf, Position>,
    complaints: Complaints,
}

#[derive(Default)]
struct Position {
    offset: u64,
    partial: Vec<u8>,
}

impl Reader {
    fn read(&mut self) -> Contents {
        let mut contents = Contents::default();
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return contents };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        paths.sort();
        for path in paths {
            if let Err(error) = self.read_file(&path, &mut contents) {
                contents.invalid.push(format!("{}: {error}", path.display()));
            }
        }
        contents
    }

    fn read_file(&mut self, path: &Path, contents: &mut Contents) -> std::io::Result<()> {
        let mut file = match File::open(path) {
            // Renamed or removed since the folder was listed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let position = self.files.entry(path.to_path_buf()).or_default();
        file.seek(SeekFrom::Start(position.offset))?;
        let mut bytes = std::mem::take(&mut position.partial);
        position.offset += file.read_to_end(&mut bytes)? as u64;
        let complete = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |index| index + 1);
        position.partial = bytes.split_off(complete);
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Value>(line) {
                Ok(record) if record.is_object() => {
                    self.complaints.check(&record);
                    contents.records.push(Arc::new(slim(record)));
                }
                _ => contents.invalid.push(excerpt(line)),
            }
        }
        Ok(())
    }

    fn unfinished(&self) -> impl Iterator<Item = String> {
        self.files.iter().filter(|(_, position)| !position.partial.is_empty()).map(|(path, position)| {
            format!("{} ends within a line: {}", path.display(), excerpt(&position.partial))
        })
    }
}

fn full(left_out: usize) -> String {
    format!(
        "the log has {left_out} records more than the {RECORDS_MAX} that are kept: \
         something else on this machine starts processes in masses; try again when it is quiet"
    )
}

/// A record without what nothing asks for, which is most of it: there are many forks and exits.
fn slim(mut record: Value) -> Value {
    if !matches!(record["kind"].as_str(), Some("exec" | "finding"))
        && let Some(process) = record.get_mut("process").and_then(Value::as_object_mut)
    {
        process.retain(|key, _| {
            matches!(key.as_str(), "pid" | "parent_pid" | "start_time" | "exe" | "ancestors")
        });
        for ancestor in process.get_mut("ancestors").and_then(Value::as_array_mut).into_iter().flatten() {
            *ancestor = json!({ "pid": ancestor["pid"] });
        }
    }
    record
}

fn excerpt(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(200)]);
    format!("not a JSON object: {text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("e2e-log-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn lines_are_read_as_they_come_and_over_a_rotation() {
        let folder = folder("rotate");
        let mut file = File::create(folder.join("events-0.jsonl")).unwrap();
        let mut log = Log::follow(&folder);
        file.write_all(b"{\"kind\":\"exec\"}\n{\"kind\":").unwrap();
        log.wait_for(0, Duration::from_secs(5), |record| record["kind"] == "exec").unwrap();
        file.write_all(b"\"exit\"}\n").unwrap();
        log.wait_for(0, Duration::from_secs(5), |record| record["kind"] == "exit").unwrap();
        // The next file may get the inode of one that was removed.
        std::fs::remove_file(folder.join("events-0.jsonl")).unwrap();
        drop(file);
        std::fs::write(folder.join("events-1.jsonl"), "{\"kind\":\"fork\"}\n").unwrap();
        log.wait_for(0, Duration::from_secs(5), |record| record["kind"] == "fork").unwrap();
        assert_eq!(log.finish(), Vec::<String>::new());
        assert_eq!(log.len(), 3);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn broken_and_unfinished_lines_are_told() {
        let folder = folder("broken");
        std::fs::write(folder.join("events.jsonl"), "{\"a\":1}\nforged\n{\"b\":").unwrap();
        let mut log = Log::follow(&folder);
        let invalid = log.finish();
        assert_eq!(invalid.len(), 2, "{invalid:?}");
        assert_eq!(log.len(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
