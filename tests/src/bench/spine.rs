//! What an event costs on its way from the ring to a finding: recorded events, sent through the sensor's own stages.

use super::table::{Expect, Table};
use super::{Arguments, record};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::process::Command;

/// Events a second and core that the whole way must bear, all built-in rules judged.
const EXPECTED: f64 = 500_000.0;

/// Records, replays, and fills the table.
pub fn measure(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let recording = record::record(arguments)?;
    let output = Command::new(&arguments.common.sensor)
        .args(["bench", "replay", "--rounds", &arguments.replays.to_string()])
        .arg(&recording.file)
        .output()?;
    if !output.status.success() {
        bail!("the replay failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    drop(recording);
    let figures: Value = serde_json::from_slice(&output.stdout).context("figures of the replay")?;
    let content = &figures["recording"];
    table.section(&format!(
        "The spine: {} recorded events ({} forks, {} execs, {} exits; {} execs in pods; {} findings), {} rules,\n\
         one thread, {} replays: CPU time an event, least of all replays (and their median)",
        content["records"],
        content["kinds"]["fork"],
        content["kinds"]["exec"],
        content["kinds"]["exit"],
        content["container_execs_with_pod"],
        content["findings"],
        content["rules"],
        figures["rounds"],
    ));
    let stages = figures["stages"].as_array().context("no stages")?;
    let mut before = 0.0;
    for stage in stages {
        let name = stage["name"].as_str().context("no name")?;
        let time = |which: &str| stage["nanoseconds_an_event"][which].as_f64().context("no time");
        let (least, median) = (time("least")?, time("median")?);
        let label = match name {
            "decode" => "decode",
            "attribute" => "+ attribute",
            "judge" => "+ judge, findings to records",
            "telemetry" => "+ every event to a record",
            other => other,
        };
        println!("  {label:<34}{:>9.0} ns   {least:>7.0} ns so far ({median:.0} ns)", least - before);
        before = least;
        if name == "judge" {
            table.figure("events a second and core", 1e9 / least, 0, "", Expect::AtLeast(EXPECTED));
        } else if name == "telemetry" {
            table.figure("the same with --log events", 1e9 / least, 0, "", Expect::Nothing);
        }
    }
    table.add("spine", figures);
    Ok(())
}
