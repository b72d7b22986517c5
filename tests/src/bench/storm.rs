//! Storms of short-lived processes without and with the sensor in turn; the sensor's start, memory and size.

use super::Arguments;
use super::measure::{children_time, memory, thread_time, wait_until_idle};
use super::table::{Expect, Table, median};
use crate::checks::EVENTS;
use crate::sensor::{Sensor, Settings};
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Processes that wait while the memory is measured.
const SLEEPERS: usize = 500;
/// Time for the sensor to end.
const STOP: Duration = Duration::from_secs(10);

/// What one storm took, in seconds.
#[derive(Clone, Copy)]
struct Storm {
    wall: f64,
    /// User and system time of the storm's own processes.
    processor: f64,
}

/// What the sensor did meanwhile.
struct Watched {
    storm: Storm,
    /// Time of its threads during the storm and until it had caught up.
    sensor: f64,
    seen: f64,
    lost: f64,
    ready: f64,
}

/// Measures and fills the table.
pub fn measure(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let execs = arguments.execs;
    // The first storm pays for cold caches and is not counted.
    storm(&arguments.common.atk, execs)?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..arguments.common.rounds {
        // Which of both is first changes, so that a machine that becomes slower or faster favours neither.
        if round % 2 == 0 {
            without.push(storm(&arguments.common.atk, execs)?);
        }
        with.push(watched(arguments)?);
        if round % 2 == 1 {
            without.push(storm(&arguments.common.atk, execs)?);
        }
    }
    let of_without = |pick: fn(&Storm) -> f64| without.iter().map(pick).collect::<Vec<_>>();
    let of_with = |pick: fn(&Watched) -> f64| with.iter().map(pick).collect::<Vec<_>>();
    table.section(&format!(
        "{execs} execs a storm, {} pairs without and with the sensor: medians, ratio of the pairs (and their spread)",
        arguments.common.rounds
    ));
    table.pair("wall time", &of_without(|one| one.wall), &of_with(|one| one.storm.wall));
    table.pair(
        "CPU time of the storm",
        &of_without(|one| one.processor),
        &of_with(|one| one.storm.processor),
    );
    table.pair(
        "CPU time, the sensor's included",
        &of_without(|one| one.processor),
        &of_with(|one| one.storm.processor + one.sensor),
    );
    let sensor = median(&of_with(|one| one.sensor));
    table.section("The sensor");
    table.figure(
        "CPU an exec (with fork and exit)",
        sensor / f64::from(execs) * 1e6,
        2,
        "us",
        Expect::Nothing,
    );
    table.figure("events in a storm", median(&of_with(|one| one.seen)), 0, "", Expect::Nothing);
    let lost = with.iter().map(|one| one.lost).sum();
    table.figure("events lost in all storms", lost, 0, "", Expect::AtMost(0.0));
    // The slowest start counts.
    let ready = of_with(|one| one.ready).into_iter().fold(0.0, f64::max);
    table.figure("ready after, slowest start", ready, 3, "s", Expect::AtMost(1.0));
    let size = std::fs::metadata(&arguments.common.sensor)?.len() as f64 / 1024.0 / 1024.0;
    table.figure("binary", size, 1, "MiB", Expect::AtMost(15.0));
    resident(arguments, table)
}

/// Memory with many processes there: after the start, and the most it was in a storm on top.
fn resident(arguments: &Arguments, table: &mut Table) -> Result<()> {
    let sleepers = Sleepers::start(SLEEPERS)?;
    let mut sensor = start(arguments)?;
    wait_until_idle(sensor.pid())?;
    let processes =
        sensor.metrics()?.samples("stride_sensor_process_table_entries").map(|one| one.value).sum();
    let calm = memory(sensor.pid(), "VmRSS")?;
    storm(&arguments.common.atk, arguments.execs)?;
    wait_until_idle(sensor.pid())?;
    let peak = memory(sensor.pid(), "VmHWM")?;
    sensor.stop(STOP)?;
    drop(sleepers);
    table.figure("processes known at start", processes, 0, "", Expect::AtLeast(SLEEPERS as f64));
    table.figure("RSS with them", calm, 1, "MiB", Expect::AtMost(40.0));
    table.figure("most RSS with them in a storm", peak, 1, "MiB", Expect::AtMost(40.0));
    Ok(())
}

fn start(arguments: &Arguments) -> Result<Sensor> {
    Sensor::start(&Settings {
        binary: &arguments.common.sensor,
        work: &arguments.common.work,
        log: "findings",
        output: "none",
        rules: None,
        config: None,
        attach: None,
    })
}

/// A storm under a new sensor.
fn watched(arguments: &Arguments) -> Result<Watched> {
    let mut sensor = start(arguments)?;
    let before = thread_time(sensor.pid())?;
    let storm = storm(&arguments.common.atk, arguments.execs)?;
    wait_until_idle(sensor.pid())?;
    let time = thread_time(sensor.pid())?.saturating_sub(before);
    let page = sensor.metrics()?;
    let events = |stage: &str| -> f64 {
        page.samples(EVENTS).filter(|sample| sample.label("stage") == stage).map(|sample| sample.value).sum()
    };
    let (seen, lost) = (events("seen"), events("lost"));
    if seen < f64::from(arguments.execs) * 3.0 {
        bail!("the sensor saw {seen} events of a storm of {} execs", arguments.execs);
    }
    let ready = sensor.ready_after.as_secs_f64();
    sensor.stop(STOP)?;
    Ok(Watched { storm, sensor: time.as_secs_f64(), seen, lost, ready })
}

/// Runs a storm and returns its time on the clock, and on processors of all its processes.
fn storm(atk: &Path, execs: u32) -> Result<Storm> {
    let before = children_time();
    let begin = Instant::now();
    let status = Command::new(atk)
        .args(["spawn-fast", &execs.to_string()])
        .arg(atk)
        .arg("true")
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("--atk {}", atk.display()))?;
    let wall = begin.elapsed().as_secs_f64();
    if !status.success() {
        bail!("the storm failed: {}", crate::host::describe(status));
    }
    Ok(Storm { wall, processor: children_time().saturating_sub(before).as_secs_f64() })
}

/// Processes that do nothing until they are dropped.
struct Sleepers(Vec<Child>);

impl Sleepers {
    fn start(count: usize) -> Result<Self> {
        let mut sleepers = Self(Vec::with_capacity(count));
        for _ in 0..count {
            sleepers.0.push(Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().context("sleep")?);
        }
        Ok(sleepers)
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        for sleeper in &mut self.0 {
            let _ = sleeper.kill();
            let _ = sleeper.wait();
        }
    }
}
