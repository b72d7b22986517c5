//! Compares a scenario's records with what its file expects. Each failure is one sentence.

use crate::execute::Footprint;
use crate::scenario::{Condition, Expect, ExpectedEvents, ExpectedFinding, Pattern, Severity};
use crate::spec::Identity;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that is not as expected; empty means passed.
pub fn judge(expect: &Expect, footprint: &Footprint, records: &[Arc<Value>]) -> Vec<String> {
    let findings: Vec<&Value> =
        records.iter().map(AsRef::as_ref).filter(|record| record["kind"] == "finding").collect();
    let mut failures = Vec::new();
    for expected in &expect.findings {
        failures.extend(missing_finding(expected, footprint.identity.as_ref(), &findings));
    }
    for expected in &expect.events {
        failures.extend(wrong_events(expected, records));
    }
    for finding in findings {
        failures.extend(unwanted(expect, finding));
    }
    if let Some(identity) = &footprint.identity {
        failures.extend(misattributed(identity, footprint.entrypoint, records));
    }
    failures
}

/// The expected finding must be there once with everything right; tells what the nearest one lacks.
fn missing_finding(
    expected: &ExpectedFinding,
    identity: Option<&Identity>,
    findings: &[&Value],
) -> Option<String> {
    let same: Vec<&&Value> =
        findings.iter().filter(|record| record["finding"]["id"] == expected.id.as_str()).collect();
    let complaints: Vec<Vec<String>> =
        same.iter().map(|record| differences(expected, identity, record)).collect();
    let right = complaints.iter().filter(|differences| differences.is_empty()).count();
    if right >= expected.count {
        return None;
    }
    if right > 0 {
        return Some(format!("{right} findings `{}` as described, expected {}", expected.id, expected.count));
    }
    let Some(nearest) = complaints.iter().min_by_key(|differences| differences.len()) else {
        let ids: Vec<&str> = findings.iter().filter_map(|record| record["finding"]["id"].as_str()).collect();
        let others = if ids.is_empty() { "none at all".into() } else { ids.join(", ") };
        return Some(format!("no finding `{}`; there were: {others}", expected.id));
    };
    Some(format!("finding `{}`: {}", expected.id, nearest.join("; ")))
}

fn differences(expected: &ExpectedFinding, identity: Option<&Identity>, record: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    let severity = severity(record);
    let wanted = expected.severity.as_slice();
    if !severity.is_some_and(|severity| wanted.contains(&severity)) {
        differences.push(format!("severity is {}, expected {wanted:?}", record["finding"]["severity"]));
    }
    differences.extend(mismatches(&expected.evidence, record));
    if record["event"]["rung"] != "system_call" {
        differences.extend(mismatches(&expected.kernel_evidence, record));
    }
    if expected.host {
        if !record["container"].is_null() || !record["pod"].is_null() {
            differences.push("names a container or pod, expected a process of the host".to_owned());
        }
    } else if let Some(identity) = identity {
        differences.extend(wrong_identity(identity, record));
        if record["attribution"] != "exact" {
            differences.push(format!("attribution is {}, expected exact", record["attribution"]));
        }
    }
    differences
}

fn mismatches(patterns: &BTreeMap<String, Pattern>, record: &Value) -> Vec<String> {
    let wrong = |(path, pattern): (&String, &Pattern)| {
        let value = lookup(record, path);
        (!matches(pattern, value))
            .then(|| format!("{path} is {}, expected {}", brief(value), describe(pattern)))
    };
    patterns.iter().filter_map(wrong).collect()
}

fn wrong_events(expected: &ExpectedEvents, records: &[Arc<Value>]) -> Option<String> {
    let of_kind = records.iter().filter(|record| record["kind"] == expected.kind.as_str());
    let found = of_kind.filter(|record| mismatches(&expected.matching, record).is_empty()).count();
    let right = expected.count.map_or(found > 0, |count| found == count);
    let wanted = expected.count.map_or("at least 1".to_owned(), |count| count.to_string());
    let conditions: Vec<String> =
        expected.matching.iter().map(|(path, pattern)| format!("{path} = {}", describe(pattern))).collect();
    (!right).then(|| {
        format!("{found} {} events with {}, expected {wanted}", expected.kind, conditions.join(", "))
    })
}

/// Findings that the file excludes: named as absent, above the limit, or high without being named at all.
fn unwanted(expect: &Expect, record: &Value) -> Option<String> {
    let id = record["finding"]["id"].as_str().unwrap_or_default();
    let command = brief(&record["process"]["args"]);
    let tell =
        |why: &str| Some(format!("finding `{id}` ({}) of {command}: {why}", record["finding"]["severity"]));
    if expect.absent.iter().any(|absent| absent == id) {
        return tell("must be absent");
    }
    let Some(severity) = severity(record) else { return tell("the severity is unknown") };
    match expect.max_severity {
        Some(limit) if severity > limit => tell(&format!("more severe than {limit:?}")),
        Some(_) => None,
        None => {
            let named = expect.findings.iter().any(|expected| expected.id == id)
                || expect.allow.iter().any(|allowed| allowed == id);
            (severity >= Severity::High && !named).then(|| tell("neither expected nor allowed")).flatten()
        }
    }
}

