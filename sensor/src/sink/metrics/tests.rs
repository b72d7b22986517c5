//! The whole page with fixed values.

use sensor_ebpf::abi::{Counters, EventKind};

use super::super::tests::summary;
use super::*;

struct FixedAccount;

impl KernelAccount for FixedAccount {
    fn counters(&self, kind: EventKind) -> Option<Counters> {
        let seen = 1000 * kind as u64;
        (kind != EventKind::CgroupRemove).then_some(Counters {
            seen,
            filtered: 10,
            sent: seen - 15,
            ring_full: 3,
            ring_busy: 0,
            scratch_full: 2,
            scratch_taken: 0,
            over_budget: 0,
            read_failed: 1,
            untracked: 0,
        })
    }

    fn missed(&self) -> Vec<(&'static str, u64)> {
        vec![("exec", 4), ("fork", 0)]
    }
}

#[test]
fn the_whole_page() {
    let build = BuildInfo { version: "0.1.0".to_owned(), revision: "91f7559".to_owned(), abi: 1 };
    let usage = || ProcessUsage { resident_bytes: 12_582_912, cpu_seconds: 1.25 };
    let metrics = Metrics::with(build, 1_795_509_135.5, usage);
    metrics.watch_kernel(FixedAccount);
    metrics.watch_kernel(FixedAccount);
    metrics.finding(&summary(), 120_000);
    metrics.finding(&summary(), 3_000_000);
    metrics.finding(&FindingSummary { pod: None, severity: "critical", ..summary() }, 20_000_000_000);
    metrics.decode_error("too_short");
    ["exact", "exact", "pending", "nonsense"].into_iter().for_each(|value| metrics.attribution(value));
    metrics.ring("lineage", 65_536, 4_194_304);
    metrics.process_table_entries(321);
    metrics.process_table_evicted(2);
    metrics.container_table_entries(7);
    metrics.container_lookups("found", 1);
    metrics.hook("exec", Some("tp_btf"));
    metrics.hook("ptrace", None);
    metrics.rules(15, 1);
    let sink = metrics.sink("forensic");
    sink.dropped_telemetry.inc_by(9);
    sink.errors.inc();
    sink.written_bytes.inc_by(4096);
    insta::assert_snapshot!(metrics.page());
    assert_eq!(metrics.page(), metrics.page(), "reading changes nothing");
}

#[test]
fn hostile_label_values_are_escaped() {
    let metrics = Metrics::new(BuildInfo::default());
    let pod = Some(("a\"} 1\nstride_sensor_fake 1\\".to_owned(), "pod".to_owned()));
    metrics.finding(&FindingSummary { pod, ..summary() }, 0);
    let page = metrics.page();
    assert!(!page.lines().any(|line| line.starts_with("stride_sensor_fake")), "{page}");
    assert!(page.contains(r#"namespace="a\"} 1\nstride_sensor_fake 1\\""#), "{page}");
}
