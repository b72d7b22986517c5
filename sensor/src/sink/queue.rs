//! Bounded queues from the spine to each sink, findings and telemetry apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Output;
use super::metrics::SinkCounts;
use prometheus::IntCounter;

/// Lines that a sink takes at once.
const BATCH: usize = 512;
/// Bytes that one queue holds at most, whatever the number of lines: long command lines must not fill the memory.
const QUEUE_BYTES: usize = 8 * 1024 * 1024;
/// Bytes counted for each line besides its text.
const LINE_OVERHEAD: usize = 128;

/// Bounds of each sink's queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Findings that wait at most.
    pub findings: usize,
    /// Telemetry lines that wait at most.
    pub telemetry: usize,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { findings: 16_384, telemetry: 16_384 }
    }
}

/// The end that the spine sends into. Dropping it lets the sinks write what waits and end.
#[derive(Default)]
pub struct Outlet {
    sinks: Vec<SinkQueues>,
    /// Wants telemetry though no sink does.
    discards_telemetry: bool,
}

struct SinkQueues {
    findings: QueueEnd,
    telemetry: Option<QueueEnd>,
}

struct QueueEnd {
    /// `None` once the sink has ended.
    sender: Option<Sender<Output>>,
    bytes: Arc<AtomicUsize>,
    dropped: IntCounter,
}

impl Outlet {
    /// One without sinks, for benchmarks: what it is given is thrown away, and it asks for `telemetry` or not.
    pub fn discarding(telemetry: bool) -> Self {
        Self { sinks: Vec::new(), discards_telemetry: telemetry }
    }

    /// Hands a line to every sink that wants it. Never waits: where a queue is full, the line is dropped and counted
    /// for that sink.
    pub fn send(&mut self, output: Output) {
        for sink in &mut self.sinks {
            match (&output.finding, &mut sink.telemetry) {
                (Some(_), _) => sink.findings.send(output.clone()),
                (None, Some(telemetry)) => telemetry.send(output.clone()),
                (None, None) => {}
            }
        }
    }

    /// Whether any sink wants telemetry; if none does, the spine need not make such lines.
    pub fn wants_telemetry(&self) -> bool {
        self.discards_telemetry
            || self.sinks.iter().any(|sink| sink.telemetry.as_ref().is_some_and(|end| end.sender.is_some()))
    }

    /// Whether any sink wants findings.
    pub fn wants_findings(&self) -> bool {
        self.sinks.iter().any(|sink| sink.findings.sender.is_some())
    }

    /// Adds a sink and gives its end.
    pub(super) fn connect(&mut self, config: &QueueConfig, telemetry: bool, counts: SinkCounts) -> Inlet {
        let (findings, findings_taken) = queue(config.findings, counts.dropped_findings.clone());
        let (telemetry_end, telemetry_taken) = queue(config.telemetry, counts.dropped_telemetry.clone());
        self.sinks.push(SinkQueues { findings, telemetry: telemetry.then_some(telemetry_end) });
        Inlet { findings: findings_taken, telemetry: telemetry_taken, batch: Vec::new(), at: 0, counts }
    }
}

fn queue(lines: usize, dropped: IntCounter) -> (QueueEnd, QueueTaken) {
    let (sender, receiver) = channel(lines.max(1));
    let bytes = Arc::new(AtomicUsize::new(0));
    (
        QueueEnd { sender: Some(sender), bytes: bytes.clone(), dropped },
        QueueTaken { receiver, bytes, taken: 0 },
    )
}

fn cost(output: &Output) -> usize {
    output.json.len() + LINE_OVERHEAD
}

impl QueueEnd {
    fn send(&mut self, output: Output) {
        let Some(sender) = &self.sender else { return };
        let cost = cost(&output);
        // One line always fits into an empty queue, however long it is.
        let before = self.bytes.fetch_add(cost, Ordering::Relaxed);
        if before > 0 && before + cost > QUEUE_BYTES {
            self.bytes.fetch_sub(cost, Ordering::Relaxed);
            self.dropped.inc();
            return;
        }
        let Err(error) = sender.try_send(output) else { return };
        self.bytes.fetch_sub(cost, Ordering::Relaxed);
        self.dropped.inc();
        if matches!(error, TrySendError::Closed(_)) {
            // The sink has ended and said so; what comes after it is not a loss of this queue.
            self.sender = None;
        }
    }
}

/// The end that a sink takes from. Lines that were taken and not marked as written, and those still waiting when it
/// is dropped, are counted as dropped.
pub(super) struct Inlet {
    findings: QueueTaken,
    telemetry: QueueTaken,
    batch: Vec<Output>,
    /// How many of `batch` are written.
    at: usize,
    counts: SinkCounts,
}

struct QueueTaken {
    receiver: Receiver<Output>,
    bytes: Arc<AtomicUsize>,
    /// Bytes taken and not yet given back.
    taken: usize,
}

impl QueueTaken {
    fn take(&mut self, batch: &mut Vec<Output>, first: Option<Output>) {
        let mut next = first;
        while let Some(output) = next {
            self.taken += cost(&output);
            batch.push(output);
            next = if batch.len() < BATCH { self.receiver.try_recv().ok() } else { None };
        }
    }

    fn give_back(&mut self) {
        self.bytes.fetch_sub(std::mem::take(&mut self.taken), Ordering::Relaxed);
    }
}