/// What ran in the container must be told with its pod, from the first exec on.
fn misattributed(identity: &Identity, entrypoint: bool, records: &[Arc<Value>]) -> Vec<String> {
    let mut failures = Vec::new();
    let execs: Vec<&Arc<Value>> = records
        .iter()
        .filter(|record| {
            record["kind"] == "exec" && record["container"]["id"] == identity.container_id.as_str()
        })
        .collect();
    let is_entrypoint = |record: &&&Arc<Value>| {
        let process = &record["process"];
        process["args"].as_array().is_some_and(|args| args.iter().any(|arg| arg == "/entrypoint.sh"))
    };
    match execs.iter().find(is_entrypoint) {
        Some(record) => {
            let mut wrong = wrong_identity(identity, record);
            if record["attribution"] != "exact" {
                wrong.push(format!("attribution is {}, expected exact", record["attribution"]));
            }
            if !wrong.is_empty() {
                failures.push(format!("exec of the entrypoint: {}", wrong.join("; ")));
            }
        }
        None if entrypoint => failures.push("no exec of the entrypoint with this container's id".into()),
        None => {}
    }
    let with_pod = execs.iter().filter(|record| !record["pod"].is_null());
    if let Some(wrong) =
        with_pod.map(|record| wrong_identity(identity, record)).find(|wrong| !wrong.is_empty())
    {
        failures.push(format!("an exec in the container: {}", wrong.join("; ")));
    }
    failures
}

fn wrong_identity(identity: &Identity, record: &Value) -> Vec<String> {
    let expected = [
        ("container.id", &identity.container_id),
        ("container.name", &identity.container_name),
        ("container.image", &identity.image),
        ("pod.namespace", &identity.pod_namespace),
        ("pod.name", &identity.pod_name),
        ("pod.uid", &identity.pod_uid),
    ];
    let wrong = |(path, expected): (&str, &String)| {
        let value = lookup(record, path);
        (value != expected.as_str()).then(|| format!("{path} is {}, expected {expected:?}", brief(value)))
    };
    expected.into_iter().filter_map(wrong).collect()
}

fn severity(record: &Value) -> Option<Severity> {
    serde_json::from_value(record["finding"]["severity"].clone()).ok()
}

/// The value at a path of keys and list indices with dots between; null where the path ends early.
/// The value at a path. Keys may hold dots themselves: what is left of the path is tried as one key first.
fn lookup<'a>(record: &'a Value, path: &str) -> &'a Value {
    if let Some(value) = record.get(path) {
        return value;
    }
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    let value = match key.parse::<usize>() {
        Ok(index) if record.is_array() => &record[index],
        _ => &record[key],
    };
    rest.map_or(value, |rest| lookup(value, rest))
}

fn matches(pattern: &Pattern, value: &Value) -> bool {
    match (pattern, value) {
        (Pattern::Condition(Condition::Exists(expected)), _) => *expected != value.is_null(),
        (Pattern::Condition(Condition::AtLeast(least)), Value::Array(values)) => {
            values.len() as f64 >= *least
        }
        (Pattern::Condition(Condition::AtLeast(least)), _) => {
            value.as_f64().is_some_and(|value| value >= *least)
        }
        (Pattern::Exact(expected), _) if expected == value => true,
        (_, Value::Array(values)) => values.iter().any(|value| matches(pattern, value)),
        (Pattern::Condition(Condition::Regex(regex)), Value::String(text)) => regex.is_match(text),
        (Pattern::Condition(Condition::Regex(regex)), Value::Number(number)) => {
            regex.is_match(&number.to_string())
        }
        _ => false,
    }
}

fn describe(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(value) => brief(value),
        Pattern::Condition(Condition::Regex(regex)) => format!("/{regex}/"),
        Pattern::Condition(Condition::Exists(true)) => "anything".into(),
        Pattern::Condition(Condition::Exists(false)) => "nothing".into(),
        Pattern::Condition(Condition::AtLeast(least)) => format!("at least {least}"),
    }
}

