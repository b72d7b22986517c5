//! The metrics: one method for each thing that is counted, one page for Prometheus.
//!
//! Names begin with `stride_sensor_` and use base units. Labels hold names from the code, or values that are bounded
//! here, so that nothing an attacker does can make the page grow without end.

mod findings;
mod kernel;
mod process;

use std::sync::Mutex;

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::FindingSummary;
use crate::coverage::{Coverage, DetectionState};
use crate::probe::HookReport;
use findings::FindingCounters;
pub use kernel::KernelAccount;
use kernel::KernelCollector;
use process::{ProcessCollector, ProcessUsage};

/// Prefix of every name.
const PREFIX: &str = "stride_sensor";

/// Upper bounds of the latency histogram in seconds: 50 microseconds to 10 seconds.
const LATENCY_BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// The values of `attribution`.
const ATTRIBUTIONS: [&str; 4] = ["exact", "inferred", "pending", "unknown"];

/// What was built.
#[derive(Clone, Debug, Default)]
pub struct BuildInfo {
    /// Version of the sensor.
    pub version: String,
    /// Commit it was built from.
    pub revision: String,
    /// Version of the ABI between kernel and user space.
    pub abi: u32,
}

/// All metrics. Every method is cheap and may be called from any thread.
pub struct Metrics {
    registry: Registry,
    findings: Mutex<FindingCounters>,
    latency: Histogram,
    ring_used: IntGaugeVec,
    ring_capacity: IntGaugeVec,
    decode_errors: IntCounterVec,
    attributions: [IntCounter; ATTRIBUTIONS.len()],
    process_entries: IntGauge,
    process_evicted: IntCounter,
    container_entries: IntGauge,
    container_lookups: IntCounterVec,
    sweep_processes: IntCounterVec,
    findings_trusted: IntCounterVec,
    findings_folded: IntCounter,
    canary: Histogram,
    self_problems: IntCounterVec,
    sink_dropped: IntCounterVec,
    sink_errors: IntCounterVec,
    sink_written: IntCounterVec,
    hook_attached: IntGaugeVec,
    detection_state: IntGaugeVec,
    rules_loaded: IntGauge,
    rule_errors: IntGauge,
    rule_reloads: IntCounterVec,
}

/// One sink's counters.
#[derive(Clone, Debug)]
pub struct SinkCounts {
    /// Findings that did not reach the sink.
    pub dropped_findings: IntCounter,
    /// Telemetry that did not reach the sink.
    pub dropped_telemetry: IntCounter,
    /// Failed writes.
    pub errors: IntCounter,
    /// Bytes written.
    pub written_bytes: IntCounter,
}

impl Metrics {
    /// Metrics of this process, started now.
    pub fn new(build: BuildInfo) -> Self {
        let start = jiff::Timestamp::now().as_duration().as_secs_f64();
        Self::with(build, start, ProcessUsage::read)
    }

