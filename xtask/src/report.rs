//! What test runs report: the end-to-end runner's JSON file and the closing lines of `cargo test`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The file that `e2e run --report FILE` writes.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// The kernel it ran on, as `uname -r` names it.
    pub kernel: String,
    /// One entry a scenario.
    pub results: Vec<ScenarioResult>,
}

/// How one scenario went.
#[derive(Debug, Deserialize)]
pub struct ScenarioResult {
    /// The scenario's id, such as `ex-01`.
    pub id: String,
    /// How it went.
    pub status: Status,
    /// Why it failed or was skipped; may be absent for a pass.
    #[serde(default)]
    pub reason: Option<String>,
    /// Of one that was done again: why.
    #[serde(default)]
    pub repeated: Option<String>,
    /// What the scenario is; absent of a check of the whole run.
    #[serde(flatten)]
    pub scenario: Option<Subject>,
}

/// What a scenario is.
#[derive(Debug, Clone, Deserialize)]
pub struct Subject {
    /// What it is for.
    pub class: Class,
    /// Its line for people.
    pub title: String,
    /// Ids of the findings that it must lead to.
    pub detections: Vec<String>,
    /// Whether it needs hooks that are entered by one of several rungs.
    pub hooked: bool,
}

/// What a scenario is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A technique that must be found.
    Attack,
    /// A workload that must stay quiet.
    Benign,
    /// What the sensor must bear.
    Input,
}

/// How a scenario went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All its expectations held.
    Passed,
    /// One did not.
    Failed,
    /// This kernel or machine cannot run it.
    Skipped,
}

/// Passed, failed and skipped tests of a stage, and what is worth saying about them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Tests that could not run here.
    pub skipped: usize,
    /// One line for each failed or skipped test: its name and the reason.
    pub notes: Vec<String>,
}

impl Report {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is absent or is not such a report.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("no report at {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a report", path.display()))
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        Ok(serde_json::from_str(text)?)
    }

    /// Counts the results.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for result in &self.results {
            if let Some(why) = &result.repeated {
                counts.notes.push(format!("{} done again, as {why}", result.id));
            }
            let word = match result.status {
                Status::Passed => {
                    counts.passed += 1;
                    continue;
                }
                Status::Failed => {
                    counts.failed += 1;
                    "failed"
                }
                Status::Skipped => {
                    counts.skipped += 1;
                    "skipped"
                }
            };
            let reason = result.reason.as_deref().unwrap_or("no reason given");
            counts.notes.push(format!("{} {word}: {reason}", result.id));
        }
        counts
    }
}

/// Adds up the lines `test result: ok. 3 passed; 0 failed; 1 ignored; ...` that each test binary ends with, and
/// takes the names of failed and ignored tests from the lines `test NAME ... FAILED`.
pub fn cargo_test_counts(output: &str) -> Counts {
    let mut counts = Counts::default();
    for line in output.lines() {
        if let Some(rest) = line.strip_prefix("test result: ") {
            let Some((_, numbers)) = rest.split_once(". ") else { continue };
            for part in numbers.split(';') {
                let mut words = part.split_whitespace();
                let Some(number) = words.next().and_then(|word| word.parse::<usize>().ok()) else { continue };
                match words.next() {
                    Some("passed") => counts.passed += number,
                    Some("failed") => counts.failed += number,
                    Some("ignored") => counts.skipped += number,
                    _ => {}
                }
            }
        } else if let Some((name, verdict)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "))
        {
            if verdict == "FAILED" {
                counts.notes.push(format!("{name} failed"));
            } else if let Some(reason) = verdict.strip_prefix("ignored") {
                let reason = reason.trim_start_matches([',', ' ']);
                let reason = if reason.is_empty() { "no reason given" } else { reason };
                counts.notes.push(format!("{name} skipped: {reason}"));
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_an_end_to_end_report() {
        let text = r#"{"label":"vm-6.1","kernel":"6.1.0-9-cloud-amd64","results":[
            {"id":"ex-01","status":"passed","reason":"","repeated":"it rained","seconds":0.4},
            {"id":"ex-07","status":"skipped","reason":"no memfd_secret","seconds":0.0},
            {"id":"bn-01","status":"failed","seconds":1.0}]}"#;
        let report = Report::parse(text).unwrap();
        assert_eq!(report.kernel, "6.1.0-9-cloud-amd64");
        let counts = report.counts();
        assert_eq!((counts.passed, counts.failed, counts.skipped), (1, 1, 1));
        let notes = [
            "ex-01 done again, as it rained",
            "ex-07 skipped: no memfd_secret",
            "bn-01 failed: no reason given",
        ];
        assert_eq!(counts.notes, notes);
    }

    #[test]
    fn refuses_an_unknown_status() {
        let text = r#"{"kernel":"x","results":[{"id":"a","status":"fine"}]}"#;
        assert!(Report::parse(text).is_err());
    }

    #[test]
    fn adds_up_the_closing_lines_of_cargo_test() {
        let output = "running 3 tests\n\
            test a::b ... ok\n\
            test a::c ... FAILED\n\
            test a::d ... ignored, needs root\n\
            test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let counts = cargo_test_counts(output);
        assert_eq!((counts.passed, counts.failed, counts.skipped), (6, 1, 1));
        assert_eq!(counts.notes, ["a::c failed", "a::d skipped: needs root"]);
    }
}
