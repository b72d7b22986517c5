//! The whole way of the data on one page: ring, decode, attribute, judge, record, sinks.
//!
//! One thread without locks: order is kept, and a finding costs no hand-over until it reaches the sinks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
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
use crate::judge::fold::{Fold, Folding};
use crate::judge::rules::RuleSet;
use crate::probe::{Filter, Rings, RuleList};
use crate::self_watch::{self, Problem, SelfWatch};
use crate::sink::record::{self, Origin};
use crate::sink::{FindingSummary, Health, Metrics, Outlet, Output};

/// Records handled before the clock is looked at again.
const BATCH: usize = 1024;
/// Longest wait for a record.
const WAIT: Duration = Duration::from_millis(500);
/// Pause between the first record after a wait and its reading. The kernel wakes a reader only for a record that finds the
/// ring read to its end, so a storm costs it one wake-up each pause, and not one each record.
const GATHER: Duration = Duration::from_millis(1);
/// Time between regular works.
const TICK: Duration = Duration::from_secs(1);
/// Time between two looks at the kernel's lists.
const RESTORE: Duration = Duration::from_secs(30);
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
    /// How the sensor itself stands.
    pub self_watch: SelfWatch,
    /// Findings of the last window.
    pub folding: Folding<Told>,
    /// Counters as last told to the metrics.
    pub told: (ProcessCounters, ContainerCounters),
    /// Findings that were folded, as last told to the metrics.
    pub folded: u64,
    /// Findings that trusted entries lowered or silenced, as last told to the metrics.
    pub trusted: std::collections::HashMap<String, u64>,
    /// What the sweep did, as last told to the metrics.
    pub swept: SweepCounters,
    /// Rules that take the place of those in force.
    pub new_rules: Receiver<RuleSet>,
    /// What the rules in force added to the kernel's lists.
    pub rule_list: RuleList,
}

/// What was told of a finding.
pub struct Told {
    json: Bytes,
    summary: Arc<FindingSummary>,
}

impl Spine {
    /// Runs until `stop` is set and the ring is empty.
    pub fn run(&mut self, rings: &mut Rings, filter: &mut Filter, stop: &AtomicBool) {
        let mut next_tick = Instant::now();
        let mut next_restore = Instant::now() + RESTORE;
        let mut stopping = None;
        loop {
            let records = rings.drain(BATCH, |record| self.record(record));
            for (device, inode) in self.attributor.take_learnt_runtime() {
                if filter.watch(device, inode).is_err() {
                    tracing::warn!(device, inode, "no room to watch a binary of the container runtime");
                }
            }
            for (device, inode, mask) in self.attributor.take_changed_places(boot_nanoseconds()) {
                if filter.watch_place(device, inode, mask).is_err() {
                    tracing::warn!(device, inode, "no room to watch a place of the node");
                }
            }
            for (address, port) in self.attributor.take_api_servers() {
                if filter.watch_destination(Some(address), Some(port)).is_err() {
                    tracing::warn!(%address, port, "no room to watch the API server");
                }
            }
            if Instant::now() >= next_tick {
                for (name, ring) in rings.named() {
                    let capacity = ring.capacity();
                    self.metrics.ring(name, ring.take_fullest(), capacity);
                }
                self.tick();
                // Only the last of them counts.
                if let Some(rules) = self.new_rules.try_iter().last() {
                    self.replace_rules(rules, filter);
                }
                next_tick = Instant::now() + TICK;
                if Instant::now() >= next_restore {
                    next_restore = Instant::now() + RESTORE;
                    let changed = filter.restore();
                    if changed > 0 {
                        self.problem(Problem { name: "lists_changed", amount: changed as u64 });
                    }
                }
            }
            if stop.load(Ordering::Acquire) {
                let since = *stopping.get_or_insert_with(Instant::now);
                if records == 0 || since.elapsed() > DRAIN {
                    self.tell_repeats(None);
                    return;
                }
            } else if records < BATCH && rings.wait(WAIT) {
                std::thread::sleep(GATHER);
            }
        }
    }

