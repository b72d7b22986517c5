//! The noise run: what a node does all day, again and again, must raise nothing of medium severity or above.

use crate::execute::SETUP;
use crate::run::{Prepared, observe};
use crate::scenario::Class;
use crate::{NoiseArguments, checks};
use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So long one sensor watches: the log of an hour does not fit into the memory of a guest.
const WATCH: Duration = Duration::from_secs(600);

/// Severities that a quiet node must not see.
const LOUD: [&str; 3] = ["medium", "high", "critical"];

/// Runs the benign scenarios round after round until the time is over, under a sensor that is begun anew every ten minutes,
/// and lists what was told.
pub fn run(arguments: &NoiseArguments) -> Result<ExitCode> {
    let Prepared { mut set, mut sensor } = Prepared::start(&arguments.run)?;
    set.scenarios.retain(|scenario| scenario.class == Class::Benign);
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let (mut rounds, mut records) = (0, 0);
    // The log itself goes with its sensor.
    let kept = arguments.run.set.work.join("loud.jsonl");
    let (mut loud, mut quiet) = (BTreeMap::new(), BTreeMap::new());
    loop {
        let change = end.min(Instant::now() + WATCH);
        while Instant::now() < change {
            rounds += 1;
            set.each(|scenario| observe(&set.bench, &sensor, scenario));
        }
        let told = sensor.log.since(0);
        records += told.len();
        keep(&told, &kept)?;
        count(&told, &LOUD, &mut loud);
        count(&told, &["info", "low"], &mut quiet);
        checks::whole_run(&mut sensor, &set.report)?;
        if Instant::now() >= end {
            break;
        }
        sensor = set.watch(&arguments.run)?;
    }
    let complaints = loud.into_iter().map(|(id, count)| format!("{count} of {id}")).collect();
    set.report.check("noise", complaints);
    println!("{rounds} rounds, {records} records; findings below medium:");
    for (id, count) in quiet {
        println!("{count:8} {id}");
    }
    set.finish()
}

/// The findings of these severities. What the runner itself does between the scenarios counts too, what their setups do does not:
/// they put things there that are no part of a node's life.
fn findings<'a>(records: &'a [Arc<Value>], severities: &'a [&str]) -> impl Iterator<Item = &'a Value> {
    let is_one = move |record: &&'a Value| {
        let severity = record["finding"]["severity"].as_str().unwrap_or_default();
        record["kind"] == "finding" && severities.contains(&severity) && !is_of_setup(record)
    };
    records.iter().map(|record| &**record).filter(is_one)
}

/// Whether a record's process is the shell of a setup, or descends from one.
fn is_of_setup(record: &Value) -> bool {
    let process = &record["process"];
    let ancestors = process["ancestors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_shell = |process: &Value| {
        process["args"].as_array().is_some_and(|arguments| arguments.iter().any(|one| one == SETUP))
    };
    is_shell(process) || ancestors.iter().any(is_shell)
}

/// Writes the findings that should not be to the end of a file.
fn keep(records: &[Arc<Value>], file: &Path) -> Result<()> {
    let mut file = File::options().create(true).append(true).open(file)?;
    findings(records, &LOUD).try_for_each(|record| writeln!(file, "{record}"))?;
    Ok(())
}

/// Adds up detections with their severity.
fn count(records: &[Arc<Value>], severities: &[&str], counts: &mut BTreeMap<String, usize>) {
    for finding in findings(records, severities).map(|record| &record["finding"]) {
        let [id, severity, title] =
            ["id", "severity", "title"].map(|key| finding[key].as_str().unwrap_or_default());
        *counts.entry(format!("{id} ({severity}): {title}")).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_setup_does_is_no_noise() {
        let record = |process: Value| {
            Arc::new(
                json!({"kind": "finding", "finding": {"severity": "high", "id": "x"}, "process": process}),
            )
        };
        let setup = json!({"args": ["/bin/sh", "-eu", "-c", "chmod u+s f", SETUP]});
        let records = [
            record(setup.clone()),
            record(json!({"args": ["chmod"], "ancestors": [setup]})),
            record(json!({"args": ["chmod"], "ancestors": [{"args": ["/bin/sh", "-eu", "-c", "chmod"]}]})),
        ];
        assert_eq!(findings(&records, &["high"]).count(), 1);
    }
}
