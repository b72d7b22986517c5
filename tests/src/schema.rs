//! Every record of a run against the schema that the project publishes.

use anyhow::{Context as _, Result};
use jsonschema::Validator;
use serde_json::Value;
use std::collections::BTreeMap;

const SCHEMA: &str = include_str!("../../docs/schema/record.schema.json");
/// Different complaints that are told.
const TOLD: usize = 20;
/// Different complaints that are kept.
const KEPT: usize = 1000;
/// Characters told of one complaint: a record may hold kilobytes of hostile text.
const LENGTH: usize = 400;

/// What is not as the schema says, each complaint once with the number of records and one of them. Records are looked at
/// as they are read, since the log keeps only a part of most.
pub struct Complaints {
    validator: Result<Validator>,
    found: BTreeMap<String, (usize, String)>,
}

impl Default for Complaints {
    fn default() -> Self {
        Self { validator: validator(), found: BTreeMap::new() }
    }
}

impl Complaints {
    /// Looks at a record.
    pub fn check(&mut self, record: &Value) {
        let Ok(validator) = &self.validator else { return };
        for complaint in of_record(validator, record) {
            if self.found.len() < KEPT || self.found.contains_key(&complaint) {
                let sequence = || (0, record["sequence"].to_string());
                self.found.entry(complaint).or_insert_with(sequence).0 += 1;
            }
        }
    }

    /// What was found, for people.
    pub fn told(&self) -> Vec<String> {
        if let Err(error) = &self.validator {
            return vec![format!("the schema itself: {error:#}")];
        }
        let told = self.found.iter().take(TOLD);
        told.map(|(complaint, (count, sequence))| {
            format!("{complaint} ({count} records, one is sequence {sequence})")
        })
        .collect()
    }
}

fn validator() -> Result<Validator> {
    let schema = serde_json::from_str(SCHEMA).context("not JSON")?;
    jsonschema::draft202012::new(&schema).map_err(|error| anyhow::anyhow!("{error}"))
}

fn of_record(validator: &Validator, record: &Value) -> Vec<String> {
    let (kind, event) = (&record["kind"], &record["event"]["type"]);
    let mut complaints = Vec::new();
    // That two values are the same is beyond JSON Schema.
    if kind != "finding" && kind != "repeats" && kind != event {
        complaints.push(format!("kind {kind} has an event of type {event}"));
    }
    if !validator.is_valid(record) {
        complaints.extend(validator.iter_errors(record).map(|error| {
            // Places in lists differ from record to record and say little.
            let place: Vec<String> =
                error.instance_path().to_string().split('/').map(without_index).collect();
            let text = format!("{kind} of {event}: {}: {error}", place.join("/"));
            text.chars().take(LENGTH).collect()
        }));
    }
    complaints
}

fn without_index(part: &str) -> String {
    let is_index = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if is_index { "N".to_owned() } else { part.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({
            "schema": 1, "time": "2026-01-01T00:00:00.000000001Z", "node": "n", "boot_id": "b", "run_id": "r", "sequence": 7,
            "kind": "cgroup_create", "attribution": "exact",
            "event": {"type": "cgroup_create", "cgroup_id": "12", "hierarchy": 0, "path": "/a"}
        })
    }

    fn complaints(records: &[Value]) -> Vec<String> {
        let mut complaints = Complaints::default();
        records.iter().for_each(|record| complaints.check(record));
        complaints.told()
    }

    #[test]
    fn a_good_record_has_no_complaint() {
        assert_eq!(complaints(&[good()]), Vec::<String>::new());
    }

    #[test]
    fn each_complaint_is_told_once_with_its_place() {
        let mut bad = good();
        bad["event"]["inode"] = json!(1);
        let told = complaints(&[bad.clone(), good(), bad]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("/event") && told[0].contains("inode"), "{told:?}");
        assert!(told[0].ends_with("(2 records, one is sequence 7)"), "{told:?}");
        let mut other = good();
        other["kind"] = json!("exec");
        assert!(complaints(&[other])[0].contains("kind \"exec\" has an event"));
    }
}
