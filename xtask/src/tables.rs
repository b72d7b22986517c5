//! `cargo xtask tables`: what was caught where, made from the reports of the end-to-end runs in guests.
//!
//! `docs/caught.md` is written whole, the README between two markers. A test run with all guests compares both with
//! its own results, so neither can claim what the tests did not show.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::coverage;
use crate::end_to_end::{Run, report_path};
use crate::report::{Class, Counts, Report, Status, Subject};
use crate::test::{one_passed, skipped};
use crate::vm;
use crate::workspace::Workspace;

const BEGIN: &str = "<!-- caught: begin -->\n";
const END: &str = "<!-- caught: end -->\n";

/// Kernels on which kprobes are the best rung, because trampolines are preempted; the check `hooks-best` of a run holds it.
const KPROBE_KERNELS: [&str; 1] = ["7.2"];

/// What came of a scenario in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All that it expects came.
    Passed,
    /// Something did not.
    Failed,
    /// A hook that it needs is not attached.
    Blind,
    /// The guest cannot run it.
    NotRun,
}

/// All results: scenarios by id, each with what came of it in each run.
#[derive(Debug, Default)]
pub struct Results {
    runs: Vec<String>,
    scenarios: BTreeMap<String, (Subject, BTreeMap<String, Outcome>)>,
}

/// Writes both tables from the reports of the last runs.
///
/// # Errors
/// When the report of a run is missing, or a file cannot be written.
pub fn task(workspace: &Workspace) -> Result<()> {
    let results = Results::read(workspace, &all_runs())?;
    fs::write(workspace.path("docs/caught.md"), results.document())?;
    fs::write(
        workspace.path("docs/coverage.md"),
        coverage::document(&results, &coverage::rules(workspace)?),
    )?;
    let readme = workspace.path("README.md");
    let text = fs::read_to_string(&readme)?;
    fs::write(&readme, between_markers(&text, &results.summary())?)?;
    println!("written: docs/caught.md, docs/coverage.md and the table in README.md");
    Ok(())
}

/// Compares the tables with what these runs showed.
///
/// # Errors
/// When they differ: then they claim what is not so, or keep back what is.
pub fn compare(workspace: &Workspace, runs: &[Run]) -> Result<Counts> {
    if runs.len() != all_runs().len() {
        return Ok(skipped("only a run with all guests has all results"));
    }
    let results = match Results::read(workspace, runs) {
        Ok(results) => results,
        Err(error) => return Ok(skipped(&format!("{error:#}"))),
    };
    if results.has_failures() {
        return Ok(skipped("a scenario failed"));
    }
    let document = fs::read_to_string(workspace.path("docs/caught.md")).context("docs/caught.md")?;
    same("docs/caught.md", &document, &results.document())?;
    let document = fs::read_to_string(workspace.path("docs/coverage.md")).context("docs/coverage.md")?;
    same("docs/coverage.md", &document, &coverage::document(&results, &coverage::rules(workspace)?))?;
    let readme = fs::read_to_string(workspace.path("README.md")).context("README.md")?;
    same("README.md", &readme, &between_markers(&readme, &results.summary())?)?;
    Ok(one_passed())
}

fn all_runs() -> Vec<Run> {
    Run::all(&vm::GUESTS.iter().collect::<Vec<_>>())
}

/// Names the first line that differs.
fn same(file: &str, written: &str, shown: &str) -> Result<()> {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (written, shown) = (lines(written), lines(shown));
    let differs = (0..written.len().max(shown.len())).find(|&index| written.get(index) != shown.get(index));
    let Some(index) = differs else { return Ok(()) };
    let nothing = String::new();
    bail!(
        "{file}:{} says `{}`, this run shows `{}`; `cargo xtask tables` writes what it shows",
        index + 1,
        written.get(index).unwrap_or(&nothing),
        shown.get(index).unwrap_or(&nothing),
    )
}

fn between_markers(text: &str, table: &str) -> Result<String> {
    let (head, rest) =
        text.split_once(BEGIN).with_context(|| format!("README.md has no `{}`", BEGIN.trim()))?;
    let (_, tail) = rest.split_once(END).with_context(|| format!("README.md has no `{}`", END.trim()))?;
    Ok(format!("{head}{BEGIN}{table}{END}{tail}"))
}