    fn with(build: BuildInfo, start: f64, usage: fn() -> ProcessUsage) -> Self {
        let registry = Registry::new_custom(Some(PREFIX.to_owned()), None).unwrap_or_default();
        let page = Page(&registry);
        let info_labels = ["version", "revision", "abi"];
        let info = page.gauges("build_info", "What runs here; always 1.", &info_labels);
        info.with_label_values(&[build.version.as_str(), &build.revision, &build.abi.to_string()]).set(1);
        let started =
            Gauge::with_opts(Opts::new("start_time_seconds", "When the sensor started, in Unix time."));
        page.add(started).set(start);
        page.add(ProcessCollector::new(usage));
        let attribution = page.counters(
            "attribution_total",
            "Events by how sure their container is: exact, inferred, pending, unknown.",
            &["attribution"],
        );
        let latency = HistogramOpts::new(
            "processing_latency_seconds",
            "From the kernel's time of an event to its finding.",
        );
        let canary = HistogramOpts::new(
            "canary_latency_seconds",
            "From the kernel's time of the sensor's own event, made every five seconds, to its arrival.",
        );
        let rule_reloads = page.counters(
            "rule_reloads_total",
            "Readings of changed rule files: applied, refused.",
            &["result"],
        );
        for result in ["applied", "refused"] {
            rule_reloads.with_label_values(&[result]);
        }
        Self {
            findings: Mutex::new(FindingCounters::new(
                page.counters(
                    "findings_total",
                    "Findings by id, severity, primary STRIDE category and pod namespace (empty on the host).",
                    &["id", "severity", "stride", "namespace"],
                ),
                page.counters(
                    "findings_by_stride_total",
                    "Findings by STRIDE category; one with several counts once in each.",
                    &["stride"],
                ),
            )),
            latency: page.add(Histogram::with_opts(latency.buckets(LATENCY_BUCKETS.to_vec()))),
            ring_used: page.gauges("ring_bytes_used", "Bytes waiting in a kernel ring when last read.", &["ring"]),
            ring_capacity: page.gauges("ring_capacity_bytes", "Bytes a kernel ring holds.", &["ring"]),
            decode_errors: page.counters("decode_errors_total", "Kernel records that could not be read.", &["reason"]),
            attributions: ATTRIBUTIONS.map(|value| attribution.with_label_values(&[value])),
            process_entries: page.gauge("process_table_entries", "Processes known."),
            process_evicted: page.counter("process_table_evicted_total", "Processes forgotten because the table was full."),
            container_entries: page.gauge("container_table_entries", "Containers known."),
            canary: page.add(Histogram::with_opts(canary.buckets(LATENCY_BUCKETS.to_vec()))),
            self_problems: page.counters(
                "self_problems_total",
                "What the sensor found wrong with itself: canary_missing, events_flooded, events_lost, hook_silent, lists_changed.",
                &["problem"],
            ),
            findings_folded: page.counter(
                "findings_folded_total",
                "Findings that repeated an earlier one of the same process, and were counted with it.",
            ),
            findings_trusted: page.counters(
                "findings_trusted_total",
                "Findings that an entry of trusted ones lowered or silenced.",
                &["entry"],
            ),
            sweep_processes: page.counters(
                "sweep_processes_total",
                "Processes of containers that the sweep over /proc looked at, by result.",
                &["result"],
            ),
            container_lookups: page.counters(
                "container_lookups_total",
                "Searches for a container's specification, by result.",
                &["result"],
            ),
            sink_dropped: page.counters(
                "sink_dropped_total",
                "Lines that did not reach a sink: its queue was full, or it could not be written before the end.",
                &["sink", "class"],
            ),
            sink_errors: page.counters("sink_errors_total", "Failed writes of a sink.", &["sink"]),
            sink_written: page.counters("sink_written_bytes_total", "Bytes a sink wrote.", &["sink"]),
            detection_state: page.gauges(
                "detection_state",
                "1 for the state that a detection is in with the hooks that are attached, 0 for the others.",
                &["detection", "state"],
            ),
            hook_attached: page.gauges("hook_attached", "Whether a hook is attached, and how.", &["hook", "rung"]),
            rules_loaded: page.gauge("rules_loaded", "Rules in force."),
            rule_errors: page.gauge("rule_errors", "Mistakes in rules when they were last read."),
            rule_reloads,
            registry,
        }
    }

