//! Results: one line each while running, one JSON file at the end.

use crate::attempt::Attempt;
use crate::host;
use crate::scenario::{Class, Scenario};
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// The results of a run, filled from several threads.
pub struct Report {
    label: String,
    /// Attached hooks with their rungs, once a sensor was started.
    hooks: OnceLock<BTreeMap<String, String>>,
    results: Mutex<Vec<Entry>>,
}

/// One result.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Scenario or check.
    pub id: String,
    /// What came of it.
    pub status: Status,
    /// Why it failed or was skipped.
    pub reason: String,
    /// How long it took.
    pub seconds: f64,
    /// Of one that was done again: why, and how it had failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated: Option<String>,
    /// Of a scenario: what it is.
    #[serde(flatten)]
    pub scenario: Option<Subject>,
}

/// The scenario that a result is about.
#[derive(Debug, Clone, Serialize)]
pub struct Subject {
    /// Attack, benign or input.
    pub class: Class,
    /// Its line for people.
    pub title: String,
    /// Ids of the findings that it must lead to.
    pub detections: Vec<String>,
    /// Whether it needs hooks that are entered by one of several rungs.
    pub hooked: bool,
}

impl From<&Scenario> for Subject {
    fn from(scenario: &Scenario) -> Self {
        let mut detections: Vec<String> = Vec::new();
        for expected in &scenario.expect.findings {
            if !detections.contains(&expected.id) {
                detections.push(expected.id.clone());
            }
        }
        let hooked = !scenario.needs.hooks.is_empty();
        Self { class: scenario.class, title: scenario.title.clone(), detections, hooked }
    }
}

/// What came of a scenario or check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All as expected.
    Passed,
    /// Something was not.
    Failed,
    /// Not possible here.
    Skipped,
}

#[derive(Serialize)]
struct Document<'a> {
    label: &'a str,
    kernel: String,
    hooks: Option<&'a BTreeMap<String, String>>,
    results: &'a [Entry],
}

impl Report {
    /// An empty report.
    pub fn new(label: &str) -> Self {
        Self { label: label.to_owned(), hooks: OnceLock::new(), results: Mutex::default() }
    }

    /// Takes note of the hooks that the run's sensor attached.
    pub fn set_hooks(&self, hooks: &BTreeMap<String, String>) {
        self.hooks.get_or_init(|| hooks.clone());
    }

    /// Adds a scenario's result and prints its line. `first` is the attempt before this one, if there was one.
    pub fn add(&self, scenario: &Scenario, attempt: Attempt, first: Option<Attempt>, time: Duration) {
        let repeated = first
            .map(|first| format!("{}; it had failed: {}", first.excuse.unwrap_or_default(), first.reason));
        self.enter(Entry {
            id: scenario.id.clone(),
            status: attempt.status,
            reason: attempt.reason,
            seconds: time.as_secs_f64(),
            repeated,
            scenario: Some(scenario.into()),
        });
    }

    fn enter(&self, entry: Entry) {
        let word = match entry.status {
            Status::Passed => "passed",
            Status::Failed => "FAILED",
            Status::Skipped => "skipped",
        };
        let indented = |text: &str| text.replace('\n', "\n        ");
        println!("{word:7} {:28} {:6.1} s  {}", entry.id, entry.seconds, indented(&entry.reason));
        if let Some(repeated) = &entry.repeated {
            println!("        done again: {}", indented(repeated));
        }
        self.results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(entry);
    }

    fn conclude(&self, id: &str, scenario: Option<Subject>, complaints: &[String], time: Duration) {
        self.enter(Entry {
            id: id.to_owned(),
            status: if complaints.is_empty() { Status::Passed } else { Status::Failed },
            reason: complaints.join("\n"),
            seconds: time.as_secs_f64(),
            repeated: None,
            scenario,
        });
    }

    /// Adds a check: passed when there is nothing to complain about.
    pub fn check(&self, id: &str, complaints: Vec<String>) {
        self.timed_check(id, complaints, Duration::ZERO);
    }

    /// As [`Self::check`], with the time it took.
    pub fn timed_check(&self, id: &str, complaints: Vec<String>, time: Duration) {
        self.conclude(id, None, &complaints, time);
    }

    /// Adds a check that shows detections, as a scenario does.
    pub fn subject(&self, id: &str, subject: Subject, complaints: Vec<String>, time: Duration) {
        self.conclude(id, Some(subject), &complaints, time);
    }

    /// Prints the sums, writes the file, and says whether nothing failed.
    pub fn finish(&self, file: Option<&Path>) -> Result<bool> {
        let mut results = self.results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        results.sort_by(|left, right| left.id.cmp(&right.id));
        let count = |status| results.iter().filter(|entry| entry.status == status).count();
        let [passed, failed, skipped] = [Status::Passed, Status::Failed, Status::Skipped].map(count);
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        if let Some(file) = file {
            let document = Document {
                label: &self.label,
                kernel: host::kernel_release(),
                hooks: self.hooks.get(),
                results: &results,
            };
            std::fs::write(file, serde_json::to_vec_pretty(&document)?)
                .with_context(|| format!("report {}", file.display()))?;
        }
        // A run that proved nothing must not look like a success.
        Ok(failed == 0 && passed + skipped > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_all_results_and_a_failure_is_told() {
        let report = Report::new("unit");
        let scenario = "{id: b, title: A thing, host: 'true', needs: {hooks: [open]}, \
                        expect: {findings: [{id: x, severity: low}, {id: x, severity: high}]}}";
        let scenario: Scenario = serde_saphyr::from_str(scenario).unwrap();
        let first = Attempt::failed("no finding", Some("the kernel slept".into()));
        report.add(&scenario, Attempt::passed(), Some(first), Duration::from_millis(1500));
        report.set_hooks(&BTreeMap::from([("exec".to_owned(), "tp_btf".to_owned())]));
        report.check("a", vec!["wrong".into()]);
        let file = std::env::temp_dir().join(format!("e2e-report-{}", std::process::id()));
        assert!(!report.finish(Some(&file)).unwrap());
        let document: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(document["label"], "unit");
        assert_eq!(document["results"][0]["status"], "failed");
        assert_eq!(document["results"][1]["seconds"], 1.5);
        assert_eq!(document["results"][1]["repeated"], "the kernel slept; it had failed: no finding");
        assert!(document["results"][0].get("repeated").is_none());
        assert_eq!(document["results"][1]["detections"], serde_json::json!(["x"]));
        assert_eq!(document["results"][1]["class"], "attack");
        assert!(document["results"][0].get("class").is_none());
        assert_eq!(document["hooks"]["exec"], "tp_btf");
        std::fs::remove_file(file).unwrap();
    }
}