impl Results {
    fn read(workspace: &Workspace, runs: &[Run]) -> Result<Self> {
        let mut results = Self::default();
        for run in runs {
            let label = run.label();
            let path = report_path(workspace, &label);
            let report = Report::read(&path)
                .with_context(|| format!("no results of {label}: `cargo xtask test` makes them"))?;
            results.add(label.trim_start_matches("vm-"), &report);
        }
        Ok(results)
    }

    /// The runs, in their order.
    pub fn runs(&self) -> &[String] {
        &self.runs
    }

    /// Attacks with what came of them in each run.
    pub fn attacks(&self) -> impl Iterator<Item = (&Subject, &BTreeMap<String, Outcome>)> {
        let attacks = self.scenarios.values().filter(|(subject, _)| subject.class == Class::Attack);
        attacks.map(|(subject, outcomes)| (subject, outcomes))
    }

    /// Adds the results of a run.
    pub fn add(&mut self, run: &str, report: &Report) {
        self.runs.push(run.to_owned());
        for result in &report.results {
            let Some(subject) = &result.scenario else { continue };
            let outcome = match (result.status, result.reason.as_deref()) {
                (Status::Passed, _) => Outcome::Passed,
                (Status::Failed, _) => Outcome::Failed,
                (Status::Skipped, Some(reason)) if reason.contains("is not attached") => Outcome::Blind,
                (Status::Skipped, _) => Outcome::NotRun,
            };
            let (_, outcomes) =
                self.scenarios.entry(result.id.clone()).or_insert_with(|| (subject.clone(), BTreeMap::new()));
            outcomes.insert(run.to_owned(), outcome);
        }
    }

    fn has_failures(&self) -> bool {
        self.scenarios.values().any(|(_, outcomes)| outcomes.values().any(|one| *one == Outcome::Failed))
    }

    fn of(
        &self,
        class: Class,
        hooked: bool,
    ) -> impl Iterator<Item = (&str, &Subject, &BTreeMap<String, Outcome>)> {
        let chosen = move |subject: &Subject| subject.class == class && subject.hooked == hooked;
        let all = self.scenarios.iter().filter(move |(_, (subject, _))| chosen(subject));
        all.map(|(id, (subject, outcomes))| (id.as_str(), subject, outcomes))
    }

    /// The whole of docs/caught.md.
    fn document(&self) -> String {
        let free: Vec<&String> = self.runs.iter().filter(|run| !run.contains('-')).collect();
        let all: Vec<&String> = self.runs.iter().collect();
        let mut text = String::from(
            "# What was caught\n\n\
             Made by `cargo xtask tables` from the end-to-end runs in guests, and compared with each whole test run. A \
             column is a\nguest kernel: alone with the best ways into the kernel that it offers, or with the rung that was \
             forced by `--attach`.\nWhat each scenario does is in its file in `tests/scenarios/`.\n\n\
             | word | meaning |\n| --- | --- |\n\
             | yes | every finding that the scenario expects came, with its evidence, container and pod |\n\
             | blind | a hook that the scenario needs cannot be attached; `doctor` says so |\n\
             | no | a finding did not come |\n\
             | - | the guest cannot run the scenario: a program, a module or a part of the kernel is missing |\n",
        );
        text.push_str("\n## By hooks on actions\n\n");
        self.rows(&mut text, &all, Class::Attack, true);
        text.push_str("\n## What the life of processes shows, on every rung\n\n");
        self.rows(&mut text, &free, Class::Attack, false);
        text.push_str(
            "\n## Workloads that must stay quiet\n\nyes: nothing of medium severity or above came.\n\n",
        );
        self.rows(&mut text, &all, Class::Benign, false);
        text
    }

