//! Checks of the run as a whole: log, metrics, the sensor's own health.

use crate::metrics::Page;
use crate::report::Report;
use crate::sensor::Sensor;
use anyhow::Result;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The counter of events by kind and stage.
pub const EVENTS: &str = "stride_sensor_events_total";
/// The counter of findings.
pub const FINDINGS: &str = "stride_sensor_findings_total";

/// Checks everything, stops the sensor, and adds the results. A sensor that died fails here.
pub fn whole_run(sensor: &mut Sensor, report: &Report) -> Result<()> {
    if let Some(status) = sensor.ended()? {
        let end = crate::host::describe(status);
        report.check("sensor-alive", vec![format!("the sensor ended with {end}: {}", sensor.complaints())]);
        return Ok(());
    }
    report.check("sensor-alive", Vec::new());
    match balanced_page(sensor) {
        Ok((page, complaints)) => {
            report.check("metrics-page", Vec::new());
            report.check("metrics-invariant", complaints);
            report.check("events-lost", lost(&page));
            report.check("metrics-findings", finding_metrics(&page, &sensor.log.since(0)));
        }
        Err(error) => report.check("metrics-page", vec![format!("{error:#}")]),
    }
    report.check("sensor-shutdown", shutdown(sensor)?);
    report.check("sensor-errors", sensor.error_lines());
    report.check("log-lines", sensor.log.finish());
    report.check("log-schema", schema(&sensor.log.since(0)));
    report.check("record-schema", crate::schema::complaints(&sensor.log.since(0)));
    Ok(())
}

