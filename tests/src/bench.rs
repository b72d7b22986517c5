//! `e2e bench`: what the sensor costs. `exec` measures all of it, `spine` only the way of recorded events.

mod measure;
mod record;
mod spine;
mod storm;
mod table;

use anyhow::{Context as _, Result};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use table::Table;

/// Arguments of every benchmark.
#[derive(Args)]
pub struct Arguments {
    /// The sensor's binary
    #[arg(long, value_name = "PATH")]
    sensor: PathBuf,
    /// The static helper program `atk`
    #[arg(long, value_name = "PATH")]
    atk: PathBuf,
    /// Folder for logs, recordings and containers
    #[arg(long, value_name = "DIR")]
    work: PathBuf,
    /// Execs in one storm
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    execs: u32,
    /// Pairs of storms, one without and one with the sensor
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How often each stage of the spine gets all recorded events
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1000))]
    replays: u32,
    /// Write the figures here as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Storms with and without the sensor, its memory, start and size, then the spine.
pub fn exec(arguments: &Arguments) -> Result<ExitCode> {
    let mut table = prepare(arguments)?;
    storm::measure(arguments, &mut table)?;
    spine::measure(arguments, &mut table)?;
    finish(arguments, &table)
}

/// Only the spine.
pub fn spine(arguments: &Arguments) -> Result<ExitCode> {
    let mut table = prepare(arguments)?;
    spine::measure(arguments, &mut table)?;
    finish(arguments, &table)
}

fn prepare(arguments: &Arguments) -> Result<Table> {
    std::fs::create_dir_all(&arguments.work)
        .with_context(|| format!("--work {}", arguments.work.display()))?;
    let processors = std::thread::available_parallelism()?;
    Ok(Table::new(format!("kernel {}, {processors} processors", crate::host::kernel_release())))
}

fn finish(arguments: &Arguments, table: &Table) -> Result<ExitCode> {
    if let Some(file) = &arguments.report {
        std::fs::write(file, serde_json::to_vec_pretty(&table.json())?)
            .with_context(|| format!("report {}", file.display()))?;
    }
    let missed = table.missed();
    if missed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nnot as expected: {}", missed.join(", "));
    Ok(ExitCode::FAILURE)
}
