//! The whole way of the data on one page: ring, decode, attribute, judge, record, sinks.
//!
//! One thread without locks: order is kept, and a finding costs no hand-over until it reaches the sinks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::attribute::containers::ContainerCounters;
use crate::attribute::sweep::SweepCounters;
use crate::attribute::{Attributed, Attributor, ProcessCounters};
use crate::clock::{Clock, boot_nanoseconds};
use crate::config::Scope;
use crate::decode::Decoder;
use crate::event::Event;
use crate::judge::Judges;
use crate::probe::{Filter, Rings};
use crate::sink::record::{self, Origin};
use crate::sink::{Health, Metrics, Outlet, Output};

/// Records handled before the clock is looked at again.
const BATCH: usize = 1024;
/// Longest wait for a record.
const WAIT: Duration = Duration::from_millis(500);
/// Pause between the first record after a wait and its reading. The kernel wakes a reader only for a record that finds the
/// ring read to its end, so a storm costs it one wake-up each pause, and not one each record.
const GATHER: Duration = Duration::from_millis(1);
/// Time between regular works.
const TICK: Duration = Duration::from_secs(1);
/// Longest time spent on what is left in the ring when stopping.
const DRAIN: Duration = Duration::from_millis(500);

/// Everything between ring and sinks.
pub struct Spine {
    /// Bytes to events.
    pub decoder: Decoder,
    /// Who did it.
    pub attributor: Attributor,
    /// Is it a threat.
    pub judges: Judges,
    /// Where findings and events go.
    pub outlet: Outlet,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Heartbeat.
    pub health: Arc<Health>,
    /// Whose events are judged and recorded.
    pub scope: Scope,
    /// What stands in every record.
    pub origin: Origin,
    /// Kernel time to wall clock.
    pub clock: Clock,
    /// Number of the next record.
    pub sequence: u64,
    /// Counters as last told to the metrics.
    pub told: (ProcessCounters, ContainerCounters),
    /// What the sweep did, as last told to the metrics.
    pub swept: SweepCounters,
}

impl Spine {
    /// Runs until `stop` is set and the ring is empty.
    pub fn run(&mut self, rings: &mut Rings, filter: &mut Filter, stop: &AtomicBool) {
        let mut next_tick = Instant::now();
        let mut stopping = None;
        loop {
            let records = rings.drain(BATCH, |record| self.record(record));
            for (device, inode) in self.attributor.take_learnt_runtime() {
                if filter.watch(device, inode).is_err() {
                    tracing::warn!(device, inode, "no room to watch a binary of the container runtime");
                }
            }
            if Instant::now() >= next_tick {
                for (name, ring) in [("lineage", &mut rings.lineage), ("critical", &mut rings.critical)] {
                    let capacity = ring.capacity();
                    self.metrics.ring(name, ring.take_fullest(), capacity);
                }
                self.tick();
                next_tick = Instant::now() + TICK;
            }
            if stop.load(Ordering::Acquire) {
                let since = *stopping.get_or_insert_with(Instant::now);
                if records == 0 || since.elapsed() > DRAIN {
                    return;
                }
            } else if records < BATCH && rings.wait(WAIT) {
                std::thread::sleep(GATHER);
            }
        }
    }

    /// One record, all the way.
    pub fn record(&mut self, bytes: &[u8]) {
        match self.decoder.decode(bytes) {
            Ok(event) => {
                self.event(&event);
                self.decoder.recycle(event);
            }
            Err(error) => {
                self.metrics.decode_error(error.reason());
                tracing::debug!(%error, "record that cannot be read");
            }
        }
    }

    fn event(&mut self, event: &Event) {
        let attributed = self.attributor.apply(event);
        if !in_scope(self.scope, &attributed) {
            return;
        }
        let Self { judges, outlet, metrics, origin, clock, sequence, .. } = self;
        metrics.attribution(attributed.attribution.name());
        if outlet.wants_telemetry() {
            let json = record::serialise(origin, clock, next(sequence), &attributed, None);
            outlet.send(Output { json: Bytes::from(json), finding: None });
        }
        judges.judge(&attributed, |finding| {
            let summary = Arc::new(record::summary(clock, &attributed, &finding));
            let json = record::serialise(origin, clock, next(sequence), &attributed, Some(&finding));
            metrics.finding(&summary, boot_nanoseconds().saturating_sub(event.time));
            outlet.send(Output { json: Bytes::from(json), finding: Some(summary) });
        });
    }

    fn tick(&mut self) {
        self.health.beat();
        self.clock.refresh();
        self.attributor.tick(boot_nanoseconds());
        for event in self.attributor.sweep(boot_nanoseconds()) {
            self.event(&event);
        }
        let metrics = &self.metrics;
        metrics.process_table_entries(self.attributor.process_count());
        metrics.container_table_entries(self.attributor.containers().len());
        let (processes, containers) =
            (self.attributor.process_counters(), self.attributor.containers().counters());
        let (told_processes, told_containers) = self.told;
        let lost = |counters: &ProcessCounters| counters.evicted + counters.refused;
        metrics.process_table_evicted(lost(&processes) - lost(&told_processes));
        for (result, now, told) in [
            ("found", containers.found, told_containers.found),
            ("pending", containers.pending, told_containers.pending),
            ("malformed", containers.malformed, told_containers.malformed),
            ("given_up", containers.given_up, told_containers.given_up),
            ("evicted", containers.evicted, told_containers.evicted),
        ] {
            metrics.container_lookups(result, now - told);
        }
        let swept = self.attributor.sweep_counters();
        for (result, now, told) in [
            ("looked_at", swept.looked_at, self.swept.looked_at),
            ("vanished", swept.vanished, self.swept.vanished),
            ("told", swept.told, self.swept.told),
        ] {
            metrics.sweep_processes(result, now - told);
        }
        self.told = (processes, containers);
        self.swept = swept;
    }
}

fn next(sequence: &mut u64) -> u64 {
    let now = *sequence;
    *sequence += 1;
    now
}

fn in_scope(scope: Scope, attributed: &Attributed<'_>) -> bool {
    match scope {
        Scope::All => true,
        Scope::Containers => attributed.container.is_some(),
        Scope::Host => attributed.container.is_none(),
    }
}