impl Inlet {
    /// Waits for lines, findings before telemetry, and takes up to a batch of one class; false once the outlet is
    /// gone and everything taken. To be called when nothing is pending. May be cancelled without losing a line.
    pub(super) async fn receive(&mut self) -> bool {
        self.batch.drain(..self.at);
        self.at = 0;
        if self.batch.is_empty() {
            self.findings.give_back();
            self.telemetry.give_back();
        }
        loop {
            tokio::select! {
                biased;
                first = self.findings.receiver.recv(), if !self.findings.is_done() => {
                    self.findings.take(&mut self.batch, first);
                }
                first = self.telemetry.receiver.recv(), if !self.telemetry.is_done() => {
                    self.telemetry.take(&mut self.batch, first);
                }
                else => return false,
            }
            if !self.batch.is_empty() {
                return true;
            }
        }
    }

    /// What was received and is not written yet.
    pub(super) fn pending(&self) -> &[Output] {
        &self.batch[self.at..]
    }

    /// The first `lines` pending are written.
    pub(super) fn written(&mut self, lines: usize) {
        self.at = self.at.saturating_add(lines).min(self.batch.len());
    }

    /// What is pending will not be written: counts it as dropped.
    pub(super) fn give_up(&mut self) {
        let (findings, telemetry) = (&self.counts.dropped_findings, &self.counts.dropped_telemetry);
        for output in self.pending() {
            if output.finding.is_some() { findings.inc() } else { telemetry.inc() }
        }
        self.written(self.batch.len());
    }

    /// The outlet is gone: no more lines will come than those that wait.
    pub(super) fn is_closed(&self) -> bool {
        self.findings.receiver.is_closed()
    }
}

impl QueueTaken {
    fn is_done(&self) -> bool {
        self.receiver.is_closed() && self.receiver.is_empty()
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.findings.receiver.close();
        self.telemetry.receiver.close();
        while let Ok(output) =
            self.findings.receiver.try_recv().or_else(|_| self.telemetry.receiver.try_recv())
        {
            self.batch.push(output);
        }
        self.give_up();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::{finding, telemetry};
    use super::super::{BuildInfo, Metrics};
    use super::*;

    fn connected(findings: usize, telemetry: usize) -> (Outlet, Inlet, SinkCounts) {
        let metrics = Arc::new(Metrics::new(BuildInfo::default()));
        let mut outlet = Outlet::default();
        let config = QueueConfig { findings, telemetry };
        let inlet = outlet.connect(&config, true, metrics.sink("test"));
        (outlet, inlet, metrics.sink("test"))
    }

    async fn take_all(inlet: &mut Inlet) -> Vec<String> {
        let mut lines = Vec::new();
        while inlet.receive().await {
            lines.extend(
                inlet.pending().iter().map(|output| String::from_utf8_lossy(&output.json).into_owned()),
            );
            inlet.written(BATCH);
        }
        lines
    }

    #[tokio::test]
    async fn findings_come_first_and_a_full_queue_drops_only_its_own_class() {
        let (mut outlet, mut inlet, counts) = connected(2, 3);
        for number in 0..5 {
            outlet.send(telemetry(&format!("t{number}")));
        }
        for number in 0..2 {
            outlet.send(finding(&format!("f{number}")));
        }
        drop(outlet);
        assert_eq!(take_all(&mut inlet).await, ["f0", "f1", "t0", "t1", "t2"]);
        drop(inlet);
        assert_eq!((counts.dropped_findings.get(), counts.dropped_telemetry.get()), (0, 2));
    }

    #[tokio::test]
    async fn one_more_than_a_queue_holds_is_dropped_and_counted() {
        for (sent, dropped) in [(0, 0), (1, 0), (2, 0), (4, 0), (5, 1), (9, 5)] {
            let (mut outlet, mut inlet, counts) = connected(4, 1);
            (0..sent).for_each(|_| outlet.send(finding("f")));
            drop(outlet);
            assert_eq!(take_all(&mut inlet).await.len() as u64, sent - dropped);
            assert_eq!(counts.dropped_findings.get(), dropped, "{sent} sent");
        }
    }

    #[tokio::test]
    async fn long_lines_are_bounded_by_bytes_and_room_comes_back() {
        let (mut outlet, mut inlet, counts) = connected(1000, 1000);
        let long = "x".repeat(QUEUE_BYTES / 4);
        (0..10).for_each(|_| outlet.send(telemetry(&long)));
        assert_eq!(counts.dropped_telemetry.get(), 7);
        assert!(inlet.receive().await);
        outlet.send(telemetry(&long));
        assert_eq!(counts.dropped_telemetry.get(), 8, "the batch in hand still counts");
        inlet.written(3);
        outlet.send(finding("f"));
        assert!(inlet.receive().await);
        outlet.send(telemetry(&long));
        assert_eq!(counts.dropped_telemetry.get(), 8);
    }

    #[tokio::test]
    async fn a_line_longer_than_the_bound_still_passes_alone() {
        let (mut outlet, mut inlet, counts) = connected(4, 4);
        outlet.send(finding(&"x".repeat(QUEUE_BYTES * 2)));
        drop(outlet);
        assert_eq!(take_all(&mut inlet).await.len(), 1);
        assert_eq!(counts.dropped_findings.get(), 0);
    }

    #[tokio::test]
    async fn lines_never_written_are_counted_and_an_ended_sink_is_left_alone() {
        let (mut outlet, mut inlet, counts) = connected(8, 8);
        (0..3).for_each(|_| outlet.send(finding("f")));
        (0..2).for_each(|_| outlet.send(telemetry("t")));
        assert!(inlet.receive().await);
        inlet.written(1);
        drop(inlet);
        assert_eq!((counts.dropped_findings.get(), counts.dropped_telemetry.get()), (2, 2));
        (0..5).for_each(|_| outlet.send(finding("f")));
        assert_eq!(counts.dropped_findings.get(), 3, "counted once, then the sink is left out");
        assert!(!outlet.wants_findings());
    }
}
