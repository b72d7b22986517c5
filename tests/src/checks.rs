//! Checks of the run as a whole: log, metrics, the sensor's own health.

use crate::metrics::Page;
use crate::report::Report;
use crate::sensor::Sensor;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The counter of events by kind and stage.
pub const EVENTS: &str = "stride_sensor_events_total";
/// The counter of lost events by kind and reason.
const LOST: &str = "stride_sensor_events_lost_total";
/// The counter of findings.
pub const FINDINGS: &str = "stride_sensor_findings_total";

/// The counter of findings by each of their STRIDE categories.
pub const FINDINGS_BY_STRIDE: &str = "stride_sensor_findings_by_stride_total";
/// The counter of lines that did not reach an output.
const DROPPED: &str = "stride_sensor_sink_dropped_total";

/// The kinds of event that every run leads to.
const KINDS: [&str; 5] = ["fork", "exec", "exit", "cgroup_create", "cgroup_remove"];

/// Whether the sensor was ready within a second. The time of an emulated start is reported and not judged: it says how fast the
/// emulator verifies programs while another guest shares the machine, and nothing about a node.
pub fn readiness(sensor: &Sensor) -> Vec<String> {
    let limit = Duration::from_secs(1);
    let late = crate::host::patience() == 1 && sensor.ready_after > limit;
    late.then(|| format!("ready after {:.2?}, more than {limit:?}", sensor.ready_after)).into_iter().collect()
}

/// Checks everything, stops the sensor, and adds the results. A sensor that died fails here.
pub fn whole_run(sensor: &mut Sensor, report: &Report) -> Result<()> {
    if let Some(status) = sensor.ended()? {
        let end = crate::host::describe(status);
        report.check("sensor-alive", vec![format!("the sensor ended with {end}: {}", sensor.complaints())]);
        return Ok(());
    }
    report.check("sensor-alive", Vec::new());
    let (complaints, time) = host_finding(sensor)?;
    report.timed_check("host-finding", complaints, time);
    let mut last_page = None;
    match balanced_page(sensor) {
        Ok((page, complaints)) => {
            report.check("metrics-page", Vec::new());
            report.check("metrics-invariant", complaints);
            report.check("events-lost", lost(&page));
            report.check("misses-counted", uncounted(&page, &sensor.hooks));
            report.check("outputs-dropped", dropped(&page));
            report.check("metrics-findings", finding_metrics(&page, &sensor.log.since(0)));
            last_page = Some(page);
        }
        Err(error) => report.check("metrics-page", vec![format!("{error:#}")]),
    }
    if let Some(page) = &last_page {
        println!("{}", cost(page));
    }
    report.check("sensor-shutdown", shutdown(sensor)?);
    report.check("sensor-errors", sensor.error_lines());
    report.check("log-lines", sensor.log.finish());
    let records = sensor.log.since(0);
    report.check("log-schema", schema(&records));
    report.check("record-schema", sensor.log.complaints());
    if let Some(page) = last_page {
        report.check("log-complete", left_out(&page, &records));
    }
    report.check("text-lines", text_lines(&sensor.written()?, &records));
    Ok(())
}

/// What the run has cost so far, for people: on emulated processors it is what a run's length comes from.
fn cost(page: &Page) -> String {
    let sensor: f64 =
        page.samples("stride_sensor_process_cpu_seconds_total").map(|sample| sample.value).sum();
    let usage = |who| {
        // SAFETY: all bytes zero is a valid `struct rusage`.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the structure outlives the call.
        unsafe { libc::getrusage(who, &raw mut usage) };
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        seconds(usage.ru_utime) + seconds(usage.ru_stime)
    };
    let (runner, scenarios) = (usage(libc::RUSAGE_SELF), usage(libc::RUSAGE_CHILDREN));
    format!("CPU seconds: sensor {sensor:.0}, runner {runner:.0}, scenarios {scenarios:.0}")
}

/// Copies a program to /dev/shm on the node, runs it, and waits a second for the finding.
fn host_finding(sensor: &Sensor) -> Result<(Vec<String>, Duration)> {
    let path = format!("/dev/shm/x-{}", crate::host::random_hex(4)?);
    std::fs::copy("/bin/ls", &path).with_context(|| path.clone())?;
    let start = sensor.log.len();
    let begin = Instant::now();
    let status = Command::new(&path).arg("/").stdout(Stdio::null()).status();
    let is_it = |record: &Value| {
        record["finding"]["id"] == "exec-writable-tmp"
            && record["process"]["exe"] == path.as_str()
            && record["finding"]["severity"] == "medium"
            && record["container"].is_null()
            && record["pod"].is_null()
    };
    let found = sensor.log.wait_for(start, Duration::from_secs(1) * crate::host::patience(), is_it);
    let time = begin.elapsed();
    std::fs::remove_file(&path)?;
    status.with_context(|| path.clone())?;
    Ok((found.err().map(|error| format!("finding for {path}: {error:#}")).into_iter().collect(), time))
}

