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
pub(super) fn list(directory: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
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
pub(super) fn is_own_name(name: &str) -> bool {
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
