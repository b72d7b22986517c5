//! What rules cost: loading them, and judging recorded events by them.

use super::table::{Expect, Table};
use super::{Arguments, record};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Milliseconds that loading may take.
const LOAD: f64 = 100.0;
/// Nanoseconds in which half of the events of a kind must be judged.
const JUDGE: f64 = 1000.0;

/// Records, loads, judges, and fills the table.
pub fn measure(arguments: &Arguments, own: &[PathBuf], table: &mut Table) -> Result<()> {
    let recording = record::record(arguments)?;
    let mut command = Command::new(&arguments.common.sensor);
    command.args(["bench", "rules"]).arg(&recording.file);
    own.iter().for_each(|path| {
        command.arg("--rules").arg(path);
    });
    let output = command.output()?;
    if !output.status.success() {
        bail!("judging failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    drop(recording);
    let figures: Value = serde_json::from_slice(&output.stdout).context("figures of the rules")?;
    for set in figures["sets"].as_array().context("no sets")? {
        let name = set["name"].as_str().context("no name")?;
        table.section(&format!("Rules: {name}, {} of them", set["rules"]));
        let load = set["load_milliseconds"]["least"].as_f64().context("no time")?;
        table.figure("time to load", load, 1, "ms", Expect::AtMost(LOAD));
        for kind in set["kinds"].as_array().context("no kinds")? {
            let time = |which: &str| kind[which].as_f64().context("no time");
            let label = format!("{} ({}), p50", kind["kind"].as_str().context("no kind")?, kind["events"]);
            // An event that is told as a finding costs more; few of them are no measure.
            let expect = if time("events")? >= 100.0 { Expect::AtMost(JUDGE) } else { Expect::Nothing };
            table.figure(&label, time("p50")?, 0, "ns", expect);
            table.figure("  p99", time("p99")?, 0, "ns", Expect::Nothing);
        }
    }
    table.add("rules", figures);
    Ok(())
}