/// A value in at most 160 characters.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Whether the expected part is there, so that waiting longer is useless.
pub fn is_complete(expect: &Expect, footprint: &Footprint, records: &[Arc<Value>]) -> bool {
    // Only what may still come is asked for; what must not come is judged when all is there.
    let findings: Vec<&Value> =
        records.iter().map(AsRef::as_ref).filter(|record| record["kind"] == "finding").collect();
    expect
        .findings
        .iter()
        .all(|expected| missing_finding(expected, footprint.identity.as_ref(), &findings).is_none())
        && expect.events.iter().all(|expected| wrong_events(expected, records).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::ImageName;
    use serde_json::json;

    fn footprint() -> Footprint {
        let mut identity = Identity::new("ex-01", ImageName::Debian).unwrap();
        identity.container_id = "c1".into();
        identity.pod_uid = "u1".into();
        Footprint { identity: Some(identity), entrypoint: true, roots: vec![] }
    }

    fn record(kind: &str, extra: &Value) -> Arc<Value> {
        let mut record = json!({
            "kind": kind, "attribution": "exact",
            "process": {"pid": 5, "exe": "/usr/bin/x", "args": ["x", "true"]},
            "container": {"id": "c1", "name": "main", "image": "registry.example/e2e/debian:1"},
            "pod": {"namespace": "e2e", "name": "ex-01", "uid": "u1"},
        });
        for (key, value) in extra.as_object().unwrap() {
            record[key] = value.clone();
        }
        Arc::new(record)
    }

    fn entrypoint() -> Arc<Value> {
        record(
            "exec",
            &json!({"process": {"pid": 4, "exe": "/usr/bin/dash", "args": ["/bin/sh", "/entrypoint.sh"]}}),
        )
    }

    fn drift(severity: &str) -> Arc<Value> {
        record(
            "finding",
            &json!({"finding": {"id": "drift-exec", "severity": severity, "evidence": {"upper": true}}}),
        )
    }

    fn expect(yaml: &str) -> Expect {
        serde_saphyr::from_str(yaml).unwrap()
    }

    const DRIFT: &str = "findings: [{id: drift-exec, severity: high, evidence: {process.exe: {regex: 'x$'}, process.args: 'true', finding.evidence.upper: true}}]";

    #[test]
    fn what_is_as_expected_passes() {
        assert_eq!(judge(&expect(DRIFT), &footprint(), &[entrypoint(), drift("high")]), Vec::<String>::new());
    }

    #[test]
    fn a_missing_finding_names_what_there_was() {
        let failures = judge(
            &expect("findings: [{id: exec-memfd, severity: critical}]"),
            &footprint(),
            &[entrypoint(), drift("low")],
        );
        assert_eq!(failures, ["no finding `exec-memfd`; there were: drift-exec"]);
    }

    #[test]
    fn a_wrong_severity_or_pod_fails() {
        let failures = judge(&expect(DRIFT), &footprint(), &[entrypoint(), drift("medium")]);
        assert_eq!(failures, ["finding `drift-exec`: severity is \"medium\", expected [High]"]);
        let mut other = (*drift("high")).clone();
        other["pod"]["name"] = json!("neighbour");
        let failures = judge(&expect(DRIFT), &footprint(), &[entrypoint(), Arc::new(other)]);
        assert_eq!(failures, ["finding `drift-exec`: pod.name is \"neighbour\", expected \"ex-01\""]);
    }

    #[test]
    fn an_unnamed_high_finding_fails_an_attack_and_medium_a_benign_workload() {
        let records = [entrypoint(), drift("high")];
        assert_eq!(judge(&expect("{}"), &footprint(), &records).len(), 1);
        assert_eq!(judge(&expect("allow: [drift-exec]"), &footprint(), &records).len(), 0);
        let records = [entrypoint(), drift("medium")];
        assert_eq!(judge(&expect("{}"), &footprint(), &records).len(), 0);
        assert_eq!(judge(&expect("max_severity: low"), &footprint(), &records).len(), 1);
        assert_eq!(judge(&expect("absent: [drift-exec]"), &footprint(), &records).len(), 1);
    }

    #[test]
    fn the_entrypoint_must_name_its_pod() {
        assert_eq!(judge(&expect("{}"), &footprint(), &[]).len(), 1);
        let mut early = (*entrypoint()).clone();
        early["pod"] = Value::Null;
        early["attribution"] = json!("pending");
        let failures = judge(&expect("{}"), &footprint(), &[Arc::new(early)]);
        assert!(failures[0].contains("pod.name") && failures[0].contains("pending"), "{failures:?}");
    }

    #[test]
    fn events_are_counted() {
        let records = [entrypoint(), record("exec", &json!({})), record("exec", &json!({}))];
        let two = "events: [{kind: exec, match: {process.exe: /usr/bin/x}, count: 2}]";
        assert_eq!(judge(&expect(two), &footprint(), &records).len(), 0);
        assert_eq!(judge(&expect(&two.replace("count: 2", "count: 3")), &footprint(), &records).len(), 1);
    }

    #[test]
    fn conditions() {
        let matches = |pattern: &str, value: Value| {
            matches(&serde_saphyr::from_str::<Pattern>(pattern).unwrap(), &value)
        };
        assert!(matches("{exists: true}", json!(0)) && !matches("{exists: true}", json!(null)));
        assert!(matches("{at_least: 2}", json!([1, 2])) && !matches("{at_least: 2}", json!(1)));
        assert!(matches("/tmp/x", json!(["a", "/tmp/x"])) && !matches("/tmp/x", json!("/tmp/xy")));
        assert!(matches("{regex: '^/tmp'}", json!("/tmp/x")) && matches("{regex: '^4444$'}", json!(4444)));
    }
}
