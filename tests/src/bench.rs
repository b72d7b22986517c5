//! `e2e bench exec`: what the sensor costs and loses in storms of short-lived processes.

use crate::checks::EVENTS;
use crate::sensor::{Sensor, Settings};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Arguments of `e2e bench exec`.
#[derive(Args)]
pub struct ExecArguments {
    /// The sensor's binary
    #[arg(long, value_name = "PATH")]
    sensor: PathBuf,
    /// The static helper program `atk`
    #[arg(long, value_name = "PATH")]
    atk: PathBuf,
    /// Folder for the sensor's log
    #[arg(long, value_name = "DIR")]
    work: PathBuf,
    /// Execs in one storm
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    execs: u32,
    /// Storms without and with the sensor each
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Write the figures here as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// What one storm took.
#[derive(Clone, Copy)]
struct Storm {
    wall: Duration,
    /// User and system time of the storm's own processes.
    processor: Duration,
    /// Time of the sensor's threads during the storm and until it had caught up.
    sensor: Duration,
    lost: f64,
    peak_bytes: u64,
}

/// Runs storms without and with the sensor in turn and prints medians. Asserts nothing about time.
pub fn exec(arguments: &ExecArguments) -> Result<ExitCode> {
    std::fs::create_dir_all(&arguments.work)?;
    // The first storm pays for cold caches and is not counted.
    storm(arguments, None)?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        without.push(storm(arguments, None)?);
        let settings = Settings {
            binary: &arguments.sensor,
            work: &arguments.work,
            log: "findings",
            output: "none",
            rules: None,
            attach: None,
        };
        let mut sensor = Sensor::start(&settings)?;
        with.push(storm(arguments, Some(&sensor))?);
        sensor.stop(Duration::from_secs(10))?;
    }
    let execs = f64::from(arguments.execs);
    let seconds = |storms: &[Storm], pick: fn(&Storm) -> Duration| {
        median(storms.iter().map(|storm| pick(storm).as_secs_f64()))
    };
    let [wall_without, wall_with] = [&without, &with].map(|storms| seconds(storms, |storm| storm.wall));
    let [processor_without, processor_with] =
        [&without, &with].map(|storms| seconds(storms, |storm| storm.processor));
    let sensor = seconds(&with, |storm| storm.sensor);
    let lost: f64 = with.iter().map(|storm| storm.lost).sum();
    let peak = with.iter().map(|storm| storm.peak_bytes).max().unwrap_or(0);

    println!("{} execs a storm, median of {} storms each, in turn", arguments.execs, arguments.rounds);
    println!("{:24}{:>14}{:>14}{:>10}", "", "without", "with sensor", "ratio");
    println!(
        "{:24}{:>12.3} s{:>12.3} s{:>10.3}",
        "wall time",
        wall_without,
        wall_with,
        wall_with / wall_without
    );
    println!(
        "{:24}{:>12.3} s{:>12.3} s{:>10.3}",
        "CPU time of the storm",
        processor_without,
        processor_with,
        processor_with / processor_without
    );
    println!("{:24}{:>14}{:>11.2} us", "sensor CPU an exec", "", sensor / execs * 1e6);
    println!("{:24}{:>14}{:>14}", "events lost", "", lost);
    println!("{:24}{:>14}{:>10.1} MiB", "sensor peak RSS", "", peak as f64 / 1024.0 / 1024.0);
    if let Some(file) = &arguments.report {
        let document = json!({
            "kernel": crate::host::kernel_release(), "execs": arguments.execs, "rounds": arguments.rounds,
            "wall_seconds": {"without": wall_without, "with": wall_with, "ratio": wall_with / wall_without},
            "storm_cpu_seconds": {"without": processor_without, "with": processor_with, "ratio": processor_with / processor_without},
            "sensor_cpu_seconds_per_exec": sensor / execs, "events_lost": lost, "sensor_peak_rss_bytes": peak,
        });
        std::fs::write(file, serde_json::to_vec_pretty(&document)?)
            .with_context(|| format!("report {}", file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn storm(arguments: &ExecArguments, sensor: Option<&Sensor>) -> Result<Storm> {
    let before = sensor.map(|sensor| thread_time(sensor.pid())).transpose()?;
    let begin = Instant::now();
    let processor = run_storm(&arguments.atk, arguments.execs)?;
    let wall = begin.elapsed();
    let Some((sensor, before)) = sensor.zip(before) else {
        return Ok(Storm { wall, processor, sensor: Duration::ZERO, lost: 0.0, peak_bytes: 0 });
    };
    wait_until_idle(sensor.pid())?;
    let page = sensor.metrics()?;
    let lost = page
        .samples(EVENTS)
        .filter(|sample| sample.label("stage") == "lost")
        .map(|sample| sample.value)
        .sum();
    Ok(Storm {
        wall,
        processor,
        sensor: thread_time(sensor.pid())?.saturating_sub(before),
        lost,
        peak_bytes: peak_memory(sensor.pid())?,
    })
}

/// Runs the storm and returns the user and system time of all its processes.
fn run_storm(atk: &Path, execs: u32) -> Result<Duration> {
    let before = children_time();
    let status = Command::new(atk)
        .args(["spawn-fast", &execs.to_string()])
        .arg(atk)
        .arg("true")
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("--atk {}", atk.display()))?;
    if !status.success() {
        bail!("the storm failed: {}", crate::host::describe(status));
    }
    Ok(children_time().saturating_sub(before))
}

/// User and system time of this process's children that have ended, and theirs.
fn children_time() -> Duration {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage fills the whole structure that it is given.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = |value: libc::timeval| Duration::new(value.tv_sec as u64, value.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Time on a processor of all threads that a process has now, from schedstat (nanoseconds).
fn thread_time(process: u32) -> Result<Duration> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).context("the sensor ended")? {
        let text = match std::fs::read_to_string(thread?.path().join("schedstat")) {
            Ok(text) => text,
            // The thread ended since the folder was listed.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => continue,
            Err(error) => return Err(error.into()),
        };
        sum += text.split_whitespace().next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(sum))
}

/// Waits until the sensor hardly works any more: it has read what the storm left in the rings.
fn wait_until_idle(process: u32) -> Result<()> {
    for _ in 0..100 {
        let before = thread_time(process)?;
        std::thread::sleep(Duration::from_millis(200));
        if thread_time(process)?.saturating_sub(before) < Duration::from_millis(10) {
            return Ok(());
        }
    }
    Ok(())
}

fn peak_memory(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().context("VmHWM")?;
    Ok(kibibytes * 1024)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0].into_iter()), 2.5);
    }

    #[test]
    fn this_process_has_used_time_and_memory() {
        // The kernel adds a running thread's time at its next tick only; a young one may still stand at zero.
        let end = Instant::now() + Duration::from_secs(10);
        while thread_time(std::process::id()).unwrap().is_zero() {
            assert!(Instant::now() < end);
            std::thread::yield_now();
        }
        assert!(peak_memory(std::process::id()).unwrap() > 100_000);
    }
}