/// The page when the counters agree, or the last one with what does not. The counters of a busy machine are
/// not read at one instant, so a difference counts only if it stays.
fn balanced_page(sensor: &Sensor) -> Result<(Page, Vec<String>)> {
    // A page that was made for somebody else is served again for 250 ms, without what happened since.
    std::thread::sleep(Duration::from_millis(300));
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
    let seen =
        |kind: &str| kinds.get(kind).and_then(|stages| stages.get("seen")).is_some_and(|&seen| seen > 0.0);
    if let Some(missing) = KINDS.iter().find(|kind| !seen(kind)) {
        return vec![format!("{EVENTS} has seen nothing of kind `{missing}`")];
    }
    let complain = |(kind, stages): (&str, BTreeMap<&str, f64>)| {
        let stage = |name| stages.get(name).copied().unwrap_or(0.0);
        let [seen, filtered, sent, lost] = ["seen", "filtered", "sent", "lost"].map(stage);
        (seen != filtered + sent + lost)
            .then(|| format!("{kind}: seen {seen} is not filtered {filtered} + sent {sent} + lost {lost}"))
    };
    kinds.into_iter().filter_map(complain).collect()
}

/// Hooks without a count of skipped runs, on a kernel that has one for others (5.12 and newer).
fn uncounted(page: &Page, hooks: &BTreeMap<String, String>) -> Vec<String> {
    let counts = page.sum_by("stride_sensor_events_missed_total", "hook");
    let uncounted = hooks.keys().filter(|hook| !counts.is_empty() && !counts.contains_key(*hook));
    uncounted.map(|hook| format!("nothing counts the skipped runs of `{hook}`")).collect()
}

/// What the kernel side sent until the page was read must be in the log, now that the sensor has ended.
fn left_out(page: &Page, records: &[Arc<Value>]) -> Vec<String> {
    let mut logged: BTreeMap<&str, f64> = BTreeMap::new();
    for record in records {
        *logged.entry(record["kind"].as_str().unwrap_or_default()).or_default() += 1.0;
    }
    let sent = page.samples(EVENTS).filter(|sample| sample.label("stage") == "sent");
    let complain = |sample: &crate::metrics::Sample| {
        let count = logged.get(sample.label("kind")).copied().unwrap_or(0.0);
        let kind = sample.label("kind");
        (count < sample.value).then(|| format!("{} events of kind {kind} sent, {count} logged", sample.value))
    };
    sent.filter_map(complain).collect()
}

/// What was lost. Events that were kept back because of a flood are no loss by mistake: scenarios flood, and findings tell it.
fn lost(page: &Page) -> Vec<String> {
    let lost = page.samples(LOST).filter(|sample| sample.label("reason") != "over_budget");
    lost.map(|sample| {
        let (kind, reason) = (sample.label("kind"), sample.label("reason"));
        format!("{} events of kind {kind} lost: {reason}", sample.value)
    })
    .collect()
}

fn dropped(page: &Page) -> Vec<String> {
    let dropped = page.samples(DROPPED).filter(|sample| sample.value > 0.0);
    dropped.map(|sample| format!("{} lines dropped: {:?}", sample.value, sample.labels)).collect()
}

/// Each finding of the log, and each number of its repeats, must be one line of text, and none may hold what steers a terminal or forges a line.
fn text_lines(text: &[u8], records: &[Arc<Value>]) -> Vec<String> {
    let findings =
        records.iter().filter(|record| record["kind"] == "finding" || record["kind"] == "repeats").count();
    let Ok(text) = std::str::from_utf8(text) else { return vec!["standard output is not UTF-8".into()] };
    let mut complaints = Vec::new();
    let lines = text.lines().count();
    if lines != findings {
        complaints.push(format!("{lines} lines for {findings} findings"));
    }
    let hidden = |character: char| {
        character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let time = words.next().unwrap_or_default();
        let severity = words.next().unwrap_or_default();
        let well_formed =
            time.ends_with('Z') && matches!(severity, "INFO" | "LOW" | "MEDIUM" | "HIGH" | "CRITICAL");
        if !well_formed || line.chars().any(hidden) {
            complaints.push(format!("a line that is no finding or holds control characters: {line:?}"));
        }
    }
    complaints.truncate(10);
    complaints
}