    /// Puts other rules in force. The kernel tells of what they ask for before they judge, and of what only the earlier ones asked for
    /// until they do: no event falls between.
    fn replace_rules(&mut self, rules: RuleSet, filter: &mut Filter) {
        let list = ask_for_files(filter, &rules);
        self.attributor.read_names(rules.asks_for_names());
        self.judges.replace_rules(rules);
        filter.settle_rules(&self.rule_list, &list);
        self.rule_list = list;
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
        let canary = self.self_watch.is_canary(event, boot_nanoseconds());
        if let Some(latency) = canary {
            self.metrics.canary(latency);
        }
        let attributed = self.attributor.apply(event);
        if !in_scope(self.scope, &attributed) {
            return;
        }
        let Self { judges, outlet, metrics, origin, clock, sequence, folding, .. } = self;
        metrics.attribution(attributed.attribution.name());
        if outlet.wants_telemetry() {
            let json = record::serialise(origin, clock, next(sequence), &attributed, None);
            outlet.send(Output { json: Bytes::from(json), finding: None });
        }
        // The canary is recorded as any event, and is no threat.
        if canary.is_some() {
            return;
        }
        judges.judge(&attributed, |finding| {
            let Fold::First(key) = folding.take(&finding, &attributed) else { return };
            let summary = Arc::new(record::summary(clock, &attributed, &finding));
            let json = record::serialise(origin, clock, next(sequence), &attributed, Some(&finding));
            metrics.finding(&summary, boot_nanoseconds().saturating_sub(event.time));
            let json = Bytes::from(json);
            folding.told(key, Told { json: json.clone(), summary: Arc::clone(&summary) });
            outlet.send(Output { json, finding: Some(summary) });
        });
        if let Some((problem, flood)) = self_watch::flood(event) {
            // Not logged: the attacker would set the pace.
            self.metrics.self_problem(problem.name);
            self.event(&flood);
        }
    }

    /// Tells how often findings came whose window is over; of all findings if `now` is `None`.
    fn tell_repeats(&mut self, now: Option<u64>) {
        for repeats in self.folding.take_ended(now) {
            let Told { json, summary } = repeats.first;
            let last = self.clock.event_time(repeats.last);
            let sequence = next(&mut self.sequence);
            let Some(json) = record::repeats(&json, sequence, repeats.count, &last) else { continue };
            let message = format!("{} (came {} times until {last})", summary.message, repeats.count);
            let summary = FindingSummary { message, ..(*summary).clone() };
            self.outlet.send(Output { json: Bytes::from(json), finding: Some(Arc::new(summary)) });
        }
        let folded = self.folding.repeats();
        self.metrics.findings_folded(folded - self.folded);
        self.folded = folded;
    }

    /// Tells what is wrong with the sensor itself, as any other event.
    fn watch_self(&mut self) {
        let now = boot_nanoseconds();
        for problem in self.self_watch.look(now) {
            self.problem(problem);
        }
        self.health.set_sees(self.self_watch.sees(now));
    }

    fn problem(&mut self, problem: Problem) {
        self.metrics.self_problem(problem.name);
        tracing::error!(problem = problem.name, amount = problem.amount, "the sensor does not see all");
        if let Some(event) = self.attributor.own_event(problem.name, problem.amount, boot_nanoseconds()) {
            self.event(&event);
        }
    }

    fn tick(&mut self) {
        self.watch_self();
        self.tell_repeats(Some(boot_nanoseconds()));
        self.health.beat();
        self.clock.refresh();
        self.attributor.tick(boot_nanoseconds());
        for event in self.attributor.sweep(boot_nanoseconds()) {
            self.event(&event);
        }
        for event in self.attributor.fork_limits(boot_nanoseconds()) {
            self.event(&event);
        }
        for event in self.attributor.disks(boot_nanoseconds()) {
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
        for (entry, now) in self.judges.trust().counts() {
            let told = self.trusted.entry(entry.to_owned()).or_default();
            metrics.findings_trusted(entry, now - *told);
            *told = now;
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
/// Adds what the rules of the user ask of files to the lists in the kernel.
pub fn ask_for_files(filter: &mut Filter, rules: &RuleSet) -> RuleList {
    let wants = rules.file_wants();
    let names = wants.names.iter().map(|(name, operations)| (name, *operations));
    let (list, without_room) = filter.watch_for_rules(names, wants.all.iter().copied());
    if without_room > 0 {
        tracing::warn!(
            without_room,
            "the kernel's list of names is full: every file is told for those that found no room"
        );
    }
    if !wants.greedy.is_empty() {
        let rules = wants.greedy.join(", ");
        tracing::warn!(
            rules,
            "rules that name no file: the kernel tells of every file for them, which costs"
        );
    }
    list
}
