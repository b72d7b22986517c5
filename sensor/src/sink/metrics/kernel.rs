//! Shows the kernel's own account of events, read when the page is made.

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, LabelPair, Metric, MetricFamily, MetricType};
use sensor_ebpf::abi::{Counters, EventKind};

use crate::probe::{AttachedHook, KernelCounters};

/// Where the kernel's counters are read.
pub trait KernelAccount: Send + Sync {
    /// One kind's counters; `None` if they cannot be read now.
    fn counters(&self, kind: EventKind) -> Option<Counters>;
    /// Each attached hook with the runs that the kernel skipped; without those whose runs it does not count.
    fn missed(&self) -> Vec<(&'static str, u64)>;
}

impl KernelAccount for KernelCounters {
    fn counters(&self, kind: EventKind) -> Option<Counters> {
        self.read(kind).ok()
    }

    fn missed(&self) -> Vec<(&'static str, u64)> {
        let missed = |hook: &AttachedHook| Some((hook.name, KernelCounters::missed(self, hook)?));
        self.hooks().iter().filter_map(missed).collect()
    }
}

impl<T: KernelAccount + ?Sized> KernelAccount for std::sync::Arc<T> {
    fn counters(&self, kind: EventKind) -> Option<Counters> {
        (**self).counters(kind)
    }

    fn missed(&self) -> Vec<(&'static str, u64)> {
        (**self).missed()
    }
}

/// The metrics made of an account.
pub(super) struct KernelCollector {
    account: Box<dyn KernelAccount>,
    descriptions: Vec<Desc>,
}

/// Names and help texts. `lost` is what could not be sent, so `seen = filtered + sent + lost`.
const FAMILIES: [(&str, &str, &[&str]); 5] = [
    (
        "events_total",
        "Events by kind and stage in the kernel: seen, filtered, sent, lost.",
        &["kind", "stage"],
    ),
    (
        "events_lost_total",
        "Lost events by kind and reason: over_budget, ring_busy, ring_full, scratch_full, scratch_taken.",
        &["kind", "reason"],
    ),
    ("events_read_failed_total", "Events sent with a field that the kernel could not read.", &["kind"]),
    (
        "processes_untracked_total",
        "Processes of containers that found no room in the map that the kernel's filters ask.",
        &[],
    ),
    ("events_missed_total", "Runs of a hook that the kernel skipped.", &["hook"]),
];

impl KernelCollector {
    pub(super) fn new(account: impl KernelAccount + 'static) -> Self {
        let describe = |(name, help, labels): (&str, &str, &[&str])| {
            let labels = labels.iter().map(|&label| label.to_owned()).collect();
            Desc::new(name.to_owned(), help.to_owned(), labels, Default::default()).ok()
        };
        Self { account: Box::new(account), descriptions: FAMILIES.into_iter().filter_map(describe).collect() }
    }
}

impl Collector for KernelCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = FAMILIES.map(|(name, help, _)| {
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(MetricType::COUNTER);
            family
        });
        let [events, losses, read_failed, untracked, missed] = &mut families;
        for kind in EventKind::ALL {
            let Some(counters) = self.account.counters(kind) else { continue };
            let stages = [
                ("filtered", counters.filtered),
                ("lost", counters.lost()),
                ("seen", counters.seen),
                ("sent", counters.sent),
            ];
            for (stage, value) in stages {
                add(events, &[("kind", kind.name()), ("stage", stage)], value);
            }
            // Most kinds never lose anything, and four series for each of them would say nothing.
            for (reason, value) in counters.losses().into_iter().filter(|&(_, value)| value > 0) {
                add(losses, &[("kind", kind.name()), ("reason", reason)], value);
            }
            if kind == EventKind::Fork {
                add(untracked, &[], counters.untracked);
            }
            add(read_failed, &[("kind", kind.name())], counters.read_failed);
        }
        for (hook, count) in self.account.missed() {
            add(missed, &[("hook", hook)], count);
        }
        // A family without a value is refused by the text encoder.
        families.into_iter().filter(|family| !family.get_metric().is_empty()).collect()
    }
}

fn add(family: &mut MetricFamily, labels: &[(&str, &str)], value: u64) {
    let label = |&(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    let mut metric = Metric::from_label(labels.iter().map(label).collect());
    let mut counter = Counter::default();
    counter.set_value(value as f64);
    metric.set_counter(counter);
    family.mut_metric().push(metric);
}
