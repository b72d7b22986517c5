//! `e2e bench`: what the sensor costs. `exec` measures storms of processes, `actions` storms of what the hooks on actions
//! see, `spine` only the way of recorded events, `rules` what loading rules and judging by them takes.

mod actions;
mod measure;
mod record;
mod rules;
mod spine;
mod storm;
mod table;

use anyhow::{Context as _, Result};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use table::Table;

/// What every benchmark needs.
#[derive(Args)]
pub struct Common {
    /// The sensor's binary
    #[arg(long, value_name = "PATH")]
    sensor: PathBuf,
    /// The static helper program `atk`
    #[arg(long, value_name = "PATH")]
    atk: PathBuf,
    /// Folder for logs, recordings and containers
    #[arg(long, value_name = "DIR")]
    work: PathBuf,
    /// Pairs of storms, one without and one with the sensor
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Write the figures here as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Arguments of `exec` and `spine`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Execs in one storm
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    execs: u32,
    /// How often each stage of the spine gets all recorded events
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1000))]
    replays: u32,
}

/// Arguments of `actions`.
#[derive(Args)]
pub struct ActionArguments {
    #[command(flatten)]
    common: Common,
    /// Only these storms: syscall, open, mount, connect
    #[arg(value_parser = ["syscall", "open", "mount", "connect"])]
    kinds: Vec<String>,
    /// Force one rung of the sensor's attach ladder
    #[arg(long, value_name = "RUNG")]
    attach: Option<String>,
    /// Do this many times less, for slow machines
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    divide: u32,
}

/// Storms with and without the sensor, its memory, start and size, then the spine.
pub fn exec(arguments: &Arguments) -> Result<ExitCode> {
    let mut table = prepare(&arguments.common)?;
    storm::measure(arguments, &mut table)?;
    spine::measure(arguments, &mut table)?;
    finish(&arguments.common, &table)
}

/// Storms of opens, mounts, connections and bare system calls.
pub fn actions(arguments: &ActionArguments) -> Result<ExitCode> {
    let mut table = prepare(&arguments.common)?;
    actions::measure(arguments, &mut table)?;
    finish(&arguments.common, &table)
}

/// Only the spine.
pub fn spine(arguments: &Arguments) -> Result<ExitCode> {
    let mut table = prepare(&arguments.common)?;
    spine::measure(arguments, &mut table)?;
    finish(&arguments.common, &table)
}

/// Arguments of `rules`.
#[derive(Args)]
pub struct RuleArguments {
    #[command(flatten)]
    arguments: Arguments,
    /// Rule file or folder, besides the built-in rules; may be repeated
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
}

/// Only the rules.
pub fn rules(arguments: &RuleArguments) -> Result<ExitCode> {
    let common = &arguments.arguments.common;
    let mut table = prepare(common)?;
    rules::measure(&arguments.arguments, &arguments.rules, &mut table)?;
    finish(common, &table)
}

fn prepare(arguments: &Common) -> Result<Table> {
    std::fs::create_dir_all(&arguments.work)
        .with_context(|| format!("--work {}", arguments.work.display()))?;
    let processors = std::thread::available_parallelism()?;
    Ok(Table::new(format!("kernel {}, {processors} processors", crate::host::kernel_release())))
}

fn finish(arguments: &Common, table: &Table) -> Result<ExitCode> {
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
