//! The files of the event log: opening, appending whole lines, rotating, deleting the oldest.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use tracing::warn;

use super::ForensicConfig;

/// Bytes gathered for one write.
const WRITE_BYTES: usize = 1024 * 1024;
/// Files kept at most, whatever their size: a sensor that restarts often must not fill the folder with small ones.
const MAX_FILES: usize = 1024;
/// Names tried for a file within one second.
const MAX_COUNTER: u32 = 1_000_000;

/// Why the event log cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder cannot be made.
    #[error("cannot create the log folder {path}: {source}; check --log-dir and its permissions")]
    Directory {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be made.
    #[error("cannot create {path}: {source}; check the permissions and free space of the log folder")]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Lines cannot be written.
    #[error("cannot write {path}: {source}; check the free space of the log folder")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file being written was deleted.
    #[error("{path} was removed while it was written; starting a new file")]
    Removed {
        /// The file.
        path: PathBuf,
    },
}

/// The files of the log, one of them being written.
pub(in crate::sink) struct Segments {
    config: ForensicConfig,
    current: Option<Segment>,
    /// Time and counter in the name of the last file made.
    last_name: (String, u32),
    written_bytes: u64,
    retention_failures: u64,
}

struct Segment {
    file: File,
    path: PathBuf,
    /// Bytes of whole lines in the file.
    length: u64,
    /// Written and not yet forced to disk.
    dirty: bool,
}

impl Segments {
    /// Nothing is opened before it is needed or [`Self::open`] is called.
    pub(in crate::sink) fn new(config: ForensicConfig) -> Self {
        Self { config, current: None, last_name: Default::default(), written_bytes: 0, retention_failures: 0 }
    }

    pub(super) fn config(&self) -> &ForensicConfig {
        &self.config
    }

    /// Opens a file if none is open.
    pub(super) fn open(&mut self) -> Result<(), LogError> {
        if self.current.is_none() {
            self.current = Some(Segment::create(&self.config.directory, &mut self.last_name)?);
            self.delete_oldest();
        }
        Ok(())
    }

    /// Appends lines, and forces them to disk if asked. Gives how many lines are in the file, also when it fails:
    /// those need not be written again. No line is ever left half in a file that is written on.
    pub(super) fn append(&mut self, lines: &[Bytes], sync: bool) -> (usize, Result<(), LogError>) {
        let mut written = 0;
        while written < lines.len() {
            let (count, result) = self.append_some(&lines[written..]).unwrap_or_else(|error| (0, Err(error)));
            written += count;
            if result.is_err() {
                return (written, result);
            }
        }
        (written, if sync { self.sync() } else { Ok(()) })
    }

    /// Writes as many lines as fit into one write and the current file: at least one, when there is one. Gives how many
    /// were written and how the write went.
    fn append_some(&mut self, lines: &[Bytes]) -> Result<(usize, Result<(), LogError>), LogError> {
        self.check()?;
        let first = lines.first().map_or(0, |line| line.len() as u64 + 1);
        if self
            .current
            .as_ref()
            .is_some_and(|segment| segment.length > 0 && segment.length + first > self.config.file_bytes)
        {
            self.sync()?;
            self.current = None;
        }
        self.open()?;
        let Some(segment) = &mut self.current else { return Ok((0, Ok(()))) };
        let mut bytes = Vec::new();
        let mut count = 0;
        for line in lines {
            let longer = bytes.len() + line.len() + 1;
            let full = longer > WRITE_BYTES || segment.length + longer as u64 > self.config.file_bytes;
            if count > 0 && full {
                break;
            }
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
            count += 1;
        }
        let (kept, result) = segment.write(&bytes);
        self.written_bytes += kept as u64;
        let Err((source, torn)) = result else { return Ok((count, Ok(()))) };
        let path = segment.path.clone();
        if torn {
            self.current = None;
        }
        let count = bytes[..kept].iter().filter(|&&byte| byte == b'\n').count();
        Ok((count, Err(LogError::Write { path, source })))
    }

    /// Notices a file that was deleted under us, and forces what was written to disk.
    pub(super) fn check_and_sync(&mut self) -> Result<(), LogError> {
        self.check()?;
        self.open()?;
        self.sync()
    }

    fn check(&mut self) -> Result<(), LogError> {
        let removed = |segment: &Segment| segment.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
        match self.current.take_if(|segment| removed(segment)) {
            Some(segment) => Err(LogError::Removed { path: segment.path.clone() }),
            None => Ok(()),
        }
    }