    /// A finding was made, `latency_ns` after the kernel saw its event.
    pub fn finding(&self, finding: &FindingSummary, latency_ns: u64) {
        self.latency.observe(latency_ns as f64 / 1e9);
        // A panic elsewhere leaves counters that are still right.
        self.findings.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).count(finding);
    }

    /// A kernel record could not be read.
    pub fn decode_error(&self, reason: &'static str) {
        self.decode_errors.with_label_values(&[reason]).inc();
    }

    /// An event was attributed: `exact`, `inferred`, `pending`; anything else counts as `unknown`.
    pub fn attribution(&self, attribution: &'static str) {
        let at =
            ATTRIBUTIONS.iter().position(|&value| value == attribution).unwrap_or(ATTRIBUTIONS.len() - 1);
        self.attributions[at].inc();
    }

    /// How full a ring was when it was read.
    pub fn ring(&self, ring: &'static str, used_bytes: usize, capacity_bytes: usize) {
        self.ring_used.with_label_values(&[ring]).set(as_i64(used_bytes));
        self.ring_capacity.with_label_values(&[ring]).set(as_i64(capacity_bytes));
    }

    /// Processes now in the table.
    pub fn process_table_entries(&self, entries: usize) {
        self.process_entries.set(as_i64(entries));
    }

    /// Processes were forgotten because the table was full.
    pub fn process_table_evicted(&self, count: u64) {
        self.process_evicted.inc_by(count);
    }

    /// Containers now in the table.
    pub fn container_table_entries(&self, entries: usize) {
        self.container_entries.set(as_i64(entries));
    }

    /// The sensor's own event came, after so many nanoseconds.
    pub fn canary(&self, latency_ns: u64) {
        self.canary.observe(latency_ns as f64 / 1e9);
    }

    /// The sensor found something wrong with itself.
    pub fn self_problem(&self, problem: &'static str) {
        self.self_problems.with_label_values(&[problem]).inc();
    }

    /// Findings repeated earlier ones.
    pub fn findings_folded(&self, count: u64) {
        self.findings_folded.inc_by(count);
    }

    /// An entry of trusted ones lowered or silenced findings.
    pub fn findings_trusted(&self, entry: &str, count: u64) {
        self.findings_trusted.with_label_values(&[entry]).inc_by(count);
    }

    /// Processes that the sweep looked at: `looked_at`, and of them `vanished` and `told`.
    pub fn sweep_processes(&self, result: &'static str, count: u64) {
        self.sweep_processes.with_label_values(&[result]).inc_by(count);
    }

    /// A container's specification was searched for.
    pub fn container_lookups(&self, result: &'static str, count: u64) {
        self.container_lookups.with_label_values(&[result]).inc_by(count);
    }

    /// How attaching went, hook by hook.
    pub fn hooks(&self, hooks: &[HookReport]) {
        for hook in hooks {
            self.hook(hook.name, hook.result.as_ref().ok().map(|attached| attached.rung.name()));
        }
    }

    /// A hook is attached on a rung, or not at all.
    pub fn hook(&self, hook: &str, rung: Option<&'static str>) {
        self.hook_attached.with_label_values(&[hook, rung.unwrap_or("none")]).set(rung.is_some().into());
    }

    /// How much of each detection works with the hooks that are attached.
    pub fn detections(&self, detections: &[Coverage]) {
        for Coverage { id, state, .. } in detections {
            for one in DetectionState::ALL {
                self.detection_state
                    .with_label_values(&[id.as_str(), one.name()])
                    .set((one == *state).into());
            }
        }
    }

    /// Rules were loaded; some may have been refused.
    pub fn rules(&self, loaded: usize, errors: usize) {
        self.rules_loaded.set(as_i64(loaded));
        self.rule_errors.set(as_i64(errors));
    }

    /// Rules were refused; those in force stay.
    pub fn rule_errors(&self, errors: usize) {
        self.rule_errors.set(as_i64(errors));
    }

    /// Changed rule files were read.
    pub fn rules_reloaded(&self, applied: bool) {
        self.rule_reloads.with_label_values(&[if applied { "applied" } else { "refused" }]).inc();
    }

    /// The counters of a sink, made when first asked for.
    pub fn sink(&self, sink: &'static str) -> SinkCounts {
        SinkCounts {
            dropped_findings: self.sink_dropped.with_label_values(&[sink, "finding"]),
            dropped_telemetry: self.sink_dropped.with_label_values(&[sink, "telemetry"]),
            errors: self.sink_errors.with_label_values(&[sink]),
            written_bytes: self.sink_written.with_label_values(&[sink]),
        }
    }

    /// Shows the kernel's own counters from now on, read whenever the page is made. Only the first call counts.
    pub fn watch_kernel(&self, account: impl KernelAccount + 'static) {
        Page(&self.registry).add_boxed(Box::new(KernelCollector::new(account)));
    }

    /// The page in Prometheus' text format.
    pub fn page(&self) -> String {
        // Encoding into a String fails only for a family without a name, which this module does not make.
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// Registers metrics. Names and labels are literals of this module, so the errors of the library cannot occur outside
/// of a mistake here, which the snapshot of the whole page shows.
struct Page<'a>(&'a Registry);

impl Page<'_> {
    fn add<C: prometheus::core::Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("the name and labels are valid literals");
        self.add_boxed(Box::new(metric.clone()));
        metric
    }

    fn add_boxed(&self, metric: Box<dyn prometheus::core::Collector>) {
        if let Err(error) = self.0.register(metric) {
            tracing::error!(%error, "a metric is not shown");
        }
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels))
    }
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
