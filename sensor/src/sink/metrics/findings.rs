//! Counts findings by their labels, which are looked up once and bounded in number.

use foldhash::{HashMap, HashMapExt};
use prometheus::{IntCounter, IntCounterVec};

use super::super::FindingSummary;

/// Pod namespaces with a series of their own; a cluster rarely has more on one node.
const MAX_NAMESPACES: usize = 1000;
/// Series of findings in all: ids times namespaces can be many more than either.
const MAX_SERIES: usize = 5000;
/// A namespace is a DNS label (RFC 1123); what is longer is none.
const MAX_NAMESPACE_LENGTH: usize = 63;
/// The label of everything beyond the bounds.
const OTHER: &str = "other";

/// The counters of findings, with the handles found so far.
pub(super) struct FindingCounters {
    totals: IntCounterVec,
    by_stride: IntCounterVec,
    strides: Vec<(&'static str, IntCounter)>,
    /// By id; an id has one severity and category, seldom more.
    series: HashMap<String, Vec<IdSeries>>,
    namespaces: HashMap<String, ()>,
    count: usize,
}

struct IdSeries {
    severity: &'static str,
    stride: &'static str,
    by_namespace: HashMap<String, IntCounter>,
}

impl FindingCounters {
    pub(super) fn new(totals: IntCounterVec, by_stride: IntCounterVec) -> Self {
        Self {
            totals,
            by_stride,
            strides: Vec::new(),
            series: HashMap::new(),
            namespaces: HashMap::new(),
            count: 0,
        }
    }

    /// Counts a finding in its series and once in each of its categories.
    pub(super) fn count(&mut self, finding: &FindingSummary) {
        let namespace = finding.pod.as_ref().map_or("", |(namespace, _)| namespace.as_str());
        let stride = finding.stride.first().copied().unwrap_or("none");
        match self.known(&finding.id, finding.severity, stride, namespace) {
            Some(counter) => counter.inc(),
            None => self.resolve(&finding.id, finding.severity, stride, namespace).inc(),
        }
        for (position, stride) in finding.stride.iter().enumerate() {
            if !finding.stride[..position].contains(stride) {
                self.stride(stride).inc();
            }
        }
    }

    fn known(&self, id: &str, severity: &str, stride: &str, namespace: &str) -> Option<&IntCounter> {
        let series =
            self.series.get(id)?.iter().find(|series| series.severity == severity && series.stride == stride);
        series?.by_namespace.get(namespace)
    }

    /// The counter of a combination seen for the first time, or of what stands for it beyond the bounds.
    fn resolve(
        &mut self,
        id: &str,
        severity: &'static str,
        stride: &'static str,
        namespace: &str,
    ) -> IntCounter {
        let namespace = if namespace.len() > MAX_NAMESPACE_LENGTH { OTHER } else { namespace };
        let named = namespace.is_empty() || namespace == OTHER || self.namespaces.contains_key(namespace);
        let (id, namespace) = if self.count >= MAX_SERIES {
            (OTHER, OTHER)
        } else if named || self.namespaces.len() < MAX_NAMESPACES {
            if !named {
                self.namespaces.insert(namespace.to_owned(), ());
            }
            (id, namespace)
        } else {
            (id, OTHER)
        };
        if let Some(counter) = self.known(id, severity, stride, namespace) {
            return counter.clone();
        }
        let counter = self.totals.with_label_values(&[id, severity, stride, namespace]);
        let of_id = self.series.entry(id.to_owned()).or_default();
        let at = of_id.iter().position(|series| series.severity == severity && series.stride == stride);
        let at = at.unwrap_or_else(|| {
            of_id.push(IdSeries { severity, stride, by_namespace: HashMap::new() });
            of_id.len() - 1
        });
        of_id[at].by_namespace.insert(namespace.to_owned(), counter.clone());
        self.count += 1;
        counter
    }

    fn stride(&mut self, stride: &'static str) -> &IntCounter {
        let at = self.strides.iter().position(|(name, _)| *name == stride);
        let at = at.unwrap_or_else(|| {
            self.strides.push((stride, self.by_stride.with_label_values(&[stride])));
            self.strides.len() - 1
        });
        &self.strides[at].1
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Opts;
    use prometheus::core::Collector;

    use super::super::super::tests::summary;
    use super::*;

    fn counters() -> FindingCounters {
        let vec = |labels: &[&str]| IntCounterVec::new(Opts::new("name", "help"), labels).unwrap();
        FindingCounters::new(vec(&["id", "severity", "stride", "namespace"]), vec(&["stride"]))
    }

    #[test]
    fn a_finding_counts_once_in_its_series_and_once_in_each_category() {
        let mut counters = counters();
        let mut finding = summary();
        finding.stride.push("tampering");
        (0..3).for_each(|_| counters.count(&finding));
        assert_eq!(counters.totals.with_label_values(&["drift-exec", "high", "tampering", "shop"]).get(), 3);
        assert_eq!(counters.by_stride.with_label_values(&["tampering"]).get(), 3);
        assert_eq!(counters.by_stride.with_label_values(&["elevation_of_privilege"]).get(), 3);
        finding.pod = None;
        counters.count(&finding);
        assert_eq!(counters.totals.with_label_values(&["drift-exec", "high", "tampering", ""]).get(), 1);
    }

    #[test]
    fn too_many_namespaces_become_one() {
        let mut counters = counters();
        let mut finding = summary();
        for number in 0..MAX_NAMESPACES + 50 {
            finding.pod = Some((format!("namespace-{number}"), "pod".to_owned()));
            counters.count(&finding);
        }
        assert_eq!(counters.totals.with_label_values(&["drift-exec", "high", "tampering", OTHER]).get(), 50);
        assert_eq!(counters.totals.collect()[0].get_metric().len(), MAX_NAMESPACES + 1);
    }

    #[test]
    fn what_cannot_be_a_namespace_gets_no_series() {
        let mut counters = counters();
        for length in [63, 64, 100_000] {
            counters
                .count(&FindingSummary { pod: Some(("n".repeat(length), "pod".to_owned())), ..summary() });
        }
        assert_eq!(counters.totals.with_label_values(&["drift-exec", "high", "tampering", OTHER]).get(), 2);
    }

    #[test]
    fn too_many_series_become_one_for_each_severity() {
        let mut counters = counters();
        let mut finding = summary();
        for number in 0..MAX_SERIES + 70 {
            finding.id = format!("rule-{number}");
            counters.count(&finding);
        }
        assert_eq!(counters.totals.with_label_values(&[OTHER, "high", "tampering", OTHER]).get(), 70);
        assert_eq!(counters.totals.collect()[0].get_metric().len(), MAX_SERIES + 1);
    }
}