    fn sync(&mut self) -> Result<(), LogError> {
        let Some(segment) = &mut self.current else { return Ok(()) };
        if segment.dirty {
            let result = segment.file.sync_data();
            result.map_err(|source| LogError::Write { path: segment.path.clone(), source })?;
            segment.dirty = false;
        }
        Ok(())
    }

    /// Deletes the oldest files until the rest, with the current one at its full size, is within bounds.
    fn delete_oldest(&mut self) {
        let mut files = match list(&self.config.directory) {
            Ok(files) => files,
            Err(error) => return self.retention_failed(&self.config.directory.clone(), &error),
        };
        files.retain(|(path, _)| self.current.as_ref().is_none_or(|segment| segment.path != *path));
        let room = self.config.total_bytes.saturating_sub(self.config.file_bytes);
        let mut total: u64 = files.iter().map(|(_, size)| size).sum();
        let mut count = files.len();
        for (path, size) in files {
            if total <= room && count < MAX_FILES {
                break;
            }
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => self.retention_failed(&path, &error),
                _ => {
                    total -= size;
                    count -= 1;
                }
            }
        }
    }

    fn retention_failed(&mut self, path: &Path, error: &io::Error) {
        if self.retention_failures == 0 {
            warn!(path = %path.display(), %error, "cannot delete old event logs");
        }
        self.retention_failures += 1;
    }

    /// Bytes written since the last call.
    pub(super) fn take_written_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.written_bytes)
    }

    /// Old files that could not be deleted since the last call.
    pub(super) fn take_retention_failures(&mut self) -> u64 {
        std::mem::take(&mut self.retention_failures)
    }
}

impl Segment {
    /// Makes the folder if need be, and a file in it that nobody had before.
    ///
    /// Names sort in the order the files were made, also when the clock is set back: retention relies on it.
    fn create(directory: &Path, last_name: &mut (String, u32)) -> Result<Self, LogError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|source| LogError::Directory { path: directory.to_owned(), source })?;
        // The year has four digits until 9999, so names sort by time.
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let (time, mut counter) = match &*last_name {
            (last, counter) if *last >= time => (last.clone(), counter + 1),
            _ => (time, 0),
        };
        loop {
            let path = directory.join(format!("events-{time}-{counter:06}.jsonl"));
            let mut options = OpenOptions::new();
            match options.append(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => {
                    // The name itself must be on disk too. A folder that cannot be forced costs only that.
                    let _ = File::open(directory).and_then(|directory| directory.sync_all());
                    *last_name = (time, counter);
                    return Ok(Self { file, path, length: 0, dirty: false });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists && counter < MAX_COUNTER => {
                    counter += 1
                }
                Err(source) => return Err(LogError::Create { path, source }),
            }
        }
    }

    /// Appends lines. When it fails, the whole lines that were written stay and the torn one is taken back; gives the
    /// bytes that stayed. The error tells whether taking back failed too: then the file ends in a torn line and
    /// nothing may follow in it.
    fn write(&mut self, bytes: &[u8]) -> (usize, Result<(), (io::Error, bool)>) {
        let mut written = 0;
        let result = loop {
            if written == bytes.len() {
                break Ok(());
            }
            match self.file.write(&bytes[written..]) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let kept = bytes[..written].iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        self.length += kept as u64;
        self.dirty |= kept > 0;
        let take_back = |error| (error, kept < written && self.file.set_len(self.length).is_err());
        (kept, result.map_err(take_back))
    }
}

impl Drop for Segment {
    /// A file without a line tells nothing; it goes.
    fn drop(&mut self) {
        if self.length == 0
            && self.file.metadata().is_ok_and(|metadata| metadata.len() == 0 && metadata.nlink() == 1)
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The log's files in a folder with their sizes, oldest first. Whatever else lies there is left alone.
fn list(directory: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(is_own_name);
        if ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            files.push((entry.path(), entry.metadata().map_or(0, |metadata| metadata.len())));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Whether a name has the form `events-20261124T083215Z-000000.jsonl`.
fn is_own_name(name: &str) -> bool {
    let middle = name.strip_prefix("events-").and_then(|rest| rest.strip_suffix(".jsonl"));
    let pattern = "00000000T000000Z-000000";
    middle.is_some_and(|middle| {
        middle.len() == pattern.len()
            && middle.bytes().zip(pattern.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                _ => byte == form,
            })
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::tests::{config, lines};
    use super::*;

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
}
