//! The forensic event log: JSON lines in a folder, each finding on disk before the next batch is taken.

mod segments;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::health::Health;
use super::metrics::SinkCounts;
use super::queue::Inlet;

pub use segments::LogError;
pub(super) use segments::Segments;

/// First and longest pause after a failed write.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// Failures in a row after which nothing more is tried once the sensor shuts down.
const LAST_ATTEMPTS: u32 = 3;

/// The event log's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForensicConfig {
    /// The folder; made with mode 0700 if it is not there.
    pub directory: PathBuf,
    /// Holds all events, not only findings.
    pub telemetry: bool,
    /// A file is closed before it grows beyond this. A single longer line gets a file of its own.
    pub file_bytes: u64,
    /// The oldest files are deleted so that all together stay below this.
    pub total_bytes: u64,
    /// Telemetry is forced to disk this often; findings at once.
    pub sync_interval: Duration,
}

impl ForensicConfig {
    /// The defaults for a folder: findings only, files of 64 MiB, 1 GiB in all, forced to disk each second.
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            telemetry: false,
            file_bytes: 64 << 20,
            total_bytes: 1 << 30,
            sync_interval: Duration::from_secs(1),
        }
    }
}

/// Writes lines until the outlet is gone. Nothing that fails on disk ends it: it counts, waits and tries again, while
/// the queues before it fill up and count what they drop.
pub(super) async fn run(mut inlet: Inlet, segments: Segments, counts: SinkCounts, health: Arc<Health>) {
    let mut log = Log { segments: Some(segments), counts, health, failures: 0 };
    log.attempt(|segments| ((), segments.open())).await;
    let interval = log.segments.as_ref().map_or(BACKOFF.1, |segments| segments.config().sync_interval);
    let mut next_sync = Instant::now() + interval;
    loop {
        tokio::select! {
            open = inlet.receive() => if !open { break },
            () = sleep_until(next_sync) => {
                // With nothing to write this also notices a log that has come back, or gone.
                log.attempt(|segments| ((), segments.check_and_sync())).await;
                next_sync = Instant::now() + interval.max(log.backoff());
                continue;
            }
        }
        while !inlet.pending().is_empty() {
            let lines: Vec<Bytes> = inlet.pending().iter().map(|output| output.json.clone()).collect();
            let findings = inlet.pending().iter().any(|output| output.finding.is_some());
            let (written, failed) = log.attempt(move |segments| segments.append(&lines, findings)).await;
            inlet.written(written);
            if failed && inlet.is_closed() && log.failures >= LAST_ATTEMPTS {
                return;
            }
            if failed {
                sleep(log.backoff()).await;
            }
        }
    }
    log.attempt(|segments| ((), segments.check_and_sync())).await;
}

/// The files, with the account of how writing them goes.
struct Log {
    /// `None` only while a blocking thread has them.
    segments: Option<Segments>,
    counts: SinkCounts,
    health: Arc<Health>,
    /// Failures in a row.
    failures: u32,
}

impl Log {
    /// Does something with the files on a thread that may block; gives its value and whether it failed.
    async fn attempt<T: Default + Send + 'static>(
        &mut self,
        action: impl FnOnce(&mut Segments) -> (T, Result<(), LogError>) + Send + 'static,
    ) -> (T, bool) {
        let Some(mut segments) = self.segments.take() else { return (T::default(), true) };
        let config = segments.config().clone();
        let task = tokio::task::spawn_blocking(move || {
            let (value, result) = action(&mut segments);
            (segments, value, result)
        });
        let Ok((mut segments, value, result)) = task.await else {
            // Only a panic or the end of the runtime comes here. Start over with a new file.
            self.segments = Some(Segments::new(config));
            self.counts.errors.inc();
            return (T::default(), true);
        };
        self.counts.written_bytes.inc_by(segments.take_written_bytes());
        self.counts.errors.inc_by(segments.take_retention_failures());
        self.segments = Some(segments);
        let failed = result.is_err();
        match result {
            Ok(()) if self.failures > 0 => {
                info!(failures = self.failures, "the event log can be written again")
            }
            Ok(()) => {}
            Err(error) => {
                self.counts.errors.inc();
                // One message for each outage, not one for each attempt.
                if self.failures == 0 {
                    warn!(%error, "cannot write the event log; trying again");
                }
            }
        }
        self.failures = if failed { self.failures.saturating_add(1) } else { 0 };
        self.health.set_log_writable(!failed);
        (value, failed)
    }

    fn backoff(&self) -> Duration {
        if self.failures == 0 {
            return Duration::ZERO;
        }
        BACKOFF.0.saturating_mul(1 << (self.failures - 1).min(16)).min(BACKOFF.1)
    }
}

#[cfg(test)]
pub(super) mod tests;