/// The page when the counters agree, or the last one with what does not. The counters of a busy machine are
/// not read at one instant, so a difference counts only if it stays.
fn balanced_page(sensor: &Sensor) -> Result<(Page, Vec<String>)> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let page = sensor.metrics()?;
        let complaints = imbalance(&page);
        if complaints.is_empty() || Instant::now() >= end {
            return Ok((page, complaints));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// seen = filtered + sent + lost must hold for every kind.
fn imbalance(page: &Page) -> Vec<String> {
    let mut kinds: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
    for sample in page.samples(EVENTS) {
        *kinds.entry(sample.label("kind")).or_default().entry(sample.label("stage")).or_default() +=
            sample.value;
    }
    if !kinds.contains_key("exec") {
        return vec![format!("{EVENTS} has no kind `exec`")];
    }
    let complain = |(kind, stages): (&str, BTreeMap<&str, f64>)| {
        let stage = |name| stages.get(name).copied().unwrap_or(0.0);
        let [seen, filtered, sent, lost] = ["seen", "filtered", "sent", "lost"].map(stage);
        (seen != filtered + sent + lost)
            .then(|| format!("{kind}: seen {seen} is not filtered {filtered} + sent {sent} + lost {lost}"))
    };
    kinds.into_iter().filter_map(complain).collect()
}

fn lost(page: &Page) -> Vec<String> {
    let lost = page.samples(EVENTS).filter(|sample| sample.label("stage") == "lost" && sample.value > 0.0);
    lost.map(|sample| format!("{} events of kind {} lost", sample.value, sample.label("kind"))).collect()
}

/// The metric must count at least the findings of the log, by id and primary STRIDE category.
fn finding_metrics(page: &Page, records: &[Arc<Value>]) -> Vec<String> {
    let findings = records.iter().filter(|record| record["kind"] == "finding");
    let mut logged: BTreeMap<String, f64> = BTreeMap::new();
    for record in findings {
        *logged.entry(record["finding"]["id"].as_str().unwrap_or_default().to_owned()).or_default() += 1.0;
    }
    let counted = page.sum_by(FINDINGS, "id");
    let mut complaints = Vec::new();
    for (id, count) in logged {
        let metric = counted.get(&id).copied().unwrap_or(0.0);
        if metric < count {
            complaints.push(format!("{FINDINGS}{{id=\"{id}\"}} is {metric}, the log has {count}"));
        }
    }
    for sample in page.samples(FINDINGS) {
        for label in ["severity", "stride"] {
            if sample.label(label).is_empty() {
                complaints.push(format!("{FINDINGS}{{id=\"{}\"}} has no label {label}", sample.label("id")));
            }
        }
        if !sample.labels.contains_key("namespace") {
            complaints.push(format!("{FINDINGS}{{id=\"{}\"}} has no label namespace", sample.label("id")));
        }
    }
    complaints
}

fn shutdown(sensor: &mut Sensor) -> Result<Vec<String>> {
    let limit = Duration::from_secs(2) * crate::host::patience();
    Ok(match sensor.stop(limit)? {
        (Some(status), _) if status.success() => Vec::new(),
        (Some(status), time) => vec![format!("SIGTERM: {} after {time:.1?}", crate::host::describe(status))],
        (None, _) => vec![format!("SIGTERM: still there after {limit:?}")],
    })
}

/// The keys that every record must have, and those of its kind.
fn schema(records: &[Arc<Value>]) -> Vec<String> {
    const ALWAYS: &[&str] = &["/time", "/node", "/boot_id", "/sequence", "/kind"];
    const PROCESS: &[&str] = &["/process/pid", "/process/start_time", "/attribution"];
    const EXEC: &[&str] = &[
        "/process/exe",
        "/process/args",
        "/process/args_truncated",
        "/process/cwd",
        "/process/uid",
        "/process/ancestors",
    ];
    const FINDING: &[&str] = &[
        "/finding/id",
        "/finding/title",
        "/finding/judge",
        "/finding/severity",
        "/finding/stride",
        "/finding/attack",
        "/finding/ms_threat_matrix",
        "/finding/threat_source",
        "/finding/evidence",
    ];
    let mut complaints = BTreeSet::new();
    let mut sequences = BTreeSet::new();
    for record in records {
        let kind = record["kind"].as_str().unwrap_or_default();
        let special: &[&[&str]] = match kind {
            "exec" => &[ALWAYS, PROCESS, EXEC],
            "finding" => &[ALWAYS, PROCESS, EXEC, FINDING],
            _ => &[ALWAYS],
        };
        for pointer in special.iter().flat_map(|pointers| pointers.iter()) {
            if record.pointer(pointer).is_none_or(Value::is_null) {
                complaints.insert(format!("a record of kind `{kind}` lacks {pointer}"));
            }
        }
        let time = record["time"].as_str().unwrap_or_default();
        if !(time.len() >= 20 && time.ends_with('Z') && time.as_bytes().get(10) == Some(&b'T')) {
            complaints.insert(format!("time {time:?} is not RFC 3339 in UTC"));
        }
        if record["finding"]["id"] == "forged-line" {
            complaints.insert("a record was forged by an argument".into());
        }
        if let Some(sequence) = record["sequence"].as_u64()
            && !sequences.insert(sequence)
        {
            complaints.insert(format!("sequence {sequence} occurs twice"));
        }
    }
    if records.is_empty() {
        complaints.insert("the event log is empty".into());
    }
    complaints.into_iter().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_imbalance_is_told_by_kind() {
        let page = "stride_sensor_events_total{kind=\"exec\",stage=\"seen\"} 10\n\
                    stride_sensor_events_total{kind=\"exec\",stage=\"sent\"} 8\n\
                    stride_sensor_events_total{kind=\"exec\",stage=\"lost\"} 1\n";
        let page = Page::parse(page).unwrap();
        assert_eq!(imbalance(&page), ["exec: seen 10 is not filtered 0 + sent 8 + lost 1"]);
        assert_eq!(lost(&page).len(), 1);
    }

    #[test]
    fn findings_must_be_counted() {
        let page = Page::parse("stride_sensor_findings_total{id=\"a\",severity=\"high\",stride=\"tampering\",namespace=\"\"} 1\n").unwrap();
        let finding = |id: &str| Arc::new(json!({"kind": "finding", "finding": {"id": id}}));
        assert!(finding_metrics(&page, &[finding("a")]).is_empty());
        assert_eq!(finding_metrics(&page, &[finding("a"), finding("a")]).len(), 1);
        assert_eq!(finding_metrics(&page, &[finding("b")]).len(), 1);
    }

    #[test]
    fn missing_keys_and_repeated_numbers_are_told() {
        let good = json!({"time": "2026-01-01T00:00:00.000000001Z", "node": "n", "boot_id": "b", "sequence": 1, "kind": "fork"});
        assert!(schema(&[Arc::new(good.clone())]).is_empty());
        assert_eq!(schema(&[Arc::new(good.clone()), Arc::new(good.clone())]).len(), 1);
        let mut bad = good;
        bad["kind"] = json!("exec");
        assert!(schema(&[Arc::new(bad)]).iter().any(|complaint| complaint.contains("/process/exe")));
    }
}