    fn rows(&self, text: &mut String, runs: &[&String], class: Class, hooked: bool) {
        let heads: Vec<String> = runs.iter().map(|run| run.replace('-', " ")).collect();
        let findings = if class == Class::Attack { " findings |" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| scenario |{findings} {} |", heads.join(" | "));
        let columns = runs.len() + 1 + usize::from(class == Class::Attack);
        let _ = writeln!(text, "|{}", " --- |".repeat(columns));
        // A benign workload may need hooks or none: it is one table.
        let both = class == Class::Benign;
        let mut rows: Vec<_> =
            self.of(class, hooked).chain(self.of(class, !hooked).filter(|_| both)).collect();
        rows.sort_by_key(|(id, ..)| *id);
        for (id, subject, outcomes) in rows {
            let cells: Vec<&str> = runs.iter().map(|run| word(outcomes.get(*run))).collect();
            let ids = match class {
                Class::Attack => format!(" {} |", detections(subject)),
                _ => String::new(),
            };
            let _ = writeln!(text, "| `{id}` |{ids} {} |", cells.join(" | "));
        }
    }

    /// The table of the README: ways out of a container, one column a rung.
    fn summary(&self) -> String {
        let mut text = String::from(
            "| way out | findings | trampolines | BPF LSM | kprobes | system calls |\n\
             | --- | --- | --- | --- | --- | --- |\n",
        );
        // Scenarios of escapes have ids of their own; docs/coverage.md has all others.
        for (_, subject, outcomes) in self.of(Class::Attack, true).filter(|(id, ..)| id.starts_with("esc-")) {
            let cell = |rung: Option<&str>| {
                let fits = |run: &str| match run.split_once('-') {
                    Some((_, forced)) => rung == Some(forced),
                    None => rung == KPROBE_KERNELS.contains(&run).then_some("kprobe"),
                };
                let of_rung = outcomes.iter().filter(|(run, _)| fits(run));
                let ran: Vec<_> = of_rung.filter(|(_, outcome)| **outcome != Outcome::NotRun).collect();
                let caught: Vec<&str> = ran
                    .iter()
                    .filter(|(_, outcome)| **outcome == Outcome::Passed)
                    .map(|(run, _)| run.split_once('-').map_or(run.as_str(), |(kernel, _)| kernel))
                    .collect();
                match (ran.len(), caught.len()) {
                    (0, _) => "-".to_owned(),
                    (_, 0) => "no".to_owned(),
                    (all, some) if all == some => "yes".to_owned(),
                    _ => caught.join(", "),
                }
            };
            let cells = [None, Some("lsm"), Some("kprobe"), Some("tracepoint")].map(cell);
            let _ = writeln!(text, "| {} | {} | {} |", subject.title, detections(subject), cells.join(" | "));
        }
        text
    }
}

fn word(outcome: Option<&Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Passed) => "yes",
        Some(Outcome::Failed) => "no",
        Some(Outcome::Blind) => "blind",
        Some(Outcome::NotRun) | None => "-",
    }
}

fn detections(subject: &Subject) -> String {
    subject.detections.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let mut results = Results::default();
        let report = |status: &str, reason: &str| {
            let text = format!(
                r#"{{"kernel":"x","results":[
                {{"id":"esc-01","status":"{status}","reason":"{reason}","class":"attack","title":"A disk is mounted",
                  "detections":["mount-block-device"],"hooked":true}},
                {{"id":"bn-01","status":"passed","class":"benign","title":"Nothing","detections":[],"hooked":false}},
                {{"id":"metrics-page","status":"passed","reason":""}}]}}"#
            );
            Report::parse(&text).unwrap()
        };
        results.add("5.10", &report("skipped", "the hook `superblock` is not attached here"));
        results.add("6.1", &report("passed", ""));
        results.add("6.1-kprobe", &report("passed", ""));
        results.add("6.1-tracepoint", &report("skipped", "no `mount` in the image"));
        results
    }

    #[test]
    fn the_document_tells_blind_from_not_run() {
        let text = results().document();
        assert!(
            text.contains("| scenario | findings | 5.10 | 6.1 | 6.1 kprobe | 6.1 tracepoint |\n"),
            "{text}"
        );
        assert!(text.contains("| `esc-01` | `mount-block-device` | blind | yes | yes | - |\n"), "{text}");
        assert!(text.contains("| `bn-01` | yes | yes | yes | yes |\n"), "{text}");
        assert!(!text.contains("metrics-page"));
    }

    #[test]
    fn the_summary_names_kernels_only_where_they_differ() {
        let text = results().summary();
        assert!(
            text.contains("| A disk is mounted | `mount-block-device` | 6.1 | - | yes | - |\n"),
            "{text}"
        );
    }

    #[test]
    fn a_claim_that_was_not_shown_is_named() {
        let error = same("README.md", "a\nyes\n", "a\nno\n").unwrap_err().to_string();
        assert!(error.starts_with("README.md:2 says `yes`, this run shows `no`"), "{error}");
        assert!(same("README.md", "a\n", "a\nb\n").is_err());
        assert!(same("README.md", "a\n", "a\n").is_ok());
    }

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = format!("head\n{BEGIN}old\n{END}tail\n");
        assert_eq!(between_markers(&text, "new\n").unwrap(), format!("head\n{BEGIN}new\n{END}tail\n"));
        assert!(between_markers("head\n", "new\n").is_err());
    }
}
