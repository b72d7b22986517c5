//! `docs/coverage.md`: which detection was shown where, and what that means by STRIDE and ATT&CK.
//!
//! Made from the same reports as `docs/caught.md`, and from the built-in rules as the sensor itself lists them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::tables::{Outcome, Results};
use crate::workspace::Workspace;

/// STRIDE categories in their order, as rules name them.
const STRIDE: [(&str, &str); 6] = [
    ("spoofing", "Spoofing"),
    ("tampering", "Tampering"),
    ("repudiation", "Repudiation"),
    ("information_disclosure", "Information disclosure"),
    ("denial_of_service", "Denial of service"),
    ("elevation_of_privilege", "Elevation of privilege"),
];

/// A rule as `rules list --json` shows it.
#[derive(Debug, Deserialize)]
pub struct ListedRule {
    id: String,
    stride: Vec<String>,
    attack: Vec<String>,
}

/// The built-in rules, as the built sensor lists them.
///
/// # Errors
/// When there is no built sensor, or it cannot list them.
pub fn rules(workspace: &Workspace) -> Result<Vec<ListedRule>> {
    let sensor = workspace.release_binary("stride-sensor");
    let output = Command::new(&sensor)
        .args(["rules", "list", "--json"])
        .output()
        .with_context(|| format!("{}: `cargo xtask build` makes it", sensor.display()))?;
    ensure!(output.status.success(), "{} cannot list its rules", sensor.display());
    serde_json::from_slice(&output.stdout).context("the list of rules")
}

/// What is known of a detection.
#[derive(Debug, Default)]
struct Detection {
    /// Primary category of its first rule.
    primary: String,
    stride: BTreeSet<String>,
    attack: BTreeSet<String>,
    /// Scenarios that showed it, by run; `None` where all that would are blind there.
    shown: BTreeMap<String, Option<usize>>,
}

/// The whole of docs/coverage.md.
pub fn document(results: &Results, rules: &[ListedRule]) -> String {
    let detections = detections(results, rules);
    let mut text = String::from(
        "# Coverage\n\n\
         Made by `cargo xtask tables` from the end-to-end runs in guests and from the built-in rules, and compared with each \
         whole\ntest run. [caught.md](caught.md) has the same by scenario.\n",
    );
    by_stride(&mut text, &detections);
    by_detection(&mut text, &detections, results);
    by_technique(&mut text, &detections);
    text
}

fn detections(results: &Results, rules: &[ListedRule]) -> BTreeMap<String, Detection> {
    let mut detections: BTreeMap<String, Detection> = BTreeMap::new();
    for rule in rules {
        let detection = detections.entry(rule.id.clone()).or_default();
        if detection.primary.is_empty() {
            detection.primary = rule.stride.first().cloned().unwrap_or_default();
        }
        detection.stride.extend(rule.stride.iter().cloned());
        detection.attack.extend(rule.attack.iter().cloned());
    }
    for (subject, outcomes) in results.attacks() {
        for (id, (run, outcome)) in
            subject.detections.iter().flat_map(|id| outcomes.iter().map(move |one| (id, one)))
        {
            let Some(detection) = detections.get_mut(id) else { continue };
            let shown = detection.shown.entry(run.clone()).or_insert(None);
            match outcome {
                Outcome::Passed => *shown = Some(shown.unwrap_or(0) + 1),
                Outcome::Failed => *shown = Some(shown.unwrap_or(0)),
                Outcome::Blind | Outcome::NotRun => {}
            }
        }
    }
    detections
}

fn by_stride(text: &mut String, detections: &BTreeMap<String, Detection>) {
    text.push_str(
        "\n## By STRIDE category\n\nShown: at least one scenario led to it on at least one kernel.\n\n\
         | category | detections, primary | shown | detections, any | shown |\n| --- | --- | --- | --- | --- |\n",
    );
    let is_shown = |detection: &&Detection| detection.shown.values().flatten().any(|count| *count > 0);
    for (name, title) in STRIDE {
        let primary = || detections.values().filter(move |one| one.primary == name);
        let any = || detections.values().filter(move |one| one.stride.contains(name));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {title} | {} | {} | {} | {} |",
            primary().count(),
            primary().filter(is_shown).count(),
            any().count(),
            any().filter(is_shown).count(),
        );
    }
}

fn by_detection(text: &mut String, detections: &BTreeMap<String, Detection>, results: &Results) {
    let heads: Vec<String> = results.runs().iter().map(|run| run.replace('-', " ")).collect();
    let _ = writeln!(
        text,
        "\n## By detection\n\nThe number of scenarios that led to it. A column is a guest kernel: alone with the best ways into \
         the kernel that it\noffers, or with the rung that was forced. blind: a hook that all of its scenarios need is not \
         attached there, or the guest\ncannot run them. none: no scenario that is run there shows it; runs with a forced rung leave out what no rung can change.\n\n| detection | {} |\n|{}",
        heads.join(" | "),
        " --- |".repeat(heads.len() + 1)
    );
    for (id, detection) in detections {
        let cells: Vec<String> = results
            .runs()
            .iter()
            .map(|run| match detection.shown.get(run) {
                Some(Some(count)) => count.to_string(),
                Some(None) => "blind".to_owned(),
                None => "none".to_owned(),
            })
            .collect();
        let _ = writeln!(text, "| `{id}` | {} |", cells.join(" | "));
    }
}

fn by_technique(text: &mut String, detections: &BTreeMap<String, Detection>) {
    text.push_str("\n## ATT&CK techniques by STRIDE category\n\n| technique |");
    for (_, title) in STRIDE {
        let _ = write!(text, " {title} |");
    }
    let _ = writeln!(text, "\n|{}", " --- |".repeat(STRIDE.len() + 1));
    let techniques: BTreeSet<&String> = detections.values().flat_map(|one| &one.attack).collect();
    for technique in techniques {
        let _ = write!(text, "| {technique} |");
        for (name, _) in STRIDE {
            let of = detections
                .values()
                .filter(|one| one.primary == name && one.attack.contains(technique))
                .count();
            let _ = write!(text, " {} |", if of == 0 { String::new() } else { of.to_string() });
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;

    #[test]
    fn detections_are_counted_by_run_and_category() {
        let mut results = Results::default();
        let report = |status: &str, reason: &str| {
            let text = format!(
                r#"{{"kernel":"x","results":[{{"id":"esc-01","status":"{status}","reason":"{reason}","class":"attack",
                "title":"A disk","detections":["mount-block-device"],"hooked":true}}]}}"#
            );
            Report::parse(&text).unwrap()
        };
        results.add("6.1", &report("passed", ""));
        results.add("6.1-tracepoint", &report("skipped", "the hook `superblock` is not attached here"));
        let rule = |id: &str, stride: &str| ListedRule {
            id: id.to_owned(),
            stride: vec![stride.to_owned()],
            attack: vec!["T1611".to_owned()],
        };
        let rules =
            [rule("mount-block-device", "elevation_of_privilege"), rule("fork-bomb", "denial_of_service")];
        let text = document(&results, &rules);
        assert!(text.contains("| `mount-block-device` | 1 | blind |\n"), "{text}");
        assert!(text.contains("| `fork-bomb` | none | none |\n"), "{text}");
        assert!(text.contains("| Elevation of privilege | 1 | 1 | 1 | 1 |\n"), "{text}");
        assert!(text.contains("| Denial of service | 1 | 0 | 1 | 0 |\n"), "{text}");
        assert!(text.contains("| T1611 |  |  |  |  | 1 | 1 |\n"), "{text}");
    }
}