/// The metrics must count at least the findings of the log: by id, by primary STRIDE category, and by each category.
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
    let count = |categories: &dyn Fn(&Value) -> Vec<String>| {
        let mut sums: BTreeMap<String, f64> = BTreeMap::new();
        for record in records.iter().filter(|record| record["kind"] == "finding") {
            for category in categories(&record["finding"]["stride"]) {
                *sums.entry(category).or_default() += 1.0;
            }
        }
        sums
    };
    let all = |stride: &Value| -> Vec<String> {
        stride.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let primary = |stride: &Value| all(stride).into_iter().take(1).collect();
    for (metric, logged) in [(FINDINGS, count(&primary)), (FINDINGS_BY_STRIDE, count(&all))] {
        let counted = page.sum_by(metric, "stride");
        for (category, logged) in logged {
            let sum = counted.get(&category).copied().unwrap_or(0.0);
            if sum < logged {
                complaints.push(format!("{metric}{{stride=\"{category}\"}} is {sum}, the log has {logged}"));
            }
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
            "finding" if record["event"]["type"] == "exec" => &[ALWAYS, PROCESS, EXEC, FINDING],
            "finding" => &[ALWAYS, FINDING],
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
        let line = |kind: &str, stage: &str, count: u32| {
            format!("stride_sensor_events_total{{kind=\"{kind}\",stage=\"{stage}\"}} {count}\n")
        };
        let mut text = line("exec", "seen", 10) + &line("exec", "sent", 8) + &line("exec", "lost", 1);
        assert_eq!(
            imbalance(&Page::parse(&text).unwrap()),
            ["stride_sensor_events_total has seen nothing of kind `fork`"]
        );
        for kind in KINDS.iter().filter(|kind| **kind != "exec") {
            text += &(line(kind, "seen", 1) + &line(kind, "sent", 1));
        }
        let page = Page::parse(&text).unwrap();
        assert_eq!(imbalance(&page), ["exec: seen 10 is not filtered 0 + sent 8 + lost 1"]);
        let reason = |reason: &str| {
            format!("stride_sensor_events_lost_total{{kind=\"exec\",reason=\"{reason}\"}} 1\n")
        };
        let page_of_losses = Page::parse(&(reason("ring_full") + &reason("over_budget"))).unwrap();
        assert_eq!(lost(&page_of_losses), ["1 events of kind exec lost: ring_full"]);
        let exec = Arc::new(json!({"kind": "exec"}));
        let complaints = left_out(&page, &[exec]);
        assert!(complaints.contains(&"8 events of kind exec sent, 1 logged".to_owned()), "{complaints:?}");
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
    fn findings_must_be_counted_by_stride() {
        let page = Page::parse(
            "stride_sensor_findings_total{id=\"a\",severity=\"high\",stride=\"tampering\",namespace=\"\"} 1\n\
             stride_sensor_findings_by_stride_total{stride=\"tampering\"} 1\n",
        )
        .unwrap();
        let finding =
            |stride: &[&str]| Arc::new(json!({"kind": "finding", "finding": {"id": "a", "stride": stride}}));
        assert!(finding_metrics(&page, &[finding(&["tampering"])]).is_empty());
        assert_eq!(finding_metrics(&page, &[finding(&["tampering", "spoofing"])]).len(), 1);
        assert_eq!(finding_metrics(&page, &[finding(&["spoofing"])]).len(), 2);
    }

    #[test]
    fn text_that_forges_a_line_is_told() {
        let finding = Arc::new(json!({"kind": "finding"}));
        let line = "2026-01-01T00:00:00.0Z HIGH     drift-exec a\\nb\n";
        assert!(text_lines(line.as_bytes(), std::slice::from_ref(&finding)).is_empty());
        assert_eq!(text_lines(format!("{line}forged\n").as_bytes(), std::slice::from_ref(&finding)).len(), 2);
        assert_eq!(text_lines(line.replace("drift", "\u{202e}").as_bytes(), &[finding]).len(), 1);
    }

    #[test]
    fn missing_keys_and_repeated_numbers_are_told() {
        let good = json!({"time": "2026-01-01T00:00:00.000000001Z", "node": "n", "boot_id": "b", "run_id": "r", "sequence": 1, "kind": "fork"});
        assert!(schema(&[Arc::new(good.clone())]).is_empty());
        assert_eq!(schema(&[Arc::new(good.clone()), Arc::new(good.clone())]).len(), 1);
        let mut bad = good;
        bad["kind"] = json!("exec");
        assert!(schema(&[Arc::new(bad)]).iter().any(|complaint| complaint.contains("/process/exe")));
    }
}
